"""Progress: what a push or a pull is doing, told to whoever wants to show it.

Law: ``done`` grows to ``total`` within one stage, except that bytes which must be sent again are taken back first.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """What is going on."""

    INSPECT = "inspect"
    HASH = "hash"
    UPLOAD = "upload"
    VALIDATE = "validate"
    WAIT = "wait"
    DOWNLOAD = "download"
    ASSEMBLE = "assemble"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is, in bytes; ``total`` 0 where it has no bytes to count."""

    stage: Stage
    done: int = 0
    total: int = 0
    note: str = ""


ProgressSink = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Shows nothing."""


class Meter:
    """Adds up the bytes of one stage from several threads."""

    def __init__(self, sink: ProgressSink, stage: Stage, total: int) -> None:
        self._sink = sink
        self._stage = stage
        self._total = total
        self._done = 0
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        """Count ``size`` more bytes; fewer where it is negative."""
        with self._lock:
            self._done += size
            self._sink(Progress(self._stage, self._done, self._total))
