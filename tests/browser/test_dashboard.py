"""The dashboard as people meet it: real Chromium, by mouse and by keyboard, in the dark, narrow, without scripts."""

import json
import re
from contextlib import suppress
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect
from playwright.sync_api import Error as PlaywrightError

from tests.browser.walk import PAGES


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))


def test_a_newcomer_is_told_the_command_that_fills_the_hub(context: BrowserContext, empty_hub: Any) -> None:
    page = context.new_page()
    page.goto(empty_hub.url)
    expect(page.get_by_role("heading", name="Models")).to_be_visible()
    expect(page.get_by_label("Push a first model")).to_have_text(
        f"export HUB_URL={empty_hub.url}\nhub push ./your_saved_model you/your-trunk"
    )


def test_from_the_list_to_a_model_its_versions_and_why_one_was_rejected(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.goto(hub.url)
    page.get_by_role("link", name="acme/shapes").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("acme/shapes")
    expect(page.get_by_role("heading", name="Shapes trunk")).to_be_visible()
    expect(page.locator(".verdict.yes")).to_have_count(4)
    page.get_by_role("link", name="Versions").click()
    expect(page.get_by_role("row")).to_have_count(4)
    expect(page.get_by_role("row", name="@1")).to_contain_text("Trained on the wrong split.")
    page.get_by_role("link", name="@3").click()
    expect(page.get_by_text("Rejected.")).to_be_visible()
    expect(page.get_by_text("The op FancyOp has no kernel")).to_be_visible()
    expect(page.get_by_text("Export the model without it")).to_be_visible()
    expect(page.get_by_role("heading", name="Use this")).to_have_count(0)


def test_code_is_copied_as_it_stands(context: BrowserContext, hub: Any) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=hub.url)
    page = context.new_page()
    page.goto(f"{hub.url}/acme/shapes")
    for tab, start in {
        "Pull": "export HUB_URL=",
        "Fine-tune": "# Once",
        "Predict": "import hub",
        "curl": "python3 -c",
    }.items():
        page.locator(".snippets > label", has_text=tab).click()
        panel = page.locator(".panel:visible")
        expect(panel).to_have_count(1)
        panel.get_by_role("button", name="Copy").click()
        expect(panel.get_by_role("button", name="Copied")).to_be_visible()
        copied = str(page.evaluate("navigator.clipboard.readText()"))
        assert copied.startswith(start)
        assert copied == panel.locator("pre").text_content()


