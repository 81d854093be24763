"""Solo: which computations the event loop does itself, where others are handed to a thread.

Changing threads and coming back costs a model of 3 ms up to a quarter of that, and is worth it only where something
else can be done meanwhile. Laws: what is not known to be short is handed over, and what has more rows is thought to
take as much longer; what takes longer than a moment is done by the loop only where nobody came beside the last few, so
of those who come together only one waits so.
"""

from typing import Any

SHORT_S = 0.001
"""What takes less is done by the loop, whoever waits."""
MODEST_S = 0.05
"""What takes longer is never done by the loop."""
_LONG_S = 0.01  # what takes less may have waited for a core
ALONE = 16
"""Computations in succession beside which nobody came."""
Kind = tuple[Any, ...]
_MAX_REMEMBERED = 1_024


class Solo:
    """Decides by how long batches of a kind took, row for row, and by who came meanwhile."""

    def __init__(self, longest_s: float = MODEST_S) -> None:
        """Have the loop do nothing that takes ``longest_s`` or more."""
        self._longest_s = longest_s
        self._usual: dict[Kind, tuple[float, float]] = {}
        self._alone = 0

    def is_for(self, kind: Kind | None, rows: int, *, is_idle: bool) -> bool:
        """Whether the loop computes a batch itself; ``is_idle`` where nothing else waits or computes."""
        usual = None if kind is None else self._usual.get(kind)
        if usual is None:
            return False
        seconds, usual_rows = usual
        is_alone = is_idle and self._alone >= ALONE
        return seconds * max(1.0, rows / usual_rows) < (self._longest_s if is_alone else SHORT_S)

    def came(self, *, is_idle: bool) -> None:
        """A request came, while nothing waited or computed, or beside others."""
        if not is_idle:
            self._alone = 0

    def took(self, kind: Kind | None, rows: int, seconds: float, *, has_company: bool = False) -> None:
        """A batch was computed: one that took long counts at once, others only by and by.

        Args:
            kind: Its version, signature, shapes but for the rows, and heads: what takes as long as others with as many
                rows; None where nothing can be said for others.
            rows: How many it had; at least 0.
            seconds: How long it took.
            has_company: Whether somebody came meanwhile and had to wait.
        """
        if seconds >= SHORT_S:
            self._alone = 0 if has_company else self._alone + 1
        if kind is None:
            return
        if len(self._usual) >= _MAX_REMEMBERED:
            self._usual.clear()
        usual_s, usual_rows = self._usual.get(kind, (seconds, max(1, rows)))
        by_and_by = usual_s + (seconds - usual_s) / 8, usual_rows + (max(1, rows) - usual_rows) / 8
        is_long = seconds >= max(_LONG_S, by_and_by[0])
        self._usual[kind] = (seconds, max(1, rows)) if is_long else by_and_by
