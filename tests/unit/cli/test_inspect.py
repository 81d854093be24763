"""``hub inspect``: what a person reads, what a program reads, and how it ends."""

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hub.cli.inspect import inspect

FIXTURES = Path(__file__).parents[2] / "fixtures" / "savedmodels"


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(inspect)
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])


def test_a_sound_model_is_shown_with_signatures_face_and_answers(run):
    result = run(FIXTURES / "trunk")
    assert result.exit_code == 0
    assert "inputs: float32[?, 3]" in result.stdout
    assert "training=False and True" in result.stdout
    for question in ("servable", "tunable", "portable", "safe"):
        assert question in result.stdout
    assert "\x1b" not in result.stdout


def test_a_broken_model_ends_with_1_and_its_findings_with_remedies(run, tmp_path):
    root = Path(shutil.copytree(FIXTURES / "trunk", tmp_path / "trunk"))
    (root / "variables/variables.data-00000-of-00001").unlink()
    result = run(root)
    assert result.exit_code == 1
    assert "layout.missing-shard" in result.stdout
    assert "→ Copy the missing file" in result.stdout


def test_json_is_one_object_with_the_whole_report(run):
    result = run(FIXTURES / "vocab", "--json")
    found = json.loads(result.stdout)
    assert found["is_accepted"]
    assert found["signatures"]["serving_default"]["inputs"]["words"]["dtype"] == "string"
    assert found["report"]["facts"]["assets"] == ["words.txt"]


def test_names_from_a_model_are_not_read_as_markup(run, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m/[bold]x[").mkdir()
    (tmp_path / "m/[bold]x[/saved_model.pb").write_bytes(b"")
    result = run(tmp_path / "m")
    assert result.exit_code == 1
    assert "[bold]x[" in result.stdout


def test_a_path_that_is_not_there_is_wrong_usage(run):
    assert run("/nowhere/at/all").exit_code == 2
