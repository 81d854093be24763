"""Tallies: how often versions were pulled.

Steps: a face counts a pull in memory → once a minute, and when the hub stops, what was counted is written down.

Laws: counting asks the database nothing; what could not be written is kept for the next time; what was not written
when a hub is killed is lost.
"""

import threading
from collections import Counter
from dataclasses import dataclass, field

from hub.storage.catalog import Catalog
from hub.storage.catalog.pulls import today

EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Tallies:
    """The counting of pulls."""

    catalog: Catalog
    _counts: Counter[tuple[str, int]] = field(default_factory=Counter, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, name: str, number: int) -> None:
        """Count one pull of a version."""
        with self._lock:
            self._counts[name, number] += 1

    def write(self) -> None:
        """Write down what was counted since the last time.

        Raises:
            NotAvailable: The database is away; the counts stay.
        """
        with self._lock:
            counts = dict(self._counts)
            self._counts.clear()
        if not counts:
            return
        try:
            with self.catalog.begin() as tx:
                tx.add_pulls(counts, today())
        except BaseException:
            with self._lock:
                self._counts.update(counts)
            raise