def test_where_the_clipboard_is_closed_the_code_is_selected(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")  # as on plain http
    page.goto(f"{hub.url}/acme/shapes")
    page.locator(".panel:visible").get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Selected")).to_be_visible()
    assert str(page.evaluate("getSelection().toString()")) == page.locator(".panel:visible pre").text_content()


def test_a_card_cannot_touch_the_page_around_it(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{hub.url}/acme/shapes", wait_until="networkidle")
    expect(page).to_have_title("acme/shapes · Trunk Hub")
    expect(page.locator(".card script, .card img, .card [onerror], .card [style]")).to_have_count(0)
    assert [url for url in asked if not url.startswith(hub.url)] == []


def test_the_theme_is_chosen_with_a_button_and_kept(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme="light")
    page.goto(hub.url)
    switch = page.get_by_role("button", name="Theme: System")
    switch.click()
    page.get_by_role("button", name="Theme: Light").click()
    expect(page.get_by_role("button", name="Theme: Dark")).to_be_visible()
    assert background(page) == "rgb(16, 19, 23)"
    page.goto(f"{hub.url}/workers")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert background(page) == "rgb(16, 19, 23)"


def test_the_keyboard_is_enough(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.goto(f"{hub.url}/acme/shapes")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("/")
    search = page.get_by_role("searchbox", name="Search models")
    expect(search).to_be_focused()
    page.keyboard.type("colour/")
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/\?q=colour$"))
    expect(page.get_by_role("link", name="acme/colour-head")).to_be_visible()
    page.goto(f"{hub.url}/acme/shapes")
    page.locator("#tab-pull").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("group", name="Fine-tune")).to_contain_text("hub.trunk")


def test_what_has_the_focus_can_be_seen(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.goto(f"{hub.url}/acme/shapes")
    stops = 0
    for _ in range(60):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            """() => { const at = document.activeElement; if (at === document.body) return null;
            const shown = at.type === "radio" ? at.nextElementSibling : at;
            return getComputedStyle(shown).outlineStyle + " " + shown.outerHTML.slice(0, 80) }"""
        )
        if outline is None:
            break
        assert not str(outline).startswith("none"), outline
        stops += 1
    assert stops > 10


def test_a_reader_signs_in_sees_private_models_and_signs_out(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.goto(f"{hub.url}/acme/shapes")
    expect(page.get_by_text("1 private version")).to_be_visible()
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Token", exact=True).fill(hub.token)
    page.get_by_role("button", name="Use the token").click()
    expect(page).to_have_url(f"{hub.url}/acme/shapes")
    page.get_by_role("link", name="lab/secret-head@1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("lab/secret-head")
    assert "hub_session" not in str(page.evaluate("document.cookie"))
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    expect(page.get_by_text("secret-head")).to_have_count(0)


def test_everything_but_the_conveniences_works_without_scripts(chromium: Browser, hub: Any) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{hub.url}/login?next=/acme/shapes")
    page.get_by_label("Token", exact=True).fill("wrong")
    page.get_by_role("button", name="Use the token").click()
    expect(page.get_by_role("alert")).to_contain_text("does not know this token")
    page.get_by_label("Token", exact=True).fill(hub.token)
    page.get_by_role("button", name="Use the token").click()
    expect(page).to_have_url(f"{hub.url}/acme/shapes")
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    page.locator(".snippets > label", has_text="curl").click()
    expect(page.locator(".panel:visible pre")).to_contain_text("curl -s")
    page.get_by_role("searchbox").fill("words")
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("link", name="acme/words")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    context.close()


def test_one_key_leads_everywhere(context: BrowserContext, hub: Any) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=hub.url)
    page = context.new_page()
    page.goto(f"{hub.url}/acme/shapes/files?version=2")
    for key, copied in {"c": "acme/shapes@2", "y": "hub pull acme/shapes@2"}.items():
        page.keyboard.press(key)
        expect(page.get_by_text(f"Copied {copied}")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == copied
    page.keyboard.press("[")
    expect(page).to_have_url(f"{hub.url}/acme/shapes/files?version=1")
    page.keyboard.press("]")
    expect(page).to_have_url(f"{hub.url}/acme/shapes/files?version=2")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("w")
    expect(page).to_have_url(f"{hub.url}/workers")
    page.keyboard.press("m")
    expect(page).to_have_url(f"{hub.url}/workers")


def test_who_leaves_before_a_page_is_shown_hears_no_complaint(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.goto(hub.url)
    for turn in range(30):
        with suppress(PlaywrightError):  # the page asked is gone already
            page.evaluate("path => { location.href = path }", f"/acme/shapes/files?version={turn % 2 + 1}")
        page.wait_for_timeout(turn % 5 * 20)
    page.wait_for_load_state()
    expect(page).to_have_title(re.compile("acme/shapes"))


def test_the_tab_that_was_chosen_last_is_open_on_the_next_model(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.goto(f"{hub.url}/acme/shapes")
    page.locator(".snippets > label", has_text="curl").click()
    page.goto(f"{hub.url}/acme/colour-head")
    expect(page.locator("#tab-curl")).to_be_checked()


def test_a_list_is_narrowed_and_widened_again_step_by_step(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.goto(hub.url)
    narrow = page.get_by_role("navigation", name="Narrow down")
    narrow.get_by_role("link", name="image-embedding").click()
    narrow.get_by_role("link", name="grey").click()
    expect(page).to_have_url(f"{hub.url}/?task=image-embedding&tag=grey")
    expect(page.locator(".models > li")).to_have_count(1)
    page.get_by_role("link", name="Drop Task: image-embedding").click()
    expect(page).to_have_url(f"{hub.url}/?tag=grey")
    narrow.get_by_role("link", name="grey").click()
    expect(page).to_have_url(f"{hub.url}/")


def test_the_workers_are_shown_as_they_are_without_asking_again(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    with page.expect_response("**/workers/live") as stream:
        page.goto(f"{hub.url}/workers")
    assert stream.value.headers["content-type"].startswith("text/event-stream")
    expect(page.get_by_role("status").filter(has_text="live")).to_be_visible()
    page.evaluate("document.querySelector('[data-live]').textContent = 'what was'")
    worker = hub.house.engine.status().workers
    expect(page.locator("[data-live]")).to_have_text("what was")
    page.reload()
    expect(page.locator("[data-live] tbody tr")).to_have_count(len(worker))


def test_a_page_names_its_twin_for_machines(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    for path in [path for path in PAGES if path != "/login"]:
        page.goto(hub.url + path)
        twin = page.locator("link[rel=alternate][type='application/json']").get_attribute("href")
        expect(page.locator("#api-curl")).to_have_text(re.compile(rf"curl -s '?{re.escape(hub.url + str(twin))}'?$"))
        answer = context.request.get(f"{hub.url}{twin}")
        assert answer.ok, twin
        json.loads(answer.body())
