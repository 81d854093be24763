"""The lineage page in a real browser: the drawing, its list, clusters, what may not be seen, and what a yank breaks."""

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from hub.domain.lineage import Edge, EdgeKind
from hub.domain.manifest import Kind
from hub.domain.names import ModelName
from hub.domain.reports import Report, Verdict
from hub.domain.signatures import Signature
from hub.domain.tensors import TensorSpec
from tests.browser.conftest import add

YES = Verdict(answer="yes")
REPORT = Report(servable=YES, tunable=YES, portable=YES, safe=YES)
SIGNATURE = Signature(
    name="serving_default",
    inputs={"x": TensorSpec(name="x", dtype="float32", shape=(None, 4))},
    outputs={"y": TensorSpec(name="y", dtype="float32", shape=(None, 3))},
)


def made_from(version: Any, kind: EdgeKind = EdgeKind.HEAD_OF) -> tuple[Edge, ...]:
    return (Edge(kind=kind, model=version.model, number=version.number, digest=version.digest),)


def plant(house: Any) -> None:
    """A trunk of three versions with heads on them, eight of them on the last, and a head on a private trunk."""

    def push(name: str, message: str, lineage: tuple[Edge, ...] = (), alias: str | None = None) -> Any:
        kind = Kind.HEAD if any(edge.kind is EdgeKind.HEAD_OF for edge in lineage) else Kind.TRUNK
        args: dict[str, Any] = {"kind": kind, "signatures": [SIGNATURE], "report": REPORT}
        return add(house, name, message=message, lineage=lineage, alias=alias, **args)

    first = push("vision/mobilenet-trunk", "one")
    second = push("vision/mobilenet-trunk", "two", made_from(first, EdgeKind.FINETUNED_FROM))
    push("shop/flowers-head", "on two", made_from(second))
    third = push("vision/mobilenet-trunk", "three", alias="production")
    push("vision/mobilenet-lite", "converted", made_from(third, EdgeKind.CONVERTED_FROM))
    push("shop/flowers-head", "on three", made_from(third))
    for number in range(7):
        push(f"lab/head-{number}", f"lab {number}", made_from(third))
    push("lab/secret-head", "secret", made_from(third))
    hidden = push("lab/secret-trunk", "hidden")
    push("shop/odd-head", "odd", made_from(hidden))
    push("vision/alone", "alone")
    with house.browse.catalog.begin() as tx:
        for name in ("lab/secret-head", "lab/secret-trunk"):
            tx.set_private(ModelName.parse(name), True)


@pytest.fixture(scope="module")
def hub(open_hub: Any) -> Any:
    hub = open_hub()
    plant(hub.house)
    return hub


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh reader; whatever the browser complains about fails the test."""
    complaints: list[str] = []
    context = chromium.new_context()
    context.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    yield context
    context.close()
    assert complaints == []


TRUNK = "/vision/mobilenet-trunk/lineage"


def test_from_a_drawn_head_to_its_page(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.goto(hub.url + TRUNK)
    expect(page.get_by_role("heading", level=1)).to_have_text("vision/mobilenet-trunk")
    expect(page.locator(".node.centre")).to_contain_text("mobilenet-trunk@3")
    page.locator(".node", has_text="lab/head-0@1").hover()
    expect(page.locator(".node.lit", has_text="mobilenet-trunk@3")).to_have_count(1)
    expect(page.locator(".node.lit", has_text="lab/head-1")).to_have_count(0)
    page.locator(".node", has_text="lab/head-0@1").click()
    expect(page).to_have_url(f"{hub.url}/lab/head-0/versions/1")


def test_depth_is_in_the_url_and_grows_the_drawing(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.goto(f"{hub.url}{TRUNK}?depth=1")
    expect(page.locator(".node", has_text="mobilenet-trunk@1")).to_have_count(0)
    page.get_by_role("navigation", name="Depth").get_by_role("link", name="2").click()
    expect(page).to_have_url(re.compile(r"depth=2"))
    expect(page.locator(".node", has_text="mobilenet-trunk@1")).to_have_count(1)
    expect(page.locator("text.word", has_text="fine-tuned")).to_have_count(1)


def test_many_siblings_are_one_box_until_it_is_opened(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.goto(f"{hub.url}{TRUNK}?depth=1")
    cluster = page.locator(".node.more")
    expect(cluster).to_contain_text("+ 3 heads")
    expect(page.locator(".node.head")).to_have_count(5)
    cluster.click()
    expect(page.locator(".node.more")).to_have_count(0)
    expect(page.locator(".node.head")).to_have_count(8)


def test_the_list_says_what_the_drawing_says_and_gives_facts(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.goto(f"{hub.url}{TRUNK}?depth=1")
    row = page.get_by_role("row", name="shop/flowers-head@2")
    expect(row).to_contain_text("head of")
    expect(row).to_contain_text("serving_default")
    row.get_by_role("link", name="Show facts of shop/flowers-head@2").click()
    facts = page.get_by_role("complementary")
    expect(facts).to_contain_text("serving_default of vision/mobilenet-trunk@3")
    expect(facts).to_contain_text("shop")


def test_what_a_yank_breaks_is_foretold(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.goto(hub.url + TRUNK)
    page.get_by_role("link", name="What breaks if @3 is yanked").click()
    warning = page.get_by_role("region", name="If @3 is yanked")
    expect(warning.get_by_role("listitem")).to_have_count(4)
    expect(warning).to_contain_text("vision/mobilenet-trunk:production leads nowhere any more")
    expect(warning).to_contain_text("vision/mobilenet-trunk means @2 instead of @3")
    expect(warning).to_contain_text("and 1 private model.")
    expect(page.locator(".node.struck", has_text="mobilenet-trunk@3")).to_have_count(1)


def test_a_version_alone_says_how_to_grow_a_head(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.goto(f"{hub.url}/vision/alone/lineage")
    expect(page.get_by_label("Push a head")).to_have_text("hub push ./your_head you/your-head --head-of vision/alone@1")
    expect(page.locator(".node")).to_have_count(1)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_it_fits_its_window(chromium: Browser, hub: Any, scheme: Any, width: int) -> None:
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    for path in (TRUNK, f"{TRUNK}?impact=3", "/shop/odd-head/lineage"):
        page.goto(hub.url + path)
        missing = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert missing <= 0, path
        page.locator(".graph").scroll_into_view_if_needed()
        expect(page.locator(".node.centre")).to_be_in_viewport()
    context.close()


def test_what_may_not_be_seen_is_only_counted(hub: Any) -> None:
    for path in (TRUNK, "/shop/odd-head/lineage", f"{TRUNK}?impact=3&focus=lab/secret-head@1"):
        answer = httpx2.get(hub.url + path)
        assert answer.status_code == 200
        assert "secret" not in answer.text, path
        assert re.search("1 private (head|trunk)", answer.text), path
    assert httpx2.get(f"{hub.url}/lab/secret-trunk/lineage").status_code == 404


@pytest.mark.parametrize(
    ("query", "status"),
    {
        "depth=9": 200,
        "depth=x&focus=%3Cb%3E&open=%00": 200,
        "version=9": 404,
        "version=x": 404,
        "impact=9": 404,
        "open=" + "a" * 900: 200,
    }.items(),
)
def test_whatever_is_in_the_url_gets_a_page(hub: Any, query: str, status: int) -> None:
    answer = httpx2.get(f"{hub.url}{TRUNK}?{query}")
    assert answer.status_code == status
    assert answer.text.rstrip().endswith("</html>")
    assert len(answer.content) < 60_000
    assert not re.search(r"<b>|<(?:script|style)>|\sstyle=", answer.text)
