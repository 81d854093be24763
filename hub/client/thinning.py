"""A curve of any length, gathered in bounded memory: exact facts, and as many points as a chart can show.

Points fall into buckets of equally many points, in the order in which they were written. A bucket keeps its smallest
and its greatest value and, where it has one, the first that is no finite number. When there are too many buckets their
size doubles.

Laws: count, last, minimum and maximum are exact; the points that stay have the very first one and the exact last,
minimum and maximum among them; every stretch of the curve keeps its own peaks.
"""

import numpy as np

from hub.domain.curves import Curve, Reading
from hub.protocol.codecs.peaks import buckets_for, peaks
from hub.protocol.codecs.points import Points

_FRESH = 1_024
_KEPT = 4_096
_POINT = np.dtype([("place", "<i8"), ("step", "<i8"), ("wall", "<f8"), ("value", "<f8")])
"""``place`` is where in the order of writing it stands."""


class Gathered:
    """One curve while its points come in."""

    def __init__(self) -> None:
        self.count = 0
        self._not_finite = 0
        self._first = self._last = self._min = self._max = np.empty(0, _POINT)
        self._fresh: list[tuple[int, int, float, float]] = []
        self._kept = np.empty(0, _POINT)
        self._bucket = 1

    def add(self, step: int, wall: float, value: float) -> None:
        """Take one more point."""
        self._fresh.append((self.count, step, wall, value))
        self.count += 1
        if len(self._fresh) == _FRESH:
            self._settle()

    def facts(self, run: str, tag: str) -> Curve:
        """What is known of the whole curve, under its names; it has at least one point."""
        self._settle()
        return Curve(
            run=run,
            tag=tag,
            count=self.count,
            not_finite=self._not_finite,
            last=_reading(self._last) if np.isfinite(self._last["value"]).all() else None,
            min=_reading(self._min),
            max=_reading(self._max),
        )

    def points(self, most: int) -> Points:
        """At most so many of its points (5 or more), by rising step; those of one step as they were written."""
        self._settle()
        kept = self._with_ends(self._kept)
        if len(kept) > most:
            buckets = buckets_for(most, has_gaps=bool(self._not_finite))
            kept = self._with_ends(_peaks(kept, kept["place"] * buckets // self.count))
        kept = kept[np.argsort(kept["step"], kind="stable")]
        return Points(kept["step"].copy(), kept["wall"].copy(), kept["value"].copy())

    def _with_ends(self, points: np.ndarray) -> np.ndarray:
        """These points with the first and the last one, in the order of writing."""
        together = np.concatenate([self._first, points, self._last])
        return together[np.unique(together["place"], return_index=True)[1]]

    def _settle(self) -> None:
        if not self._fresh:
            return
        new = np.array(self._fresh, _POINT)
        self._fresh.clear()
        self._note(new)
        self._kept = np.concatenate([self._kept, _peaks(new, new["place"] // self._bucket)])
        while len(self._kept) > _KEPT:
            self._bucket *= 2
            self._kept = _peaks(self._kept, self._kept["place"] // self._bucket)

    def _note(self, new: np.ndarray) -> None:
        finite = new[np.isfinite(new["value"])]
        self._not_finite += len(new) - len(finite)
        if not len(self._first):
            self._first = new[:1]
        late = np.concatenate([self._last, new])
        self._last = late[len(late) - 1 - int(np.argmax(late["step"][::-1])) :][:1]
        if len(finite):
            low, high = np.concatenate([self._min, finite]), np.concatenate([self._max, finite])
            self._min = low[int(np.argmin(low["value"])) :][:1]
            self._max = high[int(np.argmax(high["value"])) :][:1]


def _reading(point: np.ndarray) -> Reading | None:
    return Reading(step=int(point["step"][0]), value=float(point["value"][0])) if len(point) else None


def _peaks(points: np.ndarray, buckets: np.ndarray) -> np.ndarray:
    """What each bucket keeps; ``buckets`` [count] int64 says which one a point is in, and never falls."""
    return points[peaks(points["value"], buckets)]
