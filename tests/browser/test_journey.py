"""A newcomer's first hour: an empty hub, a push, the model's page, a try, a token of one's own, and a pull with it.

And of a more curious one, who copies everything that any page prints to be copied, and runs it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from hub.domain.access import HUB
from hub.domain.manifest import Kind
from hub.domain.names import ModelName
from hub.maintenance import attestations, people
from hub.settings import Settings
from hub.storage.catalog import Catalog
from tests.browser.copying import Copied, copied_from, printed_kinds, run_copied
from tests.browser.walk import crawl
from tests.e2e.conftest import RunningHub, serving
from tests.integration.api.conftest import write_saved_model
from tests.support.curves import write_run
from tests.support.savedmodel_writer import FIXTURES
from tests.support.signing import KeyPair

pytestmark = pytest.mark.timeout(300)  # the first try waits for TensorFlow to start
PASSWORD = "correct horse"
JSON = r'\A(?!.*"status": ?[45]\d\d)[\[{].*[\]}]\s*\Z'
PUSHED = r"^you/[a-z-]+@1$"
PRINTS = {
    "first-push": PUSHED,
    "first-version": PUSHED,
    "first": PUSHED,
    "add": PUSHED,
    "add-card": PUSHED,
    "push-head": PUSHED,
    "sign": PUSHED,
    "hub login": r"who may admin",
    "secret-use": r"who may admin",
    "hub admin doctor": r"^database\s+ok",
    "user-add": r"your-name may sign in",
    "org-add": r"acme has no members yet",
    "org-set": r"your-name has the role admin in acme",
    "curl": JSON,
    "token-create": r"^trunkhub_",
    "hub token create laptop": r"^trunkhub_",
    "passwd": r"your-name signs in with the new password",
    "call": JSON,
    "api-curl": JSON,
    "send": r'"outputs"',
    "code-curl": r'"outputs"',
    "code-python": r"features",
    "code-finetune": r"\(None, 5\)",
    "call-curl": r'"outputs"',
    "call-python": r"features",
    "code-pull": r"your-[a-z]+$",
    "pull-all": r"your-[a-z]+$",
    "pull": r"/snapshots/[0-9a-f]{64}$",
    "diff-cli": r"you/your-trunk@1",
    "alias-set": r"now means you/your-trunk@1",
}
"""What every kind of command prints, in the order in which they are run: one may need what another made."""
DATA = ("json", "raw", "secret", "diff-markdown")
"""What is copied and is no command."""
YANK = r'hub yank [\w/-]+@\d+ --reason "[\w ]+"'
ELSEWHERE = {"hub serve": "hub serve", "verify": r"hub verify [\w/-]+@\d+", "yank": YANK, "hub yank": YANK}
"""Commands that other tests run in this very form: this hub's start, test_client_signing, test_owner_and_stranger."""
ORDER = [*PRINTS, *DATA, *ELSEWHERE]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub that nobody has pushed to, with a worker."""
    with serving(tmp_path_factory.mktemp("journey")) as hub:
        yield hub


def run_shown(page: Page, label: str, hub: RunningHub, folder: Path, token: str) -> str:
    """Run the commands that a page shows; what they printed."""
    text = page.get_by_role("group", name=label, exact=True).text_content() or ""
    return run_copied(text, folder, {**hub.environment, "HUB_TOKEN": token})


def test_from_an_empty_hub_to_a_pull_with_a_token_of_ones_own(
    context: BrowserContext, hub: RunningHub, tmp_path: Path
) -> None:
    (tmp_path / "your_saved_model").symlink_to(FIXTURES / "trunk")
    page = context.new_page()
    page.goto(hub.url)
    assert run_shown(page, "Push a first model", hub, tmp_path, hub.token) == "you/your-trunk@1\n"
    page.reload()
    page.get_by_role("link", name="you/your-trunk").click()
    expect(page.locator(".verdict.yes")).to_have_count(4)

    page.get_by_role("link", name="Try it").click()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("region", name="Response")).to_contain_text("features", timeout=120_000)
    expect(page.get_by_role("status").filter(has_text="Answered")).to_be_visible()

    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Token", exact=True).fill(hub.token)
    page.get_by_role("button", name="Use the token").click()
    expect(page).to_have_url(f"{hub.url}/you/your-trunk/try")
    page.get_by_role("link", name="admin").click()
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Make the token").click()
    secret = page.locator("#secret").inner_text()

    page.goto(f"{hub.url}/you/your-trunk")
    assert run_shown(page, "Pull", hub, tmp_path, secret).strip().endswith("your-trunk")
    assert (tmp_path / "your-trunk/saved_model.pb").read_bytes() == (FIXTURES / "trunk/saved_model.pb").read_bytes()
    page.goto(f"{hub.url}/settings/tokens")
    expect(page.get_by_role("row", name="laptop").get_by_text("never", exact=True)).to_have_count(0)


@pytest.fixture
def kit(hub: RunningHub, tmp_path: Path) -> dict[str, str]:
    """What somebody has who copies commands on the hub's machine, into a folder with what they call theirs."""
    (tmp_path / "your_saved_model").symlink_to(FIXTURES / "trunk")
    (tmp_path / "your_head").mkdir()
    (tmp_path / "your_head/saved_model.pb").write_bytes(write_saved_model())
    (tmp_path / "README.md").write_text("---\ntask: testing\n---\nA trunk.\n")
    write_run(tmp_path / "logs/train", {"loss": [(0, 1.0), (1, 0.5)]})
    settings = Settings(data_dir=hub.data)
    with attestations(settings) as keys, people(settings) as others:
        keys.add_key(HUB, "you", "release", KeyPair(tmp_path).pem)
        others.add_user(HUB, "somebody", is_admin=False, email=None, password=None)
    catalog = Catalog(settings.database)
    with catalog.begin() as tx:
        tx.ensure_model(ModelName.parse("you/nothing-yet"), Kind.TRUNK, is_private=False, created_by="you")
    catalog.close()
    return hub.environment | {"HUB_DATA_DIR": str(hub.data)}


