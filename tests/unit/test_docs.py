"""What the documentation says exists, exists."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from hub.cli.main import app
from hub.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
HOW_TO_RUN = ROOT / "docs/how-to/run-a-hub.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path):
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert not [to for to in targets if "://" not in to and not (page.parent / to).exists()]


def test_the_settings_table_has_the_names_and_defaults_of_the_settings():
    rows = re.findall(r"^\| `HUB_(\w+)` \| .* \| (.+) \|$", HOW_TO_RUN.read_text(), re.MULTILINE)
    assert rows
    for name, default in rows:
        real = Settings.model_fields[name.lower()].default
        assert real is None or str(real) == default.strip("`") or float(default) == real


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_on_a_page_is_a_command(page: Path):
    groups = get_command(app).commands
    blocks = "\n".join(re.findall(r"^```sh.*?\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL))
    for line in re.findall(r"^hub ([a-z].*)$", blocks, re.MULTILINE):
        first, second = [*line.split(), ""][:2]
        assert first in groups
        inner = getattr(groups[first], "commands", None)
        assert inner is None or second in inner
        options = {
            option for parameter in (inner[second] if inner else groups[first]).params for option in parameter.opts
        }
        assert set(re.findall(r"(?<=\s)--[a-z-]+", line.split("#")[0])) <= options
