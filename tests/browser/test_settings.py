"""The settings, without scripts: tokens are made, shown once and revoked; members get roles."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from hub.domain.access import HUB, Scope

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def town(open_hub: Any) -> Any:
    """A hub with an organisation, its administrator, and somebody."""
    hub = open_hub()
    people = hub.house.people
    people.add_user(HUB, "ada", is_admin=False, email=None, password=PASSWORD)
    people.add_user(HUB, "bob", is_admin=False, email=None, password=PASSWORD)
    people.add_organisation(HUB, "acme")
    people.set_member(HUB, "acme", "ada", Scope.ADMIN)
    return hub


@pytest.fixture(params=[(1100, "light"), (390, "dark")], ids=str)
def page(chromium: Browser, town: Any, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Ada's browser, with scripts off, at the settings."""
    width, scheme = request.param
    context = chromium.new_context(
        java_script_enabled=False, viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    page = context.new_page()
    page.goto(f"{town.url}/settings/tokens?preset=ci")
    expect(page).to_have_url(f"{town.url}/login?next=%2Fsettings%2Ftokens%3Fpreset%3Dci")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{town.url}/settings/tokens?preset=ci")
    yield page
    context.close()


def fits(page: Page) -> bool:
    width = page.locator("html").bounding_box()
    return width is not None and width["width"] <= page.viewport_size["width"]


def test_a_token_is_made_shown_once_and_revoked(page: Page, town: Any) -> None:
    expect(page.get_by_label("Scope")).to_have_value("write")
    page.get_by_label("Limited to").fill("Not An Owner")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_role("alert")).to_contain_text("is not the name of an owner")
    expect(page.get_by_label("Name")).to_have_value("ci")
    page.get_by_label("Limited to").fill("acme")
    page.get_by_role("button", name="Make the token").click()
    secret = page.locator("#secret").inner_text()
    who = httpx2.get(f"{town.url}/api/v1/whoami", headers={"Authorization": f"Bearer {secret}"}).json()
    assert (who["user"], who["scope"], who["limit"]) == ("ada", "write", "acme")
    assert fits(page)
    page.goto(f"{town.url}/settings/tokens")
    expect(page.get_by_text(secret)).to_have_count(0)
    page.get_by_role("button", name="Revoke ci").first.click()
    expect(page.get_by_role("cell", name="revoked", exact=True)).not_to_have_count(0)
    assert httpx2.get(f"{town.url}/api/v1/whoami", headers={"Authorization": f"Bearer {secret}"}).status_code == 401


def test_a_member_gets_a_role_and_loses_it(page: Page, town: Any) -> None:
    page.get_by_role("link", name="Access").click()
    page.get_by_label("User").fill("nobody")
    page.get_by_role("button", name="Give the role").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no user nobody")
    page.get_by_label("User").fill("bob")
    page.get_by_role("combobox", name="Role").select_option("write")
    page.get_by_role("button", name="Give the role").click()
    expect(page).to_have_url(f"{town.url}/settings/access")
    expect(page.get_by_role("row", name="bob write")).to_be_visible()
    assert fits(page)
    page.get_by_role("button", name="Remove bob from acme").click()
    expect(page.get_by_role("row", name="bob")).to_have_count(0)


def test_a_new_password_is_asked_for_with_the_old_one(page: Page) -> None:
    page.get_by_role("link", name="Password").click()
    page.get_by_label("Old password").fill("not this one")
    for label in ("New password", "New password again"):
        page.get_by_label(label, exact=True).fill("another long one")
    page.get_by_role("button", name="Replace the password").click()
    expect(page.get_by_role("alert")).to_contain_text("The old password is wrong.")
    expect(page.get_by_label("Old password")).to_have_value("")
    assert fits(page)


def test_who_administers_nothing_is_told_how_it_is_given(town: Any) -> None:
    with httpx2.Client(base_url=town.url) as client:
        client.post("/login", data={"name": "bob", "password": PASSWORD}, headers={"Origin": town.url})
        assert "hub admin org set acme bob admin" in client.get("/settings/access").text


def test_the_same_form_sent_again_makes_no_second_token(town: Any) -> None:
    with httpx2.Client(base_url=town.url, headers={"Authorization": f"Bearer {town.token}"}) as client:
        form = {"name": "once", "scope": "read", "days": "", "key": "one"}
        first, second = (client.post("/settings/tokens", data=form, headers={"Origin": town.url}) for _ in range(2))
        assert (first.status_code, second.status_code) == (200, 409)
        assert first.headers["cache-control"] == "no-store"
        for origin in ("https://evil.example", "null"):
            assert client.post("/settings/tokens", data=form, headers={"Origin": origin}).status_code == 403
