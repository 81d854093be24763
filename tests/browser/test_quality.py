"""What holds of every page: it fits, everybody can hear or see it, it is small, and nothing is complained about.

Laws: nothing here measures time; bytes and requests are counted on a cold cache.
"""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.browser.walk import PAGES, RULED, TROUBLE, Wire, watch

MOST_BYTES = 60_000
MOST_REQUESTS = 10
BACKGROUND = {"light": "rgb(255, 255, 255)", "dark": "rgb(16, 19, 23)"}


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_is_for_everybody_and_small(
    chromium: Browser, hub: Any, complaints: list[str], scheme: Any, width: int
) -> None:
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    watch(context, complaints)
    sign_in = {"form": {"token": hub.token, "next": "/"}, "headers": {"Sec-Fetch-Site": "same-origin"}}
    assert context.request.post(f"{hub.url}/login", **sign_in).ok
    page, axe = context.new_page(), Axe()
    rules = {} if scheme == "light" else {"runOnly": ["color-contrast", "target-size", "scrollable-region-focusable"]}
    wire = Wire(page)
    for path in [*PAGES, *RULED, *TROUBLE]:
        wire.begin()
        answer = page.goto(hub.url + path)
        assert answer is not None
        assert answer.status == TROUBLE.get(path, 200), path
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, path
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == BACKGROUND[scheme], path
        found = axe.run(page, options={"resultTypes": ["violations"], **rules})  # most have no theme, and take long
        assert found.violations_count == 0, (path, found.generate_report())
        assert wire.bytes <= MOST_BYTES, path
        assert wire.requests <= MOST_REQUESTS, path
    context.close()
    assert [text for text in complaints if "status of 404" not in text] == []
    assert len(complaints) == len(TROUBLE)
