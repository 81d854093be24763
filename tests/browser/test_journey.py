"""A newcomer's first hour: an empty hub, a push, the model's page, a try, a token of one's own, and a pull with it."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.conftest import HUB, RunningHub, serving
from tests.support.savedmodel_writer import FIXTURES

pytestmark = pytest.mark.timeout(300)  # the first try waits for TensorFlow to start


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub that nobody has pushed to, with a worker."""
    with serving(tmp_path_factory.mktemp("journey")) as hub:
        yield hub


def run_shown(page: Page, label: str, hub: RunningHub, folder: Path, token: str) -> str:
    """Run the commands that a page shows, word by word, as somebody who copied them would; what they printed."""
    environment, printed = {**hub.environment, "HUB_TOKEN": token}, ""
    for line in (page.get_by_role("group", name=label, exact=True).text_content() or "").splitlines():
        first, *words = shlex.split(line)
        if first == "export":
            environment |= dict([words[0].split("=", 1)])
            continue
        assert first == "hub", line
        done = subprocess.run(
            [*HUB, *words], env=environment, cwd=folder, capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, done.stderr
        printed += done.stdout
    return printed


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
