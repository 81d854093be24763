"""An owner's afternoon, and a stranger before a private model: what the one does is told, what the other asks is not.

Law: to who may not see a model, it is answered like one that does not exist, on every page and by every twin of a page.
"""

import os
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from hub.domain.access import HUB, Scope
from hub.domain.manifest import Kind
from hub.domain.names import ModelName
from hub.domain.tensors import TensorSpec
from hub.protocol import paths
from tests.browser.conftest import FEATURES, PICTURE, accepted, add, head_of, signature
from tests.browser.copying import run_copied
from tests.browser.walk import crawl

PASSWORD = "correct horse"
HIDDEN, ABSENT = "attic/ghost", "attic/ghosx"
CARD = "---\ntask: whispering\ntags: [hushed]\n---\nNobody knows of it.\n"
SECRETS = ("ghost", "attic", "whispering", "hushed")
TWIN = re.compile(r'<link rel="alternate" type="application/json" href="([^"]+)">')


@pytest.fixture(scope="module")
def village(open_hub: Any) -> Any:
    """A hub with a trunk of two versions, a private head on it, their owner Ada, and Eve, who is nobody's member."""
    hub = open_hub()
    for name, is_admin in (("ada", True), ("eve", False)):
        hub.house.people.add_user(HUB, name, is_admin=is_admin, email=None, password=PASSWORD)
    for organisation in ("acme", "attic"):
        hub.house.people.add_organisation(HUB, organisation)
        hub.house.people.set_member(HUB, organisation, "ada", Scope.ADMIN)
    serving = signature("serving_default", [PICTURE], [FEATURES])
    encoded = signature("encoded", [TensorSpec(name="png", dtype="string", shape=(None,))], [FEATURES])
    trunk = {"kind": Kind.TRUNK, "report": accepted()}
    add(hub.house, "acme/lamp", signatures=[serving], message="dim", alias="production", **trunk)
    bright = add(hub.house, "acme/lamp", signatures=[serving, encoded], message="bright", **trunk)
    head = {"kind": Kind.HEAD, "report": accepted(), "lineage": head_of(bright)}
    add(hub.house, HIDDEN, signatures=[signature("serving_default", [FEATURES], [FEATURES])], **head)
    with hub.house.browse.catalog.begin() as tx:
        tx.set_card(ModelName.parse(HIDDEN), CARD)
        tx.set_private(ModelName.parse(HIDDEN), True)
    return hub


def sign_in(context: BrowserContext, village: Any, name: str) -> Page:
    page = context.new_page()
    page.goto(f"{village.url}/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{village.url}/")
    return page


def make_token(page: Page, village: Any, preset: str, limit: str) -> str:
    page.goto(f"{village.url}/settings/tokens")
    page.get_by_role("link", name=preset, exact=True).click()
    page.get_by_label("Limited to").fill(limit)
    page.get_by_role("button", name="Make the token").click()
    return page.locator("#secret").inner_text()


def test_what_an_owner_does_is_in_the_audit(context: BrowserContext, village: Any, tmp_path: Path) -> None:
    page = sign_in(context, village, "ada")
    page.get_by_role("link", name="acme/lamp", exact=True).click()
    page.get_by_role("link", name="Versions").click()
    page.get_by_label("Compare @1").check()
    page.get_by_label("with @2").check()
    page.get_by_role("button", name="Compare").click()
    expect(page).to_have_url(f"{village.url}/acme/lamp/diff/1..2")
    expect(page.locator(".verdict-line")).to_contain_text("Every call of acme/lamp@1 still works on acme/lamp@2.")

    secret = make_token(page, village, "push", "acme/lamp")
    mine = {"HUB_URL": village.url, "HUB_TOKEN": secret, "HOME": str(tmp_path), "PATH": os.environ["PATH"]}

    def run_shown(label: str) -> str:
        return run_copied(page.get_by_role("group", name=label, exact=True).inner_text(), tmp_path, mine)

    page.goto(f"{village.url}/acme/lamp")
    assert "acme/lamp:production now means acme/lamp@2" in run_shown("Move an alias here")
    page.goto(f"{village.url}/acme/lamp/versions/1")
    page.get_by_role("link", name="Lineage").click()
    page.get_by_role("link", name="What breaks if @1 is yanked").click()
    expect(page.get_by_text("No name leads to it, so none moves.")).to_be_visible()
    assert "acme/lamp@1 is yanked" in run_shown("Yank it")
    page.get_by_role("link", name="Versions").click()
    expect(page.get_by_role("row", name="@1")).to_contain_text("what is wrong with it")
    expect(page.get_by_role("row", name="@2")).to_contain_text("production")

    page.get_by_role("link", name="ada", exact=True).click()
    page.get_by_role("link", name="Audit").click()
    for action, what in (
        ("token.create", "acme/lamp"),
        ("alias.set", "acme/lamp:production"),
        ("version.yank", "what is wrong with it"),
    ):
        row = page.get_by_role("row").filter(has_text=action).first
        expect(row).to_contain_text("ada")
        expect(row).to_contain_text(what)


