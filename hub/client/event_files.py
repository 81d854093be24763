"""Event files of ``tf.summary``, read without TensorFlow: one scalar after the other, in bounded memory.

A file is a row of records: length (uint64), its checksum, the bytes, their checksum; checksums are masked CRC-32C. The
bytes are an ``Event`` message with a step, a wall time and summary values. A scalar is written in one of two ways: as
``simple_value`` (TensorFlow 1), or as a tensor of rank 0 whose metadata names the plugin ``scalars`` (TensorFlow 2).
Everything else (images, histograms, texts, hyper-parameters, graphs) is passed over.

Laws: a file that ends within a record, or a record that is damaged, is told with the byte where it begins, and is not
the end of the others; what comes before it counts. No record of more than :data:`MAX_RECORD_BYTES` is read into memory.

Source: ``tsl/lib/io/record_writer.h``, ``event.proto``, ``summary.proto``, ``tensor.proto`` of TensorFlow 2.21. Tags
of fields are written as ``number << 3 | wire type``.
"""

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from hub.savedmodel.table import masked_crc32c
from hub.savedmodel.wire import Malformed, fields, only, signed, text

MAX_RECORD_BYTES = 16 << 20
"""Scalars are small; what is larger is a graph or a picture."""

Scalar = tuple[str, int, float, float]
"""Tag, step, wall time in seconds, value."""

Report = Callable[[int, str], None]
"""Told the byte where something begins that cannot be read, and what is wrong with it."""

_MAX_KNOWN_TAGS = 20_000
_BUFFER_BYTES = 1 << 20
_HEADER = struct.Struct("<QI")
_CRC = struct.Struct("<I")
_DOUBLE, _FLOAT = struct.Struct("<d"), struct.Struct("<f")
_FORMS = {form.size: form for form in (_FLOAT, _DOUBLE)}
_FLOATS = {1: (_FLOAT.size, 0x2D, 0x2A), 2: (_DOUBLE.size, 0x31, 0x32)}
"""By ``DataType``: the number's bytes, and the tags of the field it lies in, alone and packed."""
_CONTENT = 0x22
_SCALARS = "scalars"


@dataclass(slots=True)
class Seen:
    """What the files of one run have said so far.

    Attributes:
        scalars: Tags whose tensors are scalars; writers may say so once only.
        forms: By how a summary begins: its tag, and its bytes before and after the number. A job writes the same
            again and again with another number, which is so found without looking at every field.
    """

    scalars: set[str] = field(default_factory=set)
    forms: dict[bytes, tuple[str, bytes, bytes]] = field(default_factory=dict)


def read_scalars(path: Path, seen: Seen, report: Report) -> Iterator[Scalar]:
    """Every scalar of an event file, in the order in which they were written.

    Args:
        path: The file.
        seen: What the run's other files said; more is added.
        report: Told what could not be read.

    Raises:
        OSError: The file cannot be read at all.
    """
    with path.open("rb", buffering=_BUFFER_BYTES) as file:
        for at, record in _records(file, report):
            try:
                yield from _scalars(memoryview(record), seen)
            except Malformed as error:
                report(at, f"a record is no event: {error}")


def _records(file: BinaryIO, report: Report) -> Iterator[tuple[int, bytes]]:
    size, at = os.fstat(file.fileno()).st_size, 0
    while at < size:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return report(at, "the file ends within a record")
        length, checksum = _HEADER.unpack(header)
        if masked_crc32c(header[:8]) != checksum:
            return report(at, "the length of a record is damaged, so that what follows it cannot be found")
        end = at + _HEADER.size + length + _CRC.size
        if end > size:
            return report(at, "the file ends within a record")
        if length > MAX_RECORD_BYTES:
            file.seek(end)
        else:
            record = file.read(length)
            if masked_crc32c(record) == _CRC.unpack(file.read(_CRC.size))[0]:
                yield at, record
            else:
                report(at, "a record is damaged: its checksum is another")
        at = end
    return None


