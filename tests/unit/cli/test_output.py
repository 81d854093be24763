"""How commands print."""

import sys
from datetime import UTC, datetime

import pytest

from hub.cli.output import plain, put_json, put_rows, size_text, time_text


def test_what_could_steer_a_terminal_is_not_printed():
    assert plain("a\x1b[31mred\x07\u202eevil\x00\n\tb") == "a[31mredevil\n\tb"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (28_370_000, "28.4 MB"), (5 * 10**15, "5000.0 TB")]
)
def test_sizes_are_for_people(size: int, text: str):
    assert size_text(size) == text


def test_a_moment_that_never_came_is_a_dash():
    assert time_text(None) == "-"
    assert time_text(datetime(2026, 5, 1, 12, 30, tzinfo=UTC)).startswith("2026-0")


def test_outside_a_terminal_rows_are_whole_tab_separated_lines(capsys: pytest.CaptureFixture[str]):
    put_rows(("NAME", "MESSAGE"), [("acme/echo", "two\nlines\tand a tab " + "x" * 200)])
    assert capsys.readouterr().out == "acme/echo\ttwo lines and a tab " + "x" * 200 + "\n"


def test_heads_in_a_terminal_are_no_markup_and_do_not_steer_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    put_rows(("VERSION", "[/b]\x1bloss"), [("acme/echo@1", "0.5")])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["VERSION", "[/b]loss"],
        ["acme/echo@1", "0.5"],
    ]


def test_json_is_indented(capsys: pytest.CaptureFixture[str]):
    put_json({"a": [1, 2]})
    assert capsys.readouterr().out == '{\n  "a": [\n    1,\n    2\n  ]\n}\n'
