"""However few points of a curve are drawn, its peaks are among them."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.domain.curves import LEAST_POINTS
from hub.protocol.codecs.peaks import thinned
from hub.protocol.codecs.points import Points

VALUES = st.lists(st.floats() | st.integers(-3, 3).map(float), min_size=1, max_size=200)


def curve(values: list[float], *, second: float = 1.0) -> Points:
    count = len(values)
    return Points(np.arange(count) * 10, 1.7e9 + np.arange(count) * second, np.array(values))


@settings(max_examples=80, deadline=None)
@example([5.0, 0.0, float("nan"), 9.0, 1.0, 5.0], LEAST_POINTS)
@example([1.7976931348623157e308, -1.7976931348623157e308] * 5, LEAST_POINTS)
@given(VALUES, st.integers(LEAST_POINTS, 60))
def test_ends_and_peaks_stay_in_their_order(values: list[float], most: int) -> None:
    points = curve(values)
    kept = thinned(points, most)
    assert 1 <= len(kept) <= most
    assert np.all(np.diff(kept.steps) > 0)
    assert {0, 10 * (len(values) - 1)} <= set(kept.steps.tolist())
    place = kept.steps // 10
    finite = points.values[np.isfinite(points.values)]
    stayed = points.values[place]
    if len(finite):
        assert {finite.min(), finite.max()} <= set(stayed.tolist())
    assert np.isfinite(points.values).all() == np.isfinite(stayed).all()
    assert np.array_equal(np.isfinite(kept.values), np.isfinite(stayed))


@pytest.mark.parametrize("most", [8, 50, 999])
def test_every_stretch_is_shown(most: int) -> None:
    kept = thinned(curve([float(np.sin(at / 30)) for at in range(1_000)]), most)
    assert most / 2 < len(kept) <= most
    assert np.diff(kept.steps).max() <= 2 * 10 * 1_000 / (most // 2 - 1)


@pytest.mark.parametrize(
    ("low", "high", "error"), [(0.0, 1.0, 1e-3), (1_000.0, 1_000.5, 5e-4), (0.0, 1e-6, 1e-9), (-1e6, 1e6, 2e3)]
)
def test_values_are_as_exact_as_a_drawing_and_shorter(low: float, high: float, error: float) -> None:
    points = curve(np.linspace(low, high, 500).tolist(), second=0.0371)
    kept = thinned(points, 100)
    place = kept.steps // 10
    np.testing.assert_allclose(kept.values, points.values[place], rtol=0, atol=error)
    np.testing.assert_allclose(kept.walls, points.walls[place], rtol=0, atol=500 * 0.0371 / 1_000)
    assert max(len(repr(value)) for value in kept.values.tolist()) <= 10


def test_what_has_few_points_and_what_never_changes_stays_as_it_is() -> None:
    points = curve([1.23456789, 2.0, float("nan")])
    assert thinned(points, LEAST_POINTS) is points
    flat = thinned(curve([float(np.float32(0.123456789))] * 50), 10)
    assert set(flat.values.tolist()) == {float(f"{np.float32(0.123456789):.9g}")}
