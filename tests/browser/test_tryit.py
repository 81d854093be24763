"""Trying versions from their page, in a real browser and without scripts."""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from hub import Client
from tests.e2e.conftest import RunningHub, serving
from tests.support.savedmodel_writer import FIXTURES

pytestmark = pytest.mark.timeout(300)  # the first try waits for TensorFlow to start
HEADS = ("shares", "sums")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub with a worker, a trunk and two heads on it."""
    with serving(tmp_path_factory.mktemp("tryit")) as running:
        with Client(running.url, running.token) as client, ThreadPoolExecutor() as pool:
            client.push(FIXTURES / "colours", "demo/colours")
            heads = [
                pool.submit(client.push, FIXTURES / name, f"demo/{name}", head_of="demo/colours@1") for name in HEADS
            ]
            assert all(head.result().version for head in heads)
        yield running


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh reader; whatever the browser complains about fails the test, but refusals that the test asks for."""
    complaints: list[str] = []
    context = chromium.new_context()
    context.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else 0
    )
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    yield context
    context.close()
    assert [text for text in complaints if "status of 422" not in text] == []


TRY = "/demo/colours/try"


def opened(context: BrowserContext, hub: RunningHub, path: str = TRY) -> Page:
    page = context.new_page()
    page.goto(hub.url + path)
    return page


def test_the_example_runs_as_it_stands(context: BrowserContext, hub: RunningHub) -> None:
    page = opened(context, hub)
    page.get_by_role("button", name="Run", exact=True).click()
    result = page.get_by_role("region", name="Response")
    expect(result).to_contain_text("features")
    expect(result).to_contain_text("[2, 3]")
    expect(result.locator(".spent")).to_contain_text(re.compile(r"queue .* ms.*compute .* ms.*cpu:0"))
    expect(result.locator("svg.strip rect")).to_have_count(3)
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_enabled()


def test_a_picture_is_drawn_to_size_and_sent_as_numbers(
    context: BrowserContext, hub: RunningHub, tmp_path: Path
) -> None:
    Image.new("RGB", (60, 40), (255, 128, 0)).save(tmp_path / "orange.png")
    page = opened(context, hub)
    page.get_by_label("Drop, paste or choose an image").set_input_files(tmp_path / "orange.png")
    expect(page.get_by_text("orange.png 60×40 → 6×8")).to_be_visible()
    page.get_by_role("combobox", name="Numbers").select_option("0 to 1")
    page.get_by_role("button", name="Run", exact=True).click()
    result = page.get_by_role("region", name="Response")
    result.get_by_text("JSON", exact=True).click()
    values = json.loads(result.get_by_label("features as JSON").text_content() or "")
    assert values == [pytest.approx([1, 128 / 255, 0], abs=0.01)]
    page.get_by_role("combobox", name="Numbers").select_option("0 to 255")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(result.locator(".figures")).to_contain_text("255")


def test_words_are_sent_as_they_are_typed(context: BrowserContext, hub: RunningHub) -> None:
    page = opened(context, hub)
    page.get_by_label("Signature").select_option("words")
    expect(page).to_have_url(re.compile("signature=words"))
    page.get_by_label("words as text").fill('grün <b> "quoted"\n')
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("region", name="Response").locator(".texts")).to_contain_text('GRüN <B> "QUOTED"')


def test_what_is_refused_says_why_and_stays_in_the_form(context: BrowserContext, hub: RunningHub) -> None:
    page = opened(context, hub, f"{TRY}?signature=picky")
    box = page.get_by_label("x as JSON")
    for text, said in (("[1", "not JSON"), ('"a"', "takes float32"), ("[1, 2]", "shape"), ("101", "x is too large")):
        box.fill(text)
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text(said)
        expect(box).to_have_value(text)
    box.fill("99")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_all_heads_answer_side_by_side(context: BrowserContext, hub: RunningHub) -> None:
    page = opened(context, hub)
    page.get_by_role("button", name="Run all heads").click()
    result = page.get_by_role("region", name="Response")
    expect(result.get_by_role("heading", name="demo/shares@1")).to_be_visible()
    expect(result.get_by_role("heading", name="demo/sums@1")).to_be_visible()
    expect(result.locator(".group").nth(0).locator(".classes tbody tr")).to_have_count(3)