def _scalars(event: memoryview, seen: Seen) -> Iterator[Scalar]:
    wall, step, summary = 0.0, 0, None
    for tag, value, chunk in fields(event):
        if tag == 0x09:
            wall = _as_double(value)
        elif tag == 0x10:
            step = signed(value)
        elif tag == 0x2A:
            summary = chunk
    if summary is None:
        return
    quick = _as_before(summary, seen)
    if quick is not None:
        yield quick[0], step, wall, quick[1]
        return
    for name, number in _numbers(summary, seen):
        yield name, step, wall, number


def _numbers(summary: memoryview, seen: Seen) -> Iterator[tuple[str, float]]:
    values = [chunk for tag, _, chunk in fields(summary) if tag == 0x0A]
    for value in values:
        name, raw = _named(value, seen)
        if raw is None:
            continue
        if len(values) == 1:
            _remember(seen, name, raw, bytes(summary))
        yield name, _FORMS[len(raw)].unpack(raw)[0]


def _remember(seen: Seen, name: str, raw: bytes, summary: bytes) -> None:
    at = summary.find(raw)
    is_sure = len(raw) == _FLOAT.size and any(raw) and at == summary.rfind(raw)
    if is_sure and len(seen.forms) < _MAX_KNOWN_TAGS:
        seen.forms[_beginning(memoryview(summary))] = name, summary[:at], summary[at + len(raw) :]


def _as_before(summary: memoryview, seen: Seen) -> tuple[str, float] | None:
    form = seen.forms.get(_beginning(summary))
    if form is None:
        return None
    name, before, after = form
    at = len(before)
    if len(summary) != at + 4 + len(after) or summary[:at] != before or summary[at + 4 :] != after:
        return None
    return name, _FLOAT.unpack_from(summary, at)[0]


def _beginning(summary: memoryview) -> bytes:
    """As much of a summary as ends with its tag, if that is short; any part would do, this one tells most apart."""
    return bytes(summary[: summary[3] + 4]) if len(summary) > 3 else b""


def _named(value: memoryview, seen: Seen) -> tuple[str, bytes | None]:
    """Name of one value of a summary, and the bytes of its number; None where it is no scalar."""
    name, raw, tensor, plugin = "", None, None, ""
    for tag, integer, chunk in fields(value):
        if tag == 0x0A:
            name = text(chunk)
        elif tag == 0x15:
            raw = integer.to_bytes(_FLOAT.size, "little")
        elif tag == 0x42:
            tensor = chunk
        elif tag == 0x4A:
            plugin = _plugin(chunk)
    if plugin == _SCALARS and len(seen.scalars) < _MAX_KNOWN_TAGS:
        seen.scalars.add(name)
    if tensor is not None and (plugin == _SCALARS or (not plugin and name in seen.scalars)):
        raw = _of_rank_0(tensor)
    return name, raw


def _plugin(metadata: memoryview) -> str:
    data = only(metadata, 0x0A)
    name = only(data, 0x0A) if data is not None else None
    return text(name) if name is not None else ""


def _of_rank_0(tensor: memoryview) -> bytes | None:
    """The bytes of the number in a ``TensorProto``; None where it is none, or of another type than float or double."""
    found = {tag: (value, chunk) for tag, value, chunk in fields(tensor)}
    kind = found[0x08][0] if 0x08 in found else 0
    has_axes = 0x12 in found and len(found[0x12][1]) > 0
    if kind not in _FLOATS or has_axes:
        return None
    size, alone, packed = _FLOATS[kind]
    if alone in found:
        return found[alone][0].to_bytes(size, "little")
    data = next((bytes(found[tag][1]) for tag in (packed, _CONTENT) if tag in found), b"")
    if not data:
        return bytes(size)  # protobuf leaves a zero out
    return data if len(data) == size else None


def _as_double(bits: int) -> float:
    return _DOUBLE.unpack(bits.to_bytes(_DOUBLE.size, "little"))[0]
