"""The training page in a real browser: read, zoomed, smoothed and shared, by mouse and keyboard, dark and narrow."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from hub.domain.access import HUB
from hub.domain.curves import Damage
from hub.protocol.curves import PutCurves
from tests.support.curves import put_curves

VIOLATIONS = "addEventListener('securitypolicyviolation', event => console.error('CSP ' + event.violatedDirective))"
TRAINING = "/acme/shapes/training"
MAX_WIRE_BYTES = 60_000


def trained(scale: float) -> PutCurves:
    steps = range(0, 600, 2)
    return put_curves(
        {
            ("train", "loss"): [(step, scale * math.exp(-step / 200) + 0.1) for step in steps],
            ("validation", "loss"): [(step, scale * math.exp(-step / 200) + 0.2) for step in steps if step % 20 == 0],
            ("train", "accuracy/top1"): [(step, math.nan if step == 40 else step / 600) for step in steps],
        }
    )


@pytest.fixture(scope="module")
def trained_hub(open_hub: Any) -> Any:
    """A hub with curves: of two versions of one model, too many of another, of a private one, and none of a third."""
    hub = open_hub(is_seeded=True)
    put = hub.house.curves.put
    put(HUB, "acme/shapes", 1, trained(2.0))
    damage = Damage(file="train/events.out.tfevents.1", byte=1234, reason="the file ends within a record")
    put(HUB, "acme/shapes", 2, PutCurves(items=trained(1.0).items, damages=(damage,)))
    put(HUB, "acme/words", 1, put_curves({(".", f"layer{n // 30}/norm{n}"): [(0, 1.0)] for n in range(240)}))
    put(HUB, "lab/secret-head", 1, trained(1.0))
    return hub


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def context(chromium: Browser, complaints: list[str]) -> Iterator[BrowserContext]:
    """A fresh reader; whatever the browser complains about fails the test."""
    context = chromium.new_context()
    context.add_init_script(VIOLATIONS)
    context.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    yield context
    context.close()
    assert complaints == []


@pytest.fixture
def visitor(trained_hub: Any) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=trained_hub.url) as client:
        yield client


def opened(context: BrowserContext, hub: Any, path: str) -> Page:
    page = context.new_page()
    page.goto(hub.url + path)
    return page


def test_without_scripts_the_tables_say_everything(visitor: httpx2.Client) -> None:
    page = visitor.get(TRAINING, params={"versions": "2,1", "tags": "LOSS | top5"}).text
    assert "@2/validation" in page
    assert "@1/train" in page
    assert "accuracy/top1" not in page
    assert re.search(r'@2/train</td>\s*<td class="end">0\.1503 <span class="muted">@598</span>', page)
    assert "byte 1,234: the file ends within a record" in page
    one_run = visitor.get(TRAINING, params={"runs": "2/train"}).text
    assert re.findall(r'<tr data-run="([^"]*)"( hidden)?>', one_run) == [
        ("2/train", ""), ("2/validation", " hidden"), ("2/train", "")
    ]  # fmt: skip


def test_nonsense_in_the_address_is_as_if_it_were_not_there(visitor: httpx2.Client) -> None:
    wild = {"versions": "x,,0,2,2,99999999999", "x": "<b>", "smooth": "nan", "log": "9", "runs": '"><i>', "tags": "\0"}
    page = visitor.get(TRAINING, params=wild)
    assert page.status_code == 200
    assert 'value="2"' in page.text
    assert visitor.get(TRAINING, params={"versions": "9"}).status_code == 404
    assert visitor.get("/acme/absent/training").status_code == 404


def test_too_many_tags_are_chosen_from_first(visitor: httpx2.Client) -> None:
    page = visitor.get("/acme/words/training").text
    assert "240 tags are too many" in page
    assert "<hub-chart" not in page
    assert "layer3/" in page
    assert visitor.get("/acme/words/training?tags=layer3/").text.count("<hub-chart") == 30


def test_an_empty_page_says_the_command_that_fills_it(visitor: httpx2.Client) -> None:
    page = visitor.get("/acme/colour-head/training").text
    assert "hub push ./your_saved_model acme/colour-head --head-of acme/shapes@2 --summaries ./logs" in page


def test_the_points_and_the_csv_are_had_by_whoever_signed_in(visitor: httpx2.Client, trained_hub: Any) -> None:
    points, csv = (
        "/lab/secret-head/training/points?version=1&tag=loss",
        "/lab/secret-head/training/curves.csv?version=1",
    )
    assert [visitor.get(path).status_code for path in (points, csv)] == [404, 404]
    form = {"token": trained_hub.token, "next": "/"}
    visitor.post("/login", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert len(visitor.get(points).json()["items"]) == 2
    assert visitor.get(csv).text.startswith("run,tag,step,wall_time,value\r\n")
    assert visitor.get("/lab/secret-head/training/points?version=1").status_code == 422


def test_the_first_page_of_a_model_draws_the_metric_of_the_list_of_versions_without_scripts(
    visitor: httpx2.Client,
) -> None:
    page = visitor.get("/acme/shapes").text
    assert visitor.get("/api/v1/models/acme/shapes/versions").json()["metric"]["tag"] == "accuracy/top1"
    assert 'aria-label="accuracy/top1 from step 0 to 598, between 0 and 0.9967"' in page
    assert re.search(r'd="M0 118\.0(L[\d.]+ [\d.]+)+M', page), "there is a gap where a value is no finite number"
    assert 'aria-labelledby="headline"' not in visitor.get("/acme/colour-head").text


def test_a_headline_of_one_point_is_a_mark_that_can_be_seen(visitor: httpx2.Client) -> None:
    page = visitor.get("/acme/words").text
    assert 'aria-label="layer0/norm0 from step 0 to 0, between 1 and 1"' in page
    assert 'd="M0 118.0h4"' in page


def test_charts_are_read_by_mouse_and_keyboard(context: BrowserContext, trained_hub: Any) -> None:
    page = opened(context, trained_hub, f"{TRAINING}?versions=2,1&tags=loss")
    chart = page.locator("hub-chart")
    expect(chart.locator("svg path[class^=series]").nth(3)).to_be_attached()
    plot = chart.get_by_role("group", name="loss")
    plot.focus()
    page.keyboard.press("Home")
    expect(chart.locator("output")).to_have_text(
        "@2/train 1.1 at 0; @2/validation 1.2 at 0; @1/train 2.1 at 0; @1/validation 2.2 at 0"
    )
    page.keyboard.press("ArrowRight")
    expect(chart.locator("output")).to_contain_text("@2/train 1.09 at 2")
    page.keyboard.press("End")
    expect(chart.locator("output")).to_contain_text("at 598; @2/validation 0.25")
    box = plot.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    expect(chart.locator(".legend strong").first).to_contain_text(re.compile(r"0\.3\d* at 2\d\d|0\.3\d* at 3\d\d"))
    expect(chart.locator(".cursor circle")).to_have_count(4)


def test_a_logarithm_is_drawn_through_stretches_whose_lowest_it_cannot_show(
    context: BrowserContext, trained_hub: Any
) -> None:
    def with_zeros(route: Route) -> None:
        answer = route.fetch()
        drawn = answer.json()
        if "most=" in route.request.url:
            for item in drawn["items"]:
                item["values"][1::2] = [0.0] * len(item["values"][1::2])
        route.fulfill(response=answer, json=drawn)

    context.route(re.compile(r"/training/points\?"), with_zeros)
    page = opened(context, trained_hub, f"{TRAINING}?versions=2&tags=loss&log=1")
    line = page.locator("hub-chart .plot path[class^=series]").first
    expect(line).to_have_attribute("d", re.compile(r"^M[^M]*L[^M]*$"))


def test_everything_that_is_chosen_is_in_the_address_and_comes_back(context: BrowserContext, trained_hub: Any) -> None:
    page = opened(context, trained_hub, f"{TRAINING}?tags=loss")
    chart = page.locator("hub-chart")
    expect(chart.locator("svg path[class^=series]").nth(2)).to_be_attached()
    page.get_by_label("relative").check()
    page.get_by_label("Log").check()
    page.get_by_label("Smooth").fill("0.5")
    page.get_by_label("@2/validation").uncheck()
    expect(chart.locator("svg path.faint")).to_have_count(1)
    plot = chart.get_by_role("group", name="loss")
    box = plot.bounding_box()
    assert box
    page.mouse.move(box["x"] + 120, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 220, box["y"] + 60, steps=3)
    page.mouse.up()
    expect(chart.get_by_role("button", name="Reset zoom")).to_be_visible()
    assert {"x=relative", "log=1", "smooth=0.5", "runs=2%2Ftrain"} <= set(page.url.partition("?")[2].split("&"))
    assert "zoom=" in page.url
    ticks = chart.locator(".tick").all_text_contents()
    again = opened(context, trained_hub, page.url.removeprefix(trained_hub.url))
    expect(again.get_by_role("button", name="Reset zoom")).to_be_visible()
    assert again.locator("hub-chart .tick").all_text_contents() == ticks
    assert again.get_by_label("Log").is_checked()
    again.locator("hub-chart .plot").focus()
    again.keyboard.press("Escape")
    expect(again.get_by_role("button", name="Reset zoom")).to_be_hidden()
    assert "zoom=" not in again.url


def test_smoothing_is_an_average_without_the_pull_to_zero(context: BrowserContext, trained_hub: Any) -> None:
    page = opened(context, trained_hub, TRAINING)
    source = page.locator('script[src$="training.js"]').get_attribute("src")
    assert source
    curves = source.replace("training.js", "curves.js")
    found = page.evaluate(
        """async (url) => {
            const { smoothed, ticks, logTicks, nearest, figures } = await import(url);
            return JSON.stringify([smoothed([4, 4, null, 8], 0.5), ticks(0, 10, 4), logTicks(0.5, 2000, 4),
              [nearest([1, 5, 9], 6.9), nearest([1, 5, 9], 7.1), nearest([1, 5, 9], -3), nearest([], 1)],
              [figures(0.00012), figures(1234567), figures(null), figures(0)]]);
        }""",
        curves,
    )
    average = (4 * 0.125 + 4 * 0.25 + 8 * 0.5) / 0.875
    assert json.loads(found) == [
        [4, 4, None, pytest.approx(average)],
        [0, 5, 10],
        [1, 10, 100, 1000],
        [1, 2, 0, -1],
        ["1.2e-4", "1.235e+6", "not finite", "0"],
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_narrow_dark_screen_and_costs_little(
    chromium: Browser, context: BrowserContext, trained_hub: Any, scheme: Any
) -> None:
    context.close()
    narrow = chromium.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page = narrow.new_page()
    sizes: list[int] = []
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto(f"{trained_hub.url}{TRAINING}?versions=2,1")
    expect(page.locator("hub-chart svg").first).to_be_attached()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert sum(sizes) < MAX_WIRE_BYTES
    for look in ("stroke", "strokeDasharray"):
        assert (
            len(
                set(page.evaluate(f"[...document.querySelectorAll('.runs path')].map(p => getComputedStyle(p).{look})"))
            )
            == 4
        )
    narrow.close()


def test_many_long_noisy_curves_cost_little_too(chromium: Browser, open_hub: Any) -> None:
    hub = open_hub(is_seeded=True)
    noisy = {
        (run, f"part/loss{tag}"): [
            (step, math.exp(-step / 300) + 0.1 * math.sin(step * (tag + 1))) for step in range(1_000)
        ]
        for run in ("train", "validation")
        for tag in range(12)
    }
    hub.house.curves.put(HUB, "acme/shapes", 2, put_curves(noisy))
    reader = chromium.new_context()
    page = reader.new_page()
    sizes: list[int] = []
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto(f"{hub.url}{TRAINING}")
    expect(page.locator("hub-chart svg path[class^=series]").first).to_be_attached()
    page.wait_for_load_state("networkidle")
    assert 20_000 < sum(sizes) < MAX_WIRE_BYTES
    reader.close()


def test_tensorboard_shows_several_versions(chromium: Browser, trained_hub: Any) -> None:
    context = chromium.new_context()
    page = context.new_page()
    refused: list[str] = []
    page.add_init_script(VIOLATIONS)
    page.on("console", lambda said: refused.append(said.text) if said.text.startswith("CSP") else None)
    page.goto(f"{trained_hub.url}{TRAINING}?versions=2,1")
    page.get_by_role("link", name="Open in TensorBoard").click()
    for run in ("@1/train", "@2/validation"):
        expect(page.get_by_text(run).first).to_be_visible(timeout=60_000)
    assert page.url.startswith(f"{trained_hub.url}/acme/shapes/tensorboard/2,1/")
    assert refused == []
    context.close()


def test_a_header_does_not_choose_what_tensorboard_shows(visitor: httpx2.Client, trained_hub: Any) -> None:
    headers = {"Tensorboard-Experiment-Id": "lab/secret-head@1", "Tensorboard_Experiment_Id": "lab/secret-head@1"}
    board = "/acme/shapes/tensorboard/2/data"
    for path in (f"{board}/runs", f"{board}/experiment/lab%2Fsecret-head@1/data/runs"):
        assert "secret" not in visitor.get(path, headers=headers).text
    assert visitor.get(f"{board}/runs", headers=headers).json() == ["@2/train", "@2/validation"]
    tags = visitor.get("/acme/shapes/tensorboard/2/experiment/lab%2Fsecret-head@1/data/plugin/scalars/tags")
    assert tags.status_code == 404
    query = {"tag": "loss", "run": "@2/train"}
    points = visitor.get(f"{board}/plugin/scalars/scalars", params=query).json()
    assert points[0][1:] == [0, pytest.approx(1.1)]
    assert visitor.get("/acme/shapes/tensorboard/99/").status_code == 404
    assert visitor.get("/acme/shapes/tensorboard/x/").status_code == 404
