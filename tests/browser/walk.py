"""Every page there is: who adds one adds a line here, and all tests of quality look at it.

Law: a page is listed in each form that looks different: with and without what it lists, for whoever may see more.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2
from playwright.sync_api import BrowserContext, ConsoleMessage, Page

PAGES = [
    "/",
    "/?q=nothing-like-it&tag=grey",
    "/?kind=trunk&task=image-embedding&tag=grey&sort=name",
    "/acme",
    "/acme/shapes",
    "/acme/shapes/versions",
    "/acme/shapes/versions/1",
    "/acme/shapes/versions/3",
    "/acme/shapes/signatures",
    "/acme/shapes/signatures?version=3",
    "/acme/shapes/files",
    "/acme/shapes/files?version=1&q=kernel&tensors=2",
    "/acme/shapes/training",
    "/acme/shapes/lineage",
    "/acme/shapes/lineage?impact=2",
    "/acme/shapes/try",
    "/acme/shapes/try?version=3",
    "/acme/shapes/diff/1..2",
    "/acme/shapes/diff/2..2?all=1",
    "/acme/shapes/diff/2..acme/words@1",
    "/acme/colour-head",
    "/acme/colour-head/signatures",
    "/acme/colour-head/try",
    "/acme/words",
    "/acme/waiting",
    "/acme/waiting/files",
    "/workers",
    "/docs/api",
    "/login",
]
"""What everybody sees."""
RULED = [
    "/settings/tokens",
    "/settings/password",
    "/settings/access",
    "/settings/audit",
    "/settings/audit?actor=nobody&since=2026-01-01",
    "/lab/secret-head",
]
"""What only an administrator sees."""
TROUBLE = {"/acme/absent": 404, "/nowhere": 404, "/acme/shapes/versions/99": 404}
"""Where something is wrong, and the status it is told with."""
VIOLATIONS = "addEventListener('securitypolicyviolation', event => console.error('CSP ' + event.violatedDirective))"


def watch(context: BrowserContext, complaints: list[str]) -> None:
    """Keep whatever the browser complains about."""

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.type}: {message.text}")

    context.add_init_script(VIOLATIONS)
    context.on("console", note)
    context.on("weberror", lambda error: complaints.append(str(error.error)))


class Wire:
    """What a page takes to come over the wire, headers too, with nothing kept from the page before."""

    def __init__(self, page: Page) -> None:
        self.bytes, self.requests = 0, 0
        self.session = page.context.new_cdp_session(page)
        self.session.send("Network.enable")
        self.session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        self.session.on("Network.loadingFinished", self._add)

    def _add(self, event: dict[str, Any]) -> None:
        self.bytes += event["encodedDataLength"]
        self.requests += 1

    def begin(self) -> None:
        self.bytes, self.requests = 0, 0


def crawl(
    client: httpx2.Client, starts: Iterable[str], is_wanted: Callable[[str], bool] = bool
) -> Iterator[tuple[str, httpx2.Response]]:
    """Everything that links lead to from some pages, each path once."""
    seen, waiting = set(), list(starts)
    while waiting:
        path = waiting.pop()
        if path in seen or not is_of_its_own(path) or not is_wanted(path):
            continue
        seen.add(path)
        answer = client.get(path)
        yield path, answer
        if answer.headers["content-type"].startswith("text/html"):
            links = re.findall(r'(?:href|src)="([^"]*)"', answer.text)
            targets = [urlsplit(urljoin(path, unescape(link))) for link in links]
            waiting += [f"{one.path}?{one.query}".rstrip("?") for one in targets if not one.netloc and not one.scheme]


def is_of_its_own(path: str) -> bool:
    """A list that is narrowed further is of no other kind, nor is a family seen from further on; both are endless.

    TensorBoard is another program.
    """
    if "/lineage?" in path:
        return path.count("=") < 3 or "&depth=2&" in path
    is_list = re.match(r"/[^/]*\?", path) is not None
    return "/tensorboard/" not in path and not (is_list and path.count("=") > 1)
