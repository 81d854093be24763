"""Curves and event files for tests, made byte by byte; what they must look like is known without our own reader."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hub.domain.curves import Curve, Reading
from hub.protocol.codecs.points import Points, pack_points
from hub.protocol.curves import PutCurve, PutCurves
from hub.savedmodel.table import masked_crc32c

BEGAN = 1_700_000_000.0


def put_curves(curves: Mapping[tuple[str, str], Sequence[tuple[int, float]]]) -> PutCurves:
    """A body with these curves, by run and tag; each is its steps and values, one point a second."""
    items = []
    for (run, tag), pairs in curves.items():
        steps, values = (np.array(column) for column in zip(*pairs, strict=True))
        readings = [Reading(step=step, value=value) for step, value in pairs if np.isfinite(value)]
        curve = Curve(
            run=run,
            tag=tag,
            count=len(pairs),
            not_finite=len(pairs) - len(readings),
            last=readings[-1] if readings and np.isfinite(pairs[-1][1]) else None,
            min=min(readings, key=lambda reading: reading.value, default=None),
            max=max(readings, key=lambda reading: reading.value, default=None),
        )
        points = Points(steps.astype("<i8"), BEGAN + np.arange(len(pairs)), values.astype("<f8"))
        items.append(PutCurve.model_construct(curve=curve, points=pack_points(points)))
    return PutCurves(items=tuple(items))


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def record(event: bytes) -> bytes:
    """An event framed as a record of an event file."""
    length = struct.pack("<Q", len(event))
    checksums = [struct.pack("<I", masked_crc32c(part)) for part in (length, event)]
    return length + checksums[0] + event + checksums[1]


def event(step: int, *values: bytes, wall: float = BEGAN) -> bytes:
    """An event with these summary values."""
    summary = b"".join(field(1, value) for value in values)
    return b"\x09" + struct.pack("<d", wall) + b"\x10" + varint(step) + field(5, summary)


def simple(tag: str, value: float) -> bytes:
    """A scalar as TensorFlow 1 writes it."""
    return field(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def tensor(tag: str, value: float, *, plugin: str | None = "scalars", kind: int = 1, shape: bytes = b"") -> bytes:
    """A scalar as TensorFlow 2 writes it; without a plugin's name its metadata is left out."""
    content = struct.pack("<f" if kind == 1 else "<d", value)
    proto = b"\x08" + varint(kind) + field(2, shape) + field(4, content)
    metadata = field(9, field(1, field(1, plugin.encode()))) if plugin is not None else b""
    return field(1, tag.encode()) + field(8, proto) + metadata


def write_run(folder: Path, curves: Mapping[str, Sequence[tuple[int, float]]], name: str = "1") -> Path:
    """An event file with these curves, by tag."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{name}"
    events = [record(event(step, tensor(tag, value))) for tag, pairs in curves.items() for step, value in pairs]
    path.write_bytes(b"".join(events))
    return path
