"""What is left of a probe when its process ends, however it ends."""

import signal
from pathlib import Path

import pytest

from hub.domain.reports import ProbeResult, Severity, SignatureProbe
from hub.runtime.journal import Ending, Journal, Stage, read_outcome

KILLED = Ending("signal", signal.SIGSEGV)
ANSWERED = {"serving_default": SignatureProbe(status="answered")}


def journal_at(folder: Path, stage: Stage, place: str = "") -> Journal:
    journal = Journal(folder)
    journal.record(loader="object_graph", signatures=ANSWERED, session_loads=True)
    journal.keep_golden(b"golden")
    journal.enter(stage, place)
    return journal


def test_a_probe_that_ended_gives_what_it_found(tmp_path: Path) -> None:
    journal = journal_at(tmp_path, "done")
    assert read_outcome(tmp_path, Ending("exit")) == (journal.result, b"golden")


@pytest.mark.parametrize("stage", ["begin", "load", "call"])
def test_a_probe_that_died_while_it_loaded_or_called_says_that_nothing_can_serve_it(
    tmp_path: Path, stage: Stage
) -> None:
    journal_at(tmp_path, stage, "serving_default")
    result, golden = read_outcome(tmp_path, KILLED)
    assert (result.loader, golden) == (None, None)
    (finding,) = result.findings
    assert (finding.rule, finding.severity, finding.place) == ("probe.crashed", Severity.ERROR, "serving_default")
    assert "SIGSEGV" in finding.message


def test_a_probe_that_died_later_keeps_what_it_had_found(tmp_path: Path) -> None:
    journal_at(tmp_path, "session")
    result, golden = read_outcome(tmp_path, KILLED)
    assert (result.loader, result.session_loads, result.signatures, golden) == (
        "object_graph",
        False,
        ANSWERED,
        b"golden",
    )
    journal_at(tmp_path, "tuning")
    result, _ = read_outcome(tmp_path, Ending("timeout"))
    assert (result.session_loads, result.training_call) == (True, False)
    assert result.findings[-1].rule == "probe.timed-out"
    assert result.findings[-1].severity is Severity.WARNING


@pytest.mark.parametrize("written", [None, b"", b"{", b"[]", b'{"stage": "nowhere"}', b"x" * (9 << 20)])
def test_a_journal_that_is_absent_or_nonsense_is_a_crash(tmp_path: Path, written: bytes | None) -> None:
    if written is not None:
        (tmp_path / "journal.json").write_bytes(written)
    result, golden = read_outcome(tmp_path, Ending("exit", 70))
    assert golden is None
    assert [finding.rule for finding in result.findings] == ["probe.crashed"]
    assert result.loader is None


def test_a_link_in_place_of_the_golden_samples_is_not_followed(tmp_path: Path) -> None:
    journal_at(tmp_path, "done")
    (tmp_path / "golden.npz").unlink()
    (tmp_path / "golden.npz").symlink_to("/etc/passwd")
    assert read_outcome(tmp_path, Ending("exit"))[1] is None


def test_findings_add_up(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.result == ProbeResult()
    journal.find("probe.a", Severity.NOTE, "one")
    journal.find("probe.b", Severity.WARNING, "two", place="here")
    assert [finding.rule for finding in journal.result.findings] == ["probe.a", "probe.b"]
