"""Marks: which versions a worker runs right now, where the engine can read it once the worker is dead.

A model may end its process in any way: the marks say whose code ran then, and for which request, where it ran for one
alone. Free of TensorFlow: the engine reads them.

Laws: marking takes about a microsecond and never waits for the disk; ``read_marks`` never raises on what a hostile
process may have written.
"""

import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SLOT_BYTES = 128
_SLOTS = 32  # more threads than run models at once
_NUMBER = slice(72, 80)
_MARK = re.compile(rb"([ab])(sha256:[0-9a-f]{64})(.{8})\0*", re.DOTALL)
_ASKED, _BEFOREHAND = b"a", b"b"


@dataclass(frozen=True, slots=True)
class Running:
    """What a thread was doing.

    Attributes:
        digest: The version.
        is_asked: Whether it answered requests; otherwise it was loaded, or measured beforehand.
        request: The only request that it ran for, by its number in the worker; 0 where it is not one.
    """

    digest: str
    is_asked: bool
    request: int = 0


class Mark:
    """What one thread is doing."""

    __slots__ = ("_view",)

    def __init__(self, view: memoryview | None) -> None:
        """Write into ``view``; nowhere where there is none."""
        self._view = view

    def at(self, digest: str) -> None:
        """Note that this version runs now."""
        if self._view is not None:
            self._view[1 : 1 + len(digest)] = digest.encode()

    def request(self, number: int) -> None:
        """Note the only request that it runs for; 0 where there are several, or none."""
        if self._view is not None:
            self._view[_NUMBER] = (number % (1 << 64)).to_bytes(8, "little")

    def kind(self, kind: bytes) -> None:
        """Note why it runs; that none does where this is zero."""
        if self._view is not None:
            self._view[:1] = kind


UNMARKED = Mark(None)


class Marks:
    """The marks of one process."""

    def __init__(self, path: Path | None = None) -> None:
        """Start with none, kept in the file ``path``; nowhere that outlives the process without it."""
        size = _SLOTS * _SLOT_BYTES
        if path is None:
            self._memory = mmap.mmap(-1, size)
        else:
            with path.open("wb+") as file:
                file.truncate(size)
                self._memory = mmap.mmap(file.fileno(), size)
        view = memoryview(self._memory)
        self._free = [Mark(view[at : at + _SLOT_BYTES]) for at in range(0, size, _SLOT_BYTES)]

    @contextmanager
    def doing(self, digest: str, *, is_asked: bool = True, request: int = 0) -> Iterator[Mark]:
        """Within it this version runs, or what the mark is told.

        Args:
            digest: The version.
            is_asked: Whether it answers requests; otherwise it is loaded, or measured beforehand.
            request: The only request that it runs for.
        """
        mark = self._free.pop() if self._free else UNMARKED
        mark.at(digest)
        mark.request(request)
        mark.kind(_ASKED if is_asked else _BEFOREHAND)
        try:
            yield mark
        finally:
            mark.kind(b"\0")
            if mark is not UNMARKED:
                self._free.append(mark)


def read_marks(path: Path) -> tuple[Running, ...]:
    """What ran when the process of these marks ended."""
    try:
        with path.open("rb") as file:
            written = file.read(_SLOTS * _SLOT_BYTES)
    except OSError:
        return ()
    slots = (written[at : at + _SLOT_BYTES] for at in range(0, len(written), _SLOT_BYTES))
    found = (match for slot in slots if (match := _MARK.fullmatch(slot)))
    return tuple(Running(match[2].decode(), match[1] == _ASKED, int.from_bytes(match[3], "little")) for match in found)
