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
        words, inner = line.split(), groups
        while inner:
            assert words[0] in inner
            command = inner[words.pop(0)]
            inner = getattr(command, "commands", None)
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"(?<=\s)--[a-z-]+", line.split("#")[0])) <= options
