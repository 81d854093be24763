"""The variables: a checkpoint's index and shards, without TensorFlow.

Laws: what the index says is checked before it is believed (types, shapes, sizes and places are consistent and lie in
the shards); of tensors only the first numbers are read, and the small one that holds the checkpoint's object graph.

Source: ``tensor_bundle.proto``, ``tensor_bundle.cc``.
"""

import hashlib
import os
import sys
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import NamedTuple

from hub.domain.digests import read_at
from hub.domain.manifest import TensorEntry
from hub.domain.tensors import BY_NAME
from hub.savedmodel import wire
from hub.savedmodel.limits import MAX_BLOCK_BYTES, MAX_DIMENSIONS, MAX_INDEX_BYTES, MAX_SHARDS, MAX_TENSORS
from hub.savedmodel.table import read_table
from hub.savedmodel.tensor_proto import dtype_name, read_shape
from hub.savedmodel.wire import Malformed, read_varint

_EXPONENTS = {
    "float16": ("H", 0x7C00),
    "bfloat16": ("H", 0x7F80),
    "float32": ("I", 0x7F80_0000),
    "float64": ("Q", 0x7FF0_0000_0000_0000),
}
"""Array codes of floating types, with the bits of the exponent: a number that has them all is NaN or infinite."""
_LOOKED_AT_BYTES = 1024
INDEX = "variables/variables.index"
Span = tuple[str, int, int]
"""A file's relative path, an offset in it, and a size."""
OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"


class Stored(NamedTuple):
    """One entry of the index; ``slices`` counts the parts of a partitioned variable, stored as entries of their own."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    slices: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class Bundle:
    """The index of a checkpoint."""

    root: Path
    shards: int
    tensors: Mapping[str, Stored]

    def shard_path(self, shard: int) -> str:
        """The relative path of a shard."""
        return f"variables/variables.data-{shard:05d}-of-{self.shards:05d}"

    def missing_shards(self) -> list[str]:
        """Shards that hold a tensor and are not there."""
        used = sorted({stored.shard for stored in self.tensors.values() if not stored.slices})
        paths = (self.shard_path(shard) for shard in used if 0 <= shard < self.shards)
        return [path for path in paths if not (self.root / path).is_file()]

    def shard_size(self, shard: int) -> int:
        """Bytes of a shard; 0 where it is missing."""
        path = self.root / self.shard_path(shard)
        return path.stat().st_size if path.is_file() else 0

    def object_graph(self) -> memoryview | None:
        """The checkpoint's own object graph, undecoded; None where it has none.

        Raises:
            Malformed: It is not where the index says.
        """
        stored = self.tensors.get(OBJECT_GRAPH_KEY)
        if stored is None or stored.dtype != "string" or stored.size > MAX_BLOCK_BYTES:
            return None
        with (self.root / self.shard_path(stored.shard)).open("rb") as file:
            file.seek(stored.offset)
            raw = memoryview(file.read(stored.size))
        length, at = read_varint(raw, 0)
        if at + 4 + length != len(raw):
            raise Malformed(f"{self.shard_path(stored.shard)} does not hold the object graph that the index says")
        return raw[at + 4 :]


def read_bundle(root: Path) -> Bundle:
    """Read ``variables/variables.index`` below ``root``.

    Raises:
        Malformed: It is broken, or larger than any real one.
    """
    path = root / INDEX
    if path.stat().st_size > MAX_INDEX_BYTES:
        raise Malformed("the index is larger than any real one")
    rows = read_table(memoryview(path.read_bytes()))
    key, header = next(rows, (None, b""))
    if key != b"":
        raise Malformed("the index has no header")
    shards = _read_header(memoryview(header))
    tensors: dict[str, Stored] = {}
    dimensions = 0
    for raw_key, value in rows:
        name = raw_key.decode("utf-8", "backslashreplace")
        stored = tensors[name] = _read_entry(name, memoryview(value))
        dimensions += len(stored.shape)
        if len(tensors) > MAX_TENSORS or dimensions > MAX_DIMENSIONS:
            raise Malformed(f"the index has more than {MAX_TENSORS:,} tensors, or {MAX_DIMENSIONS:,} dimensions")
    return Bundle(root, shards, tensors)


def _read_header(data: memoryview) -> int:
    shards = 0
    for tag, value, _ in wire.fields(data):
        if tag == 0x08:
            shards = wire.signed(value)
        elif tag == 0x10 and value:
            raise Malformed("the variables are big-endian")
    if not 0 < shards <= MAX_SHARDS:
        raise Malformed(f"the index says that there are {shards} shards")
    return shards


def _read_entry(name: str, data: memoryview) -> Stored:
    number = shard = offset = size = slices = 0
    shape: tuple[int | None, ...] | None = ()
    for tag, value, chunk in wire.fields(data):
        if tag == 0x08:
            number = value
        elif tag == 0x12:
            shape = read_shape(chunk)
        elif tag == 0x18:
            shard = wire.signed(value)
        elif tag == 0x20:
            offset = wire.signed(value)
        elif tag == 0x28:
            size = wire.signed(value)
        elif tag == 0x3A:
            slices += 1
    sizes = tuple(dim for dim in shape or () if dim is not None)
    if shape is None or len(sizes) != len(shape):
        raise Malformed(f"the stored tensor {name[:80]!r} has no definite shape")
    return Stored(name, dtype_name(number), sizes, shard, offset, size, slices)


def contradictions(bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Tensor names with what is wrong about where and how they are stored.

    Yields:
        Name and one clause, such as ``lies past the end of its shard``.
    """
    sizes = {shard: bundle.shard_size(shard) for shard in {stored.shard for stored in bundle.tensors.values()}}
    missing = set(bundle.missing_shards())
    whole = [stored for stored in bundle.tensors.values() if not stored.slices]
    for stored in whole:
        width = BY_NAME[stored.dtype].size_bytes
        if not 0 <= stored.shard < bundle.shards:
            yield stored.name, f"lies in shard {stored.shard} of {bundle.shards}"
        elif stored.offset < 0 or stored.size < 0:
            yield stored.name, "has a negative place or size"
        elif width and stored.elements * width != stored.size:
            yield stored.name, f"takes {stored.size:,} bytes, its type and shape need {stored.elements * width:,}"
        elif stored.elements > max(stored.size, 1):
            yield stored.name, f"has {stored.elements:,} texts in {stored.size:,} bytes"
        elif (path := bundle.shard_path(stored.shard)) not in missing and stored.end > sizes[stored.shard]:
            yield stored.name, f"ends at byte {stored.end:,} of {path}, which has {sizes[stored.shard]:,}"
    yield from _overlaps(whole)
    yield from _oversized(bundle)


