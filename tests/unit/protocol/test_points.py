"""Points as bytes: what goes in comes out, and nothing else is taken."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hub.domain.errors import InvalidRequest
from hub.protocol.codecs.points import Points, number_text, pack_points, unpack_points

STEPS = st.integers(-(1 << 63), (1 << 63) - 1)
WALLS = st.floats(0, 4e9).map(lambda wall: round(wall, 6))


@given(st.data(), st.lists(st.tuples(STEPS, WALLS), min_size=1, max_size=60), st.sampled_from(["<f4", "<f8"]))
def test_what_goes_in_comes_out(data: st.DataObject, places: list[tuple[int, float]], dtype: str) -> None:
    values = data.draw(arrays(dtype, len(places)))
    steps, walls = (np.array(column) for column in zip(*sorted(places), strict=True))
    out = unpack_points(pack_points(Points(steps, walls, values)))
    assert np.array_equal(out.steps, steps)
    assert np.allclose(out.walls, walls, rtol=0, atol=1e-6)
    assert np.array_equal(out.values, values, equal_nan=True)
    # Digits enough for the type that they are kept in: a float64 that is a float32 is kept as that.
    assert np.array_equal(np.array(number_text(out.values), out.values.dtype), out.values, equal_nan=True)


def test_wall_times_that_no_clock_shows_become_zero() -> None:
    walls = np.array([np.nan, np.inf, -1e300, 5.0])
    packed = pack_points(Points(np.arange(4), walls, np.zeros(4)))
    assert unpack_points(packed).walls.tolist() == [0, 0, 0, 5]


GOOD = pack_points(Points(np.array([1, 2]), np.array([0.0, 1.0]), np.array([1.0, 2.0])))
BACK = zlib.compress(struct.pack("<4q2f", 5, -1, 0, 0, 1, 1))


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (b"", "cut off"),
        (b"\x07" + GOOD[1:], "unknown format"),
        (struct.pack("<BI", 1, 0) + GOOD[5:], "0 points"),
        (struct.pack("<BI", 1, 1_001) + GOOD[5:], "1001 points"),
        (struct.pack("<BI", 1, 1) + GOOD[5:], "announces"),
        (struct.pack("<BI", 1, 3) + GOOD[5:], "announces"),
        (GOOD[:-3], "announces"),
        (GOOD + b"more", "announces"),
        (GOOD[:5] + b"nothing", "compressed"),
        (struct.pack("<BI", 1, 2) + BACK, "steps that fall"),
        (struct.pack("<BI", 1, 2) + zlib.compress(bytes(50 << 20)), "announces"),
    ],
)
def test_nothing_else_is_taken(packed: bytes, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        unpack_points(packed)
