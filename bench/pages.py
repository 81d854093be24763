"""Measures the dashboard's pages in a real Chromium: ``python -m bench.pages``.

A real ``hub serve`` hands out a catalog in which every page has much to show. Pages take turns, round by round, each in
a tab of its own with nothing kept from before: once as they are, and once *slow*, with a processor of a quarter of the
speed and a network of 10 Mbit/s and 40 ms. Nothing fails because something is slow.
"""

import argparse
import json
import shutil
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from bench import servers
from bench.pages_seeding import MODEL, seeded
from bench.processes import ROOT, CannotRun, end_cleanly_when_told, own_folder
from bench.report import machine
from tests.browser.walk import Wire

PAGES = {
    "models": "/",
    "owner": "/acme",
    "overview": f"/{MODEL}",
    "versions": f"/{MODEL}/versions",
    "diff": f"/{MODEL}/diff/1..2",
    "signatures": f"/{MODEL}/signatures",
    "training": f"/{MODEL}/training",
    "lineage": f"/{MODEL}/lineage?depth=3",
    "files": f"/{MODEL}/files",
    "try it": f"/{MODEL}/try",
    "workers": "/workers",
    "API": "/docs/api",
    "tokens": "/settings/tokens",
    "audit": "/settings/audit",
}
WAYS = ("plain", "slow")
WANTED_MS = {"plain": 500.0, "slow": 1_200.0}
WANTED_BYTES = 60_000
_SLOW_CPU = 4
_SLOW_NETWORK = {"offline": False, "latency": 40, "downloadThroughput": 1_250_000, "uploadThroughput": 1_250_000}
_SETTLED_MS = {"plain": 600, "slow": 1_500}
_OUT = ROOT / "build" / "bench"
_WATCH = """
window.benchTasks = [];
new PerformanceObserver(list => list.getEntries().forEach(task => benchTasks.push(task.startTime + task.duration)))
  .observe({ type: "longtask", buffered: true });
window.benchLargest = 0;
new PerformanceObserver(list => list.getEntries().forEach(paint => { benchLargest = paint.startTime; }))
  .observe({ type: "largest-contentful-paint", buffered: true });
"""
_READ = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const first = performance.getEntriesByName("first-contentful-paint")[0].startTime;
  const loaded = performance.getEntriesByType("resource").map(one => one.responseEnd);
  const done = [first, benchLargest, page.domContentLoadedEventEnd, ...loaded, ...benchTasks];
  return { first_paint_ms: first, dom_ready_ms: page.domContentLoadedEventEnd, interactive_ms: Math.max(...done) };
}"""


@dataclass(frozen=True, slots=True)
class Visit:
    """One look at a page, in milliseconds from when it was asked for.

    Attributes:
        first_paint_ms: The first text or picture is seen.
        dom_ready_ms: The page is read and its scripts have run.
        interactive_ms: The last of: that, the largest paint, the last thing fetched, the end of the last long task.
        wire_bytes: What came over the wire, headers too.
        requests: What was asked for.
    """

    first_paint_ms: float
    dom_ready_ms: float
    interactive_ms: float
    wire_bytes: int
    requests: int


def main() -> None:
    """Measure what was asked for."""
    end_cleanly_when_told()
    given = _arguments()
    with own_folder("bench-pages-") as folder:
        options = seeded(folder / "seeded")
        with servers.hub(folder / "hub", **options) as hub, _chromium() as browser:
            rows = _measured(browser, hub, given.pages, given.times)
    for way in WAYS:
        _tell(way, [row for row in rows if row["way"] == way])
    given.out.mkdir(parents=True, exist_ok=True)
    settings = {"times": given.times, "pages": given.pages}
    (given.out / "pages.json").write_text(
        json.dumps({"settings": settings, "machine": machine(), "pages": rows}, indent=1) + "\n"
    )
    late = [f"{row['page']} ({row['way']})" for row in rows if not row["is_met"]]
    print(f"\nInteractive and small in time: {'NO: ' + ', '.join(late) if late else 'yes, all'}")
    print(f"In {given.out}: pages.json")


@contextmanager
def _chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise CannotRun("Chromium is missing: apt-get install --no-install-recommends chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def _measured(browser: Browser, hub: servers.Server, names: Sequence[str], times: int) -> list[dict[str, Any]]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(_WATCH)
    form = {"token": hub.environment["HUB_TOKEN"], "next": "/"}
    context.request.post(f"{hub.url}/login", form=form, headers={"Origin": hub.url})
    visits: dict[tuple[str, str], list[Visit]] = {(name, way): [] for name in names for way in WAYS}
    for number in range(times + 1):
        for (name, way), seen in visits.items():
            visit = _visit(context, hub.url + PAGES[name], way)
            if number:  # the first round warms the hub up
                seen.append(visit)
        print(f"  round {number} of {times}", flush=True)
    context.close()
    return [_row(name, way, seen) for (name, way), seen in visits.items()]


def _visit(context: BrowserContext, url: str, way: str) -> Visit:
    page = context.new_page()
    wire = Wire(page)
    if way == "slow":
        wire.session.send("Emulation.setCPUThrottlingRate", {"rate": _SLOW_CPU})
        wire.session.send("Network.emulateNetworkConditions", _SLOW_NETWORK)
    page.goto(url, wait_until="load")
    page.wait_for_timeout(_SETTLED_MS[way])
    times = page.evaluate(_READ)
    page.close()
    return Visit(**times, wire_bytes=round(wire.bytes), requests=wire.requests)


def _row(name: str, way: str, visits: Sequence[Visit]) -> dict[str, Any]:
    """A page one way: the median of each figure, and every single visit."""
    columns = [asdict(visit) for visit in visits]
    median = {key: statistics.median(column[key] for column in columns) for key in columns[0]}
    is_met = median["interactive_ms"] <= WANTED_MS[way] and median["wire_bytes"] <= WANTED_BYTES
    return {"page": name, "way": way, "is_met": is_met} | median | {"visits": columns}


def _tell(way: str, rows: Sequence[dict[str, Any]]) -> None:
    wanted = f"at most {WANTED_MS[way]:.0f} ms, {WANTED_BYTES // 1000} KB"
    print(
        f"\n{way + ', ' + wanted:<34}{'first paint':>12}{'DOM ready':>12}{'interactive':>12}{'KB':>8}{'requests':>10}"
    )
    for row in rows:
        times = "".join(f"{row[key]:>12.0f}" for key in ("first_paint_ms", "dom_ready_ms", "interactive_ms"))
        verdict = "" if row["is_met"] else "  NO"
        print(f"  {row['page']:<32}{times}{row['wire_bytes'] / 1000:>8.1f}{row['requests']:>10.0f}{verdict}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.pages", description=__doc__)
    parser.add_argument("--times", type=int, default=9, help="that each page is looked at, each way")
    parser.add_argument("--pages", type=lambda text: text.split(","), default=list(PAGES), help=", ".join(PAGES))
    parser.add_argument("--quick", action="store_true", help="look at each page once")
    parser.add_argument("--out", type=Path, default=_OUT)
    given = parser.parse_args()
    if unknown := set(given.pages) - set(PAGES):
        parser.error(f"There is no page {sorted(unknown)}; there are {list(PAGES)}.")
    if given.quick:
        given.times = 1
    return given


if __name__ == "__main__":
    main()
