"""However long a curve is, its facts are exact and its peaks are among the points that stay."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.client import thinning
from hub.client.thinning import Gathered

VALUES = st.floats(width=32) | st.integers(-3, 3).map(float)
POINTS = st.lists(st.tuples(st.integers(0, 50), VALUES), min_size=1, max_size=200)


def gathered(points: list[tuple[int, float]]) -> Gathered:
    made = Gathered()
    for wall, (step, value) in enumerate(points):
        made.add(step, float(wall), value)
    return made


@settings(max_examples=60, deadline=None)
@given(POINTS, st.integers(5, 60), st.sampled_from([(4, 12), (7, 20), (1_024, 4_096)]))
def test_facts_are_exact_and_peaks_stay(points: list[tuple[int, float]], most: int, room: tuple[int, int]) -> None:
    before = thinning._FRESH, thinning._KEPT
    thinning._FRESH, thinning._KEPT = room
    try:
        made = gathered(points)
        curve, kept = made.facts("train", "loss"), made.points(most)
    finally:
        thinning._FRESH, thinning._KEPT = before
    finite = [(step, value) for step, value in points if math.isfinite(value)]
    highest = max(step for step, _ in points)
    last = [value for step, value in points if step == highest][-1]
    assert curve.count == len(points)
    assert curve.not_finite == len(points) - len(finite)
    assert (curve.last.value if curve.last else None) == (last if math.isfinite(last) else None)
    assert (curve.min.value if curve.min else None) == min((value for _, value in finite), default=None)
    assert (curve.max.value if curve.max else None) == max((value for _, value in finite), default=None)
    assert curve.min is None or (curve.min.step, curve.min.value) in finite
    assert 1 <= len(kept) <= most
    assert np.all(np.diff(kept.steps) >= 0)
    stayed = set(zip(kept.steps.tolist(), kept.walls.tolist(), map(repr, kept.values.tolist()), strict=True))
    assert stayed <= {(step, float(wall), repr(value)) for wall, (step, value) in enumerate(points)}
    for fact in (curve.min, curve.max, curve.last):
        assert fact is None or fact.value in kept.values
    assert not curve.not_finite or not np.isfinite(kept.values).all()
    assert len(points) > most or len(points) > room[1] or len(kept) == len(points)


def test_a_spike_among_millions_of_points_stays_and_every_stretch_is_shown() -> None:
    made = Gathered()
    for step in range(100_000):
        made.add(step, 0.0, 99.0 if step == 63_457 else step % 7)
    kept = made.points(1_000)
    assert made.facts("r", "t").max.step == 63_457
    assert 63_457 in kept.steps
    assert 500 < len(kept) <= 1_000
    assert np.diff(kept.steps).max() < 1_000
    assert len(made._kept) <= 4_096
