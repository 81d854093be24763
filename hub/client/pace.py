"""Pace: a limit on the bytes per second of all transfers of one command together.

Law: over any stretch of time no more than the rate times that stretch has passed, plus one second's worth.
"""

import threading
import time


class Pace:
    """A bucket that fills with ``rate`` bytes per second and never holds more than a second's; None: no limit."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._turn = threading.Lock()
        self._free_at = time.monotonic()

    def take(self, size: int) -> None:
        """Wait until ``size`` more bytes may pass."""
        if self._rate is None:
            return
        with self._turn:
            now = time.monotonic()
            self._free_at = max(self._free_at, now - 1.0) + size / self._rate
            wait_s = self._free_at - now
        if wait_s > 0:
            time.sleep(wait_s)
