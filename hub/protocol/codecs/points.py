"""The points of a curve as bytes: how they travel in a push and how they lie in the catalog.

A format byte, the number of points, then one zlib stream with three columns: the steps (int64), the wall times in
microseconds (int64), both as differences from the point before, and the values (float32 where all of them are exactly
that, as those of summaries mostly are; else float64). All numbers are little-endian.

Laws: steps never fall; what comes out is what went in (wall times to the microsecond); unpacking takes no more memory
than the announced number of points needs, and that is bounded.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from hub.domain.curves import MAX_POINTS
from hub.domain.errors import InvalidRequest

_HEAD = struct.Struct("<BI")
_VALUES = {1: np.dtype("<f4"), 2: np.dtype("<f8")}
_WHOLE = np.dtype("<i8")
_MICRO = 1e6
_LATEST = 1e12
"""Seconds; far beyond every year that a date can have."""


@dataclass(frozen=True, slots=True)
class Points:
    """[count] each: ``steps`` int64, not falling; ``walls`` float64, seconds since 1970; ``values`` float32 or 64."""

    steps: np.ndarray
    walls: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.steps)


def pack_points(points: Points) -> bytes:
    """Points as bytes; wall times that no clock shows become 0."""
    values = points.values.astype("<f8")
    with np.errstate(over="ignore", invalid="ignore"):
        single = values.astype("<f4")
        is_single = np.array_equal(single.astype("<f8"), values, equal_nan=True)
    walls = np.where(np.abs(points.walls) < _LATEST, points.walls, 0.0)  # NaN is not smaller either
    columns = [
        _differences(points.steps.astype(_WHOLE)),
        _differences(np.round(walls * _MICRO).astype(_WHOLE)),
        (single if is_single else values).tobytes(),
    ]
    return _HEAD.pack(1 if is_single else 2, len(points)) + zlib.compress(b"".join(columns), 6)


def unpack_points(data: bytes) -> Points:
    """Read what `pack_points` wrote.

    Raises:
        InvalidRequest: It is nothing of the kind.
    """
    if len(data) < _HEAD.size:
        raise _wrong("is cut off")
    form, count = _HEAD.unpack_from(data)
    if form not in _VALUES:
        raise _wrong(f"has the unknown format {form}")
    if not 1 <= count <= MAX_POINTS:
        raise _wrong(f"has {count} points; 1 to {MAX_POINTS} are taken")
    size = count * (2 * _WHOLE.itemsize + _VALUES[form].itemsize)
    body = _inflated(data[_HEAD.size :], size)
    split = count * _WHOLE.itemsize
    steps = np.cumsum(np.frombuffer(body, _WHOLE, count))
    if np.any(steps[1:] < steps[:-1]):
        raise _wrong("has steps that fall")
    walls = np.cumsum(np.frombuffer(body, _WHOLE, count, split)) / _MICRO
    return Points(steps, walls, np.frombuffer(body, _VALUES[form], count, 2 * split))


def number_text(values: np.ndarray) -> list[str]:
    """Values as text that reads back exactly, as short as their type allows: ``0.1``, ``nan``, ``-inf``."""
    form = ".9g" if values.dtype == np.float32 else ".17g"
    return [format(value, form) for value in values.tolist()]


def _differences(column: np.ndarray) -> bytes:
    # Sums of int64 wrap around as differences do, so every step comes out again.
    return np.diff(column, prepend=_WHOLE.type(0)).astype(_WHOLE).tobytes()


def _inflated(data: bytes, size: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        body = unpacker.decompress(data, size + 1)
    except zlib.error as error:
        raise _wrong("is not compressed as it should be") from error
    if len(body) != size or not unpacker.eof or unpacker.unused_data:
        raise _wrong("does not have the bytes it announces")
    return body


def _wrong(what: str) -> InvalidRequest:
    return InvalidRequest(f"The points of a curve are not well-formed: it {what}.", remedy="Push with a newer client.")