def test_it_works_without_scripts(chromium: Browser, hub: RunningHub) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{hub.url}/login?next=/demo/shares/try")
    page.get_by_label("Token", exact=True).fill(hub.token)
    page.get_by_role("button", name="Use the token").click()
    page.get_by_label("picture as JSON").fill("[[1")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("not JSON")
    expect(page.get_by_label("picture as JSON")).to_have_value("[[1")
    page.get_by_role("link", name="Use example").click()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".classes tbody tr")).to_have_count(3)
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("dark", 1280), ("light", 390)])
def test_it_fits_its_window(chromium: Browser, hub: RunningHub, scheme: Any, width: int) -> None:
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = opened(context, hub)
    page.get_by_role("button", name="Run all heads").click()
    expect(page.locator(".group")).to_have_count(2)
    page.get_by_text("This request as code").click()
    missing = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert missing <= 0
    context.close()


def ask(hub: RunningHub, path: str = TRY, headers: dict[str, str] | None = None, **data: str) -> httpx2.Response:
    sent = {"Origin": hub.url} if headers is None else headers
    return httpx2.post(hub.url + path, data={key.replace("__", "."): text for key, text in data.items()}, headers=sent)


def code_of(answer: httpx2.Response, name: str) -> str:
    found = re.search(rf'<pre id="{name}"[^>]*>(.*?)</pre>', answer.text, re.DOTALL)
    assert found, answer.text
    return unescape(found[1])


@pytest.mark.parametrize(
    "request_",
    [{"json__x": "1.5"}, {"text__words": "it's $HOME\n`x` é"}, {"ask": "heads"}, {"json__words": '[{"b64": "/w=="}]'}],
)
def test_the_code_of_a_request_does_what_the_page_did(hub: RunningHub, request_: dict[str, str]) -> None:
    signature = {"json__x": "picky", "text__words": "words", "json__words": "words"}.get(
        next(iter(request_)), "serving_default"
    )
    answer = ask(hub, f"{TRY}?signature={signature}", **request_)
    assert answer.status_code == 200, answer.text
    environment = hub.environment
    by_curl = subprocess.run(
        ["bash", "-c", code_of(answer, "call-curl")], env=environment, capture_output=True, text=True
    )
    assert "outputs" in json.loads(by_curl.stdout), by_curl
    by_python = subprocess.run(
        [sys.executable, "-c", code_of(answer, "call-python")], env=environment, capture_output=True, text=True
    )
    assert by_python.returncode == 0, by_python.stderr
    raw = json.loads(code_of(answer, "raw-1-1"))
    assert json.dumps(raw) in json.dumps(json.loads(by_curl.stdout)) or request_ == {"ask": "heads"}


def test_a_request_too_long_to_copy_is_a_file(hub: RunningHub, tmp_path: Path) -> None:
    rows = json.dumps([[[[0.25] * 3] * 6] * 8] * 200)
    answer = ask(hub, json__picture=rows)
    assert "keep it as request.json" in answer.text
    url = re.search(r'href="data:application/json;base64,([^"]+)"', answer.text)
    assert url
    (tmp_path / "request.json").write_bytes(base64.b64decode(url[1]))
    for name, program in (("call-curl", ["bash", "-c"]), ("call-python", [sys.executable, "-c"])):
        done = subprocess.run(
            [*program, code_of(answer, name)], env=hub.environment, cwd=tmp_path, capture_output=True, text=True
        )
        assert "0.25" in done.stdout, done.stderr


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_form_from_another_site_is_refused(hub: RunningHub, headers: dict[str, str]) -> None:
    assert ask(hub, headers=headers).status_code == 403


def test_a_form_has_a_limit(hub: RunningHub) -> None:
    answer = ask(hub, json__picture="1" * ((8 << 20) + 1))
    assert answer.status_code == 413
    assert "hub predict" in answer.text


def test_the_state_tells_where_a_version_is_loaded(hub: RunningHub) -> None:
    assert ask(hub).status_code == 200
    assert httpx2.get(f"{hub.url}{TRY}/state").json() == {"loaded_on": "cpu:0"}


def test_an_api_caller_is_told_the_times_who_asks(hub: RunningHub) -> None:
    body = {"signature_name": "picky", "inputs": 1.0}
    url = f"{hub.url}/v1/models/demo/colours:predict"
    timed = httpx2.post(url, json=body, headers={"Hub-Timing": "1"})
    assert re.fullmatch(
        r'(load;dur=[\d.]+, )?queue;dur=[\d.]+, compute;dur=[\d.]+, device;desc="cpu:0"', timed.headers["server-timing"]
    )
    assert "server-timing" not in httpx2.post(url, json=body).headers
