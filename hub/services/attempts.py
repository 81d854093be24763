"""Attempts: how often something may be tried that others may be trying too.

Law: what is tried is counted before it is known how it ends, so that many at once are many; memory is bounded.
"""

import math
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from hub.domain.errors import Overloaded

_MOST_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Attempts:
    """At most so many attempts within a time, for each of whatever is counted.

    Attributes:
        most: How many.
        within_s: In which time.
    """

    most: int
    within_s: float
    _tried: dict[str, deque[float]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, key: str) -> None:
        """Count one.

        Raises:
            Overloaded: It is one too many; it counts all the same.
        """
        now = time.monotonic()
        with self._lock:
            tried = self._tried.pop(key, None) or deque(maxlen=self.most)
            is_too_many = len(tried) == self.most and tried[0] > now - self.within_s
            tried.append(now)
            while len(self._tried) >= _MOST_KEYS:
                self._tried.pop(next(iter(self._tried)))
            self._tried[key] = tried  # at the end: those that are not used go first
        if is_too_many:
            raise Overloaded(
                "That was tried too often.",
                remedy=f"Wait {round(self.within_s / 60) or 1} minutes, then try again.",
                retry_after_s=math.ceil(self.within_s),
            )

    def forget(self, key: str) -> None:
        """Count from the beginning: who tried was right."""
        with self._lock:
            self._tried.pop(key, None)
