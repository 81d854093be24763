"""What holds of every page: it fits, everybody can hear or see it, it is small, and nothing is complained about.

Laws: nothing here measures time; bytes and requests are counted on a cold cache.
"""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.walk import PAGES, RULED, TROUBLE, Wire, watch

MOST_BYTES = 60_000
MOST_REQUESTS = 10
LIKE_OTHERS = {"exclude": [["tbody tr:nth-child(n+9)"], ["details.operation:nth-of-type(n+3)"]]}
"""Rows and entries after the first few of their list, which are made alike: axe looks at every element for long."""
WIDE, NARROW = ({"width": width, "height": 800} for width in (1280, 390))
OF_THEMES = ["color-contrast", "target-size", "scrollable-region-focusable"]  # the others have no theme, and take long
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"  # charts are, once they know
BACKGROUND = {"light": "rgb(255, 255, 255)", "dark": "rgb(16, 19, 23)"}


def test_every_page_is_for_everybody_and_small(chromium: Browser, hub: Any, complaints: list[str]) -> None:
    context = chromium.new_context(color_scheme="light", viewport=WIDE)
    watch(context, complaints)
    sign_in = {"form": {"token": hub.token, "next": "/"}, "headers": {"Sec-Fetch-Site": "same-origin"}}
    assert context.request.post(f"{hub.url}/login", **sign_in).ok
    page = context.new_page()
    wire = Wire(page)
    for path in [*PAGES, *RULED, *TROUBLE]:
        wire.begin()
        answer = page.goto(hub.url + path)
        assert answer is not None
        assert answer.status == TROUBLE.get(path, 200), path
        look_at(page, path, "light", {})
        assert wire.bytes <= MOST_BYTES, path
        assert wire.requests <= MOST_REQUESTS, path
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size(NARROW)
        page.evaluate(DRAWN)
        look_at(page, path, "dark", {"runOnly": OF_THEMES})
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(WIDE)
    context.close()
    assert [text for text in complaints if "status of 404" not in text] == []
    assert len(complaints) == len(TROUBLE)


def look_at(page: Page, path: str, scheme: str, rules: dict[str, Any]) -> None:
    """What holds in one theme and width."""
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, path
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == BACKGROUND[scheme], path
    found = Axe().run(page, LIKE_OTHERS, {"resultTypes": ["violations"], **rules})
    assert found.violations_count == 0, (path, scheme, found.generate_report())