def _oversized(bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Partitioned variables that claim more than all shards hold: TensorFlow allocates the whole before its parts."""
    parted = [stored for stored in bundle.tensors.values() if stored.slices]
    held = sum(bundle.shard_size(shard) for shard in range(bundle.shards)) if parted else 0
    for stored in parted:
        needed = stored.elements * (BY_NAME[stored.dtype].size_bytes or 1)
        if needed > held:
            yield stored.name, f"needs {needed:,} bytes, all shards together have {held:,}"


def _overlaps(whole: list[Stored]) -> Iterator[tuple[str, str]]:
    placed = sorted((found for found in whole if found.size > 0), key=lambda found: (found.shard, found.offset))
    for before, after in pairwise(placed):
        if before.shard == after.shard and before.end > after.offset:
            yield after.name, f"overlaps {before.name[:80]!r}"


def not_finite(bundle: Bundle) -> Iterator[str]:
    """Names of tensors with a number among their first ones that is NaN or infinite; ``contradictions`` has none.

    Raises:
        OSError: A shard cannot be read.
    """
    floats = [stored for stored in bundle.tensors.values() if stored.dtype in _EXPONENTS and not stored.slices]
    for shard in sorted({stored.shard for stored in floats}):
        with (bundle.root / bundle.shard_path(shard)).open("rb", buffering=0) as file:
            for stored in (found for found in floats if found.shard == shard):
                code, mask = _EXPONENTS[stored.dtype]
                first = os.pread(file.fileno(), min(stored.size, _LOOKED_AT_BYTES), stored.offset)
                words = array(code, first[: len(first) // array(code).itemsize * array(code).itemsize])
                if sys.byteorder == "big":
                    words.byteswap()
                if any(word & mask == mask for word in words):
                    yield stored.name


def tensor_entries(bundle: Bundle, known: Mapping[Span, str]) -> tuple[TensorEntry, ...]:
    """Every stored tensor with the digest of its bytes; shards are read front to back.

    Args:
        bundle: The index.
        known: Digests of spans that somebody has hashed already; they are not read again.

    Raises:
        OSError: A shard cannot be read.
    """
    placed = sorted((found for found in bundle.tensors.values() if not found.slices), key=lambda f: (f.shard, f.offset))
    entries = []
    for shard in sorted({found.shard for found in placed}):
        path = bundle.shard_path(shard)
        with (bundle.root / path).open("rb", buffering=0) as file:
            for stored in (found for found in placed if found.shard == shard):
                digest = known.get((path, stored.offset, stored.size)) or _digest_at(file.fileno(), stored)
                entries.append(_tensor_entry(stored, digest))
    return tuple(sorted(entries, key=lambda found: found.name))


def _digest_at(handle: int, stored: Stored) -> str:
    hashed = hashlib.sha256()
    for chunk in read_at(handle, stored.offset, stored.size):
        hashed.update(chunk)
    return f"sha256:{hashed.hexdigest()}"


def _tensor_entry(stored: Stored, digest: str) -> TensorEntry:
    name = stored.name if stored.name.isprintable() else stored.name.encode("unicode_escape").decode()
    return TensorEntry(name=name, dtype=stored.dtype, shape=stored.shape, size=stored.size, digest=digest)