def test_all_that_pages_print_to_be_copied_runs_as_it_stands(
    hub: RunningHub, empty_hub: Any, kit: dict[str, str], tmp_path: Path
) -> None:
    ran: dict[str, set[str]] = {}
    visitor, admin, user = {}, {"token": hub.token}, {"name": "your-name", "password": PASSWORD}
    for url, readers in ((empty_hub.url, [visitor]), (hub.url, [visitor, admin]), (hub.url, [admin, user])):
        pages = [page for reader in readers for page in pages_of(url, reader)]
        found = [(path, copied) for path, text in pages for copied in copied_from(text)]
        for path, copied in sorted(found, key=lambda one: ORDER.index(one[1].kind)):
            if copied.kind in ELSEWHERE:
                assert re.fullmatch(ELSEWHERE[copied.kind], copied.text), copied
                continue
            text = copied.text.replace(empty_hub.url, hub.url).replace("…", hub.token)
            text = text.replace("/USER", "/somebody").replace("USER", "your-name")  # the only administrator stays one
            before = ran.setdefault(copied.kind, set())
            if text not in before and (not before or "curl" in text):  # it is quick, and every page asks something else
                before.add(text)
                check(hub, path, Copied(copied.kind, text), kit, tmp_path)
    assert ran.keys() == set(ORDER) - ELSEWHERE.keys()
    assert all(any(f"{kind}-".startswith(f"{one}-") for kind in ORDER) for one in printed_kinds())


def pages_of(url: str, reader: dict[str, str]) -> Iterator[tuple[str, str]]:
    """All pages that a reader sees, those that answer forms too."""
    from_here = {"Origin": url}
    with httpx2.Client(base_url=url, timeout=60) as client:
        if reader:
            assert client.post("/login", data=reader, headers=from_here).status_code == 303
        starts = ["/", *(["/settings/tokens", "/settings/access", "/you/your-trunk/diff/1..1"] if reader else [])]
        for path, answer in crawl(client, starts, lambda path: not re.search("/api/|/files/|depth=", path)):
            if answer.headers["content-type"].startswith("text/html"):
                yield path, answer.text
        made = {"name": "copied", "scope": "read", "limit": "", "days": "", "key": uuid4().hex}
        forms = {"/settings/tokens": made, "/you/your-trunk/try": {"json.inputs": "[[1, 2, 3]]"}} if reader else {}
        for path, form in forms.items():
            answer = client.post(path, data=form, headers=from_here)
            assert answer.status_code == 200, path
            yield path, answer.text


def check(hub: RunningHub, path: str, copied: Copied, environment: dict[str, str], folder: Path) -> None:
    """Run a command and see that it printed what it should, or use the data that was copied."""
    if copied.kind in PRINTS:
        shown = "\nprint(model.output_shape)" if copied.kind == "code-finetune" else ""
        printed = run_copied(copied.text + shown, folder, environment, stdin=f"{PASSWORD}\n")
        assert re.search(PRINTS[copied.kind], printed, re.MULTILINE | re.DOTALL), (copied.text, printed)
    elif copied.kind == "secret":
        assert httpx2.get(f"{hub.url}/api/v1/whoami", headers={"Authorization": f"Bearer {copied.text}"}).is_success
    elif copied.kind == "json":
        model = "/".join(path.split("?")[0].split("/")[1:3])
        assert "outputs" in httpx2.post(f"{hub.url}/v1/models/{model}:predict", content=copied.text).json()
    elif copied.kind == "raw":
        assert json.loads(copied.text)
    else:
        assert f"{hub.url}{path}" in copied.text
