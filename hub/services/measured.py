"""The metrics of a diff, from the curves of both versions. Pure; a part of diff.

Law: curves are the same metric where tag and run are; what the tag does not say is better is not called so.
"""

from collections.abc import Iterable
from math import isfinite

from hub.domain.curves import Curve
from hub.domain.metrics import Better, Metric, better, metric_of
from hub.protocol.diffs import MAX_ROWS, MetricRow, Metrics


def metric_rows(before: Iterable[Curve], after: Iterable[Curve], *, is_whole: bool) -> Metrics:
    """Every metric side by side, by tag and run; only those that differ unless ``is_whole``."""
    was, now = ({(curve.tag, curve.run): metric_of(curve) for curve in curves} for curves in (before, after))
    rows = [_row(*key, was.get(key), now.get(key)) for key in sorted(was.keys() | now.keys())]
    shown = [row for row in rows if is_whole or row.status != "same"]
    return Metrics(rows=tuple(shown[:MAX_ROWS]), total=len(shown))


def _row(tag: str, run: str, was: Metric | None, now: Metric | None) -> MetricRow:
    way, delta = better(tag), _delta(was, now)
    status = "added" if was is None else "removed" if now is None else "same" if was == now else "changed"
    improved = (delta < 0) == (way is Better.LOWER) if way and delta else None
    return MetricRow(tag=tag, run=run, better=way, status=status, before=was, after=now, delta=delta, improved=improved)


def _delta(was: Metric | None, now: Metric | None) -> float | None:
    if was is None or now is None or was.last is None or now.last is None:
        return None
    delta = now.last.value - was.last.value
    return delta if isfinite(delta) else None
