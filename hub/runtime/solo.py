"""Solo: which computations the event loop does itself, where others are handed to a thread.

Changing threads and coming back costs a model of 3 ms up to a quarter of that, and is worth it only where something
else can be done meanwhile. Laws: what is not known to be short is handed over; what takes longer than a moment is done
by the loop only where nobody came beside the last few of its kind, so of those who come together only one waits so.
"""

SHORT_S = 0.001
"""What takes less is done by the loop, whoever waits."""
MODEST_S = 0.05
"""What takes longer is never done by the loop."""
_LONG_S = 0.01  # what takes less may have waited for a core
ALONE = 16
"""Computations in succession beside which nobody came."""
_MAX_REMEMBERED = 1_024


class Solo:
    """Decides by how long versions took, and by who came meanwhile."""

    def __init__(self, longest_s: float = MODEST_S) -> None:
        """Have the loop do nothing that takes ``longest_s`` or more."""
        self._longest_s = longest_s
        self._seconds: dict[str, float] = {}
        self._alone = 0

    def is_for(self, version: str, *, is_idle: bool) -> bool:
        """Whether the loop computes a batch of a version itself; ``is_idle`` where nothing else waits or computes."""
        is_alone = is_idle and self._alone >= ALONE
        return self._seconds.get(version, SHORT_S) < (self._longest_s if is_alone else SHORT_S)

    def came(self, *, is_idle: bool) -> None:
        """A request came, while nothing waited or computed, or beside others."""
        if not is_idle:
            self._alone = 0

    def took(self, version: str, seconds: float, *, has_company: bool = False) -> None:
        """A batch was computed: one that took long counts at once, others only by and by.

        Args:
            version: What computed.
            seconds: How long.
            has_company: Whether somebody came meanwhile and had to wait.
        """
        if len(self._seconds) >= _MAX_REMEMBERED:
            self._seconds.clear()
        before = self._seconds.get(version, seconds)
        by_and_by = before + (seconds - before) / 8
        self._seconds[version] = max(seconds, by_and_by) if seconds >= _LONG_S else by_and_by
        if seconds >= SHORT_S:
            self._alone = 0 if has_company else self._alone + 1
