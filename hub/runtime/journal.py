"""The journal of a probe: what it found so far and what it is about to do, on disk before it does it.

The probing process may be killed at any moment by the model it probes. The journal says what it was doing then, and
keeps what it had found before. Free of TensorFlow: the engine reads it.

Laws: ``read_outcome`` never raises on what a hostile process may have written; a probe that died while it loaded or
called the version has ``loader`` None; one that died later keeps what it found.
"""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from hub.domain.manifest import BLOB_BYTES
from hub.domain.reports import Finding, ProbeResult, Severity

Stage = Literal["begin", "load", "call", "session", "tuning", "done"]
_JOURNAL = "journal.json"
_GOLDEN = "golden.npz"
_MAX_JOURNAL_BYTES = 8 << 20
_DOING: dict[Stage, str] = {
    "begin": "started",
    "load": "loaded the version",
    "call": "called signature",
    "session": "used the session loader",
    "tuning": "called the trunk for training",
    "done": "ended",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How the probing process ended: by itself with a code, by a signal, over time, or with its zygote."""

    kind: Literal["exit", "signal", "timeout", "lost"]
    number: int = 0

    def __str__(self) -> str:
        match self.kind:
            case "exit":
                return f"ended with exit code {self.number}"
            case "signal":
                known = self.number in set(signal.Signals)
                return f"was killed by {signal.Signals(self.number).name if known else self.number}"
            case "timeout":
                return "took too long and was killed"
            case "lost":
                return "took its parent process down"


class _Page(BaseModel):
    model_config = ConfigDict(frozen=True)

    stage: Stage
    place: str
    result: ProbeResult


class Journal:
    """Writes the journal of one probe."""

    def __init__(self, folder: Path) -> None:
        """Write into ``folder``."""
        self._folder = folder
        self.result = ProbeResult()

    def enter(self, stage: Stage, place: str = "") -> None:
        """Say what comes next; what was found so far is safe from here on."""
        page = _Page(stage=stage, place=place, result=self.result)
        self._write(_JOURNAL, page.model_dump_json().encode())

    def record(self, **found: Any) -> None:
        """Set fields of the result."""
        self.result = self.result.model_copy(update=found)

    def find(self, rule: str, severity: Severity, message: str, *, place: str = "", remedy: str = "") -> None:
        """Add a finding."""
        finding = Finding(rule=rule, severity=severity, message=message, place=place, remedy=remedy)
        self.record(findings=(*self.result.findings, finding))

    def keep_golden(self, data: bytes) -> None:
        """Keep the golden samples."""
        self._write(_GOLDEN, data)

    def _write(self, name: str, data: bytes) -> None:
        work = self._folder / f"{name}.work"
        work.write_bytes(data)
        work.replace(self._folder / name)


def read_outcome(folder: Path, ending: Ending) -> tuple[ProbeResult, bytes | None]:
    """What a probe that has ended found, and its golden samples.

    Args:
        folder: Where it wrote.
        ending: How its process ended.
    """
    page = _read_page(folder)
    if page is None:
        return _crashed(ProbeResult(), "begin", "", ending), None
    result = page.result if page.stage == "done" else _crashed(page.result, page.stage, page.place, ending)
    return result, _read_limited(folder / _GOLDEN, BLOB_BYTES) if result.loader else None


def _read_page(folder: Path) -> _Page | None:
    data = _read_limited(folder / _JOURNAL, _MAX_JOURNAL_BYTES)
    try:
        return _Page.model_validate(orjson.loads(data)) if data is not None else None
    except (ValidationError, ValueError):
        return None


def _read_limited(path: Path, limit: int) -> bytes | None:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            data = file.read(limit + 1)
    except OSError:
        return None
    return data if len(data) <= limit else None


def _crashed(result: ProbeResult, stage: Stage, place: str, ending: Ending) -> ProbeResult:
    doing = f"{_DOING[stage]} {place}".strip()
    is_fatal = stage in ("begin", "load", "call")
    finding = Finding(
        rule="probe.timed-out" if ending.kind == "timeout" else "probe.crashed",
        severity=Severity.ERROR if is_fatal else Severity.WARNING,
        message=f"The process that {doing} {ending}.",
        place=place,
        remedy="Load the model and call it on small inputs on your own machine; it must answer within minutes.",
    )
    changed: dict[str, Any] = {"findings": (*result.findings, finding)}
    if is_fatal:
        changed["loader"] = None
    elif stage == "session":
        changed["session_loads"] = False
    else:
        changed["training_call"] = False
    return result.model_copy(update=changed)
