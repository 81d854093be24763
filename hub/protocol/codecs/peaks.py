"""Fewer points of a curve: of every stretch the smallest and the greatest value, so that no peak is lost.

Laws: the points that stay have the first and the last one, the minimum and the maximum among them, in their order; one
that is no finite number stays for each stretch that has one.
"""

import math

import numpy as np

from hub.protocol.codecs.points import Points

_DIGITS, _MOST_DIGITS = 4, 9
_MOST_DECIMALS = 6


def peaks(values: np.ndarray, buckets: np.ndarray) -> np.ndarray:
    """What each bucket keeps.

    Args:
        values: [count] of floats.
        buckets: [count] int64: the one that each is in; never falls.

    Returns:
        [kept] int64, rising: places in ``values``.
    """
    is_finite = np.isfinite(values)
    finite, other = np.flatnonzero(is_finite), np.flatnonzero(~is_finite)
    order = finite[np.lexsort((values[finite], buckets[finite]))]
    sorted_buckets = buckets[order]
    is_lowest = np.diff(sorted_buckets, prepend=-1) != 0
    is_highest = np.diff(sorted_buckets, append=-1) != 0
    _, first_other = np.unique(buckets[other], return_index=True)
    return np.unique(np.concatenate([order[is_lowest], order[is_highest], other[first_other]]))


def buckets_for(most: int, *, has_gaps: bool) -> int:
    """How many buckets give at most ``most`` points with the ends; ``has_gaps`` where some are no finite numbers."""
    return max(1, (most - 2) // (3 if has_gaps else 2))


def thinned(points: Points, most: int) -> Points:
    """At most so many points (5 or more), as exact as a drawing of them.

    Values keep four digits, and as many more as it takes to tell a thousandth of what the curve spans; so do times.
    """
    count = len(points)
    if count <= most:
        return points
    buckets = buckets_for(most, has_gaps=not np.isfinite(points.values).all())
    inner = peaks(points.values, np.arange(count, dtype=np.int64) * buckets // count)
    kept = np.unique(np.concatenate([[0], inner, [count - 1]]))
    return Points(points.steps[kept], _short_times(points.walls[kept]), _short(points.values[kept]))


def _short(values: np.ndarray) -> np.ndarray:
    finite = values[np.isfinite(values)].tolist()
    span = max(finite) - min(finite) if finite else 0.0
    more = math.ceil(math.log10(max(1.0, max(map(abs, finite)) / span))) if span else _MOST_DIGITS
    digits = min(_DIGITS + more, _MOST_DIGITS)
    return np.array([_shortened(value, digits) for value in values.tolist()])


def _shortened(value: float, digits: int) -> float:
    short = float(f"{value:.{digits}g}")
    return value if math.isinf(short) else short  # the largest of all numbers have none above them


def _short_times(walls: np.ndarray) -> np.ndarray:
    span = float(np.ptp(walls))
    decimals = math.ceil(-math.log10(span / 1_000)) if span else 0
    return np.round(walls, min(max(0, decimals), _MOST_DECIMALS))
