"""Every kind of the hostile corpus gets the answer it must get, and its payload is never run by looking at it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub.domain.reports import Report, Severity
from hub.savedmodel.inspect import inspect
from hub.savedmodel.op_policy import policies
from tests.hostile import assets, bombs, calls, files, graphs, loads, signatures, variables, writing
from tests.hostile.corpus import CANARY_TEXT, ELSEWHERE, KINDS, NO_WAY_IN, Case, Kind
from tests.support.savedmodel_writer import ModelWriter

MODULES = (assets, bombs, calls, files, graphs, loads, signatures, variables, writing)
"""They put their kinds into ``KINDS`` when they are imported."""
MOST_S = 30.0
_FORBIDDEN = (
    "socket.",
    "subprocess.",
    "os.exec",
    "os.fork",
    "os.system",
    "os.posix_spawn",
    "ctypes.",
    "pickle.",
    "marshal.",
)
_WATCHED: list[list[str]] = []


def _note(event: str, arguments: tuple) -> None:
    """Hear of what Python is about to do: files that are opened, processes, connections."""
    if _WATCHED and (event == "open" or event.startswith(_FORBIDDEN)):
        _WATCHED[-1].append(f"{event} {arguments[0]!s}" if event == "open" else event)


sys.addaudithook(_note)


@contextmanager
def watched() -> Iterator[list[str]]:
    """What the block opens, starts and connects to."""
    heard: list[str] = []
    _WATCHED.append(heard)
    try:
        yield heard
    finally:
        _WATCHED.remove(heard)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    proof, canary = tmp_path / "proof", tmp_path / "outside" / "canary"
    proof.mkdir()
    canary.parent.mkdir()
    canary.write_text(CANARY_TEXT)
    return Case(ModelWriter(tmp_path / "model"), proof, canary)


def seen(kind: Kind, case: Case) -> Report:
    """The report of a kind; looking at it opened its own files and did nothing else."""
    policies()
    root = kind.make(case)
    with watched() as heard:
        report = inspect(root).report
    assert [each for each in heard if not each.startswith(f"open {root}/")] == []
    assert list(case.proof.iterdir()) == []
    assert CANARY_TEXT not in report.model_dump_json()
    return report


@pytest.mark.timeout(MOST_S)
@pytest.mark.parametrize("name", [kind.name for kind in KINDS.values() if kind.refused_by])
def test_a_hostile_kind_is_refused_with_what_and_where_and_a_remedy(case: Case, name: str) -> None:
    kind = KINDS[name]
    report = seen(kind, case)
    assert not report.is_accepted
    found = [each for each in report.errors() if each.rule == kind.refused_by]
    assert found, [each.rule for each in report.errors()]
    said = " ".join(f"{each.message} {each.place}" for each in found)
    assert [each for each in kind.names if each not in said] == [], said
    assert found[0].remedy


@pytest.mark.timeout(MOST_S)
@pytest.mark.parametrize("name", [kind.name for kind in KINDS.values() if not kind.refused_by])
def test_a_kind_that_no_scan_may_refuse_is_accepted(case: Case, name: str) -> None:
    kind = KINDS[name]
    report = seen(kind, case)
    assert report.errors() == []
    warnings = [each for each in report.findings if each.severity is Severity.WARNING]
    assert {kind.warned_by} <= {each.rule for each in warnings} | {""}
    said = " ".join(f"{each.message} {each.place}" for each in warnings if each.rule == kind.warned_by)
    assert [each for each in kind.names if each not in said] == [], said


def test_a_good_model_opens_nothing_but_its_own_files(case: Case) -> None:
    assert seen(KINDS["00_benign"], case).safe.answer == "yes"


def test_every_kind_is_made_or_has_no_way_in() -> None:
    assert KINDS.keys().isdisjoint(NO_WAY_IN.keys() | ELSEWHERE.keys())
    assert len(KINDS) > 80


def test_the_watch_hears_what_it_listens_for(tmp_path: Path) -> None:
    with watched() as heard:
        (tmp_path / "x").write_text("x")
    assert heard == [f"open {tmp_path / 'x'}"]