@pytest.fixture
def eve(chromium: Browser, village: Any) -> Iterator[Page]:
    """Eve's browser; it complains about every 404, which is what she gets."""
    context = chromium.new_context()
    yield sign_in(context, village, "eve")
    context.close()


def test_a_private_model_is_not_there_until_one_may_read_it(eve: Page, context: BrowserContext, village: Any) -> None:
    pages, twins = places_of_the_hidden(village)
    secret = make_token(eve, village, "read", "")
    api = httpx2.Client(base_url=village.url, headers={"Authorization": f"Bearer {secret}"})
    elsewhere = ["/", "/?kind=head", "/acme", "/acme/lamp", "/acme/lamp/lineage?depth=3", "/acme/lamp/try", "/workers"]
    elsewhere += ["/?task=image-embedding", "/acme/lamp/diff/1..2", "/acme/lamp/versions/2"]

    for path in pages:
        ask = eve.request.get if "?" in path else eve.goto
        seen, absent = ask(village.url + path), eve.request.get(village.url + path.replace(HIDDEN, ABSENT))
        assert (seen.status, absent.status) == (404, 404), path
        assert neutral(seen.text()) == neutral(absent.text()), path
    for path in twins:
        answer, absent = api.get(path), api.get(path.replace(HIDDEN, ABSENT))
        assert (answer.status_code, absent.status_code) == (404, 404), path
        assert neutral(answer.text) == neutral(absent.text), path
    for path in elsewhere:
        assert told(eve.request.get(village.url + path).text()) == [], path
    for path in (paths.family("acme/lamp", 2), paths.lineage("acme/lamp", 2), paths.MODELS, paths.FACETS):
        assert told(api.get(path).text) == [], path
    for path in ("/?q=ghost", "/?task=whispering", "/?tag=hushed"):
        eve.goto(village.url + path)
        expect(eve.get_by_text("Nothing found.")).to_be_visible()
    assert eve.goto(f"{village.url}/attic").status == 404

    ada = sign_in(context, village, "ada")
    ada.goto(f"{village.url}/settings/access")
    form = ada.get_by_role("form", name="Give a role in attic")
    form.get_by_label("User").fill("eve")
    form.get_by_role("button", name="Give the role").click()
    expect(ada.get_by_role("row", name="eve read")).to_be_visible()

    assert [path for path in pages if not eve.request.get(village.url + path).ok] == []
    assert [path for path in twins if not api.get(path).is_success] == []
    assert "ghost" in api.get(paths.family("acme/lamp", 2)).text
    for path in ("/?q=ghost", "/?task=whispering", "/?tag=hushed", "/attic"):
        eve.goto(village.url + path)
        expect(eve.get_by_role("link", name=HIDDEN, exact=True)).to_be_visible()
    eve.goto(f"{village.url}/acme/lamp")
    expect(eve.get_by_role("link", name=f"{HIDDEN}@1")).to_be_visible()
    api.close()


def places_of_the_hidden(village: Any) -> tuple[list[str], list[str]]:
    """Every page and file of the private model that its owner is led to, and the twins of these pages."""
    pages, twins = [], set()
    with httpx2.Client(base_url=village.url) as owner:
        owner.post("/login", data={"name": "ada", "password": PASSWORD}, headers={"Origin": village.url})
        for path, answer in crawl(owner, [f"/{HIDDEN}"], lambda path: path.startswith(f"/{HIDDEN}")):
            pages.append(path)
            twins |= {unescape(twin) for twin in TWIN.findall(answer.text)}
    assert {f"/{HIDDEN}", f"/{HIDDEN}/lineage", f"/{HIDDEN}/versions/1/files/saved_model.pb"} <= set(pages)
    assert f"/api/v1/models/{HIDDEN}" in twins
    return pages, sorted(twins)


def neutral(text: str) -> str:
    """An answer without the name it is about and the number of the request."""
    return re.sub(r"ghos[tx]|[0-9a-f]{32}", "X", text)


def told(text: str) -> list[str]:
    """What a text tells that it should not."""
    return [word for word in SECRETS if word in text]
