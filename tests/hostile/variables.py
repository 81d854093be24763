"""Kinds whose stored variables are not what the index or the graph says: all are found without loading anything."""

import os

from tests.hostile.corpus import Case, limited, refused, warned
from tests.support.savedmodel_writer import entry, message, sealed_table, shape, varint

_SHARD = "variables/variables.data-00000-of-00001"


@refused("variables.contradiction", _SHARD)
def vars_truncated(case: Case) -> None:
    """Half of the shard is missing."""
    path = case.write() / _SHARD
    os.truncate(path, path.stat().st_size // 2)


@limited("TensorFlow verifies the checksum of every tensor when the probe loads it.")
def vars_bitflip(case: Case) -> None:
    """One bit of the weights is another one."""
    path = case.write() / _SHARD
    raw = bytearray(path.read_bytes())
    raw[0] ^= 1
    path.write_bytes(raw)


@refused("layout.missing-variables", "variables/variables.index")
def vars_missing(case: Case) -> None:
    """There is no folder of variables."""
    for path in sorted((case.write() / "variables").iterdir()):
        path.unlink()
    (case.root / "variables").rmdir()


@refused("layout.missing-shard", _SHARD)
def vars_missing_shard(case: Case) -> None:
    """There is an index, and no weights."""
    (case.write() / _SHARD).unlink()


@refused("variables.contradiction", "w/.ATTRIBUTES", _SHARD)
def vars_offset_oob(case: Case) -> None:
    """A tensor lies a terabyte behind the end of its shard."""
    case.model.stored = entry(1, (2,), 1 << 40, 8)


@refused("variables.contradiction", "negative place or size")
def vars_offset_negative(case: Case) -> None:
    """A tensor lies before the beginning of its shard."""
    case.model.stored = entry(1, (2,), -1, 8)


@refused("variables.contradiction", "negative place or size")
def vars_size_negative(case: Case) -> None:
    """A tensor takes less than nothing."""
    case.model.stored = entry(1, (2,), 0, -8)


@refused("variables.contradiction", "shard 99 of 1")
def vars_shard_oob(case: Case) -> None:
    """A tensor is in a shard that the index does not have."""
    case.model.stored = entry(1, (2,), 0, 8, shard=99)


@refused("variables.malformed", "2147483647 shards")
def vars_num_shards_huge(case: Case) -> None:
    """The index says that there are two thousand million shards."""
    case.model.shards = (1 << 31) - 1


@refused("variables.contradiction", "100,000,000,000")
def vars_shape_bomb(case: Case) -> None:
    """A hundred gigabytes by its shape, eight bytes by its size: who allocates before comparing is lost."""
    case.model.variable = message((1, 1), (2, shape(25 * 10**9)), (6, "w"))
    case.model.stored = entry(1, (25 * 10**9,), 0, 8)


@refused("variables.contradiction", "100,000,000,000", _SHARD)
def vars_shape_bomb_sized(case: Case) -> None:
    """A hundred gigabytes by its shape and by its size, in a shard of a few bytes."""
    case.model.variable = message((1, 1), (2, shape(25 * 10**9)), (6, "w"))
    case.model.stored = entry(1, (25 * 10**9,), 0, 10**11)


@refused("variables.contradiction", "texts")
def vars_text_bomb(case: Case) -> None:
    """A thousand million texts in eight bytes: each takes 24 bytes of memory before it is read."""
    case.model.variable = message((1, 7), (2, shape(10**9)), (6, "w"))
    case.model.stored = entry(7, (10**9,), 0, 8)


@refused("variables.contradiction", "100,000,000,000")
def vars_sliced_bomb(case: Case) -> None:
    """A hundred gigabytes stored in slices that are not there."""
    whole = message((1, message((1, 0), (2, 25 * 10**9))))
    case.model.variable = message((1, 1), (2, shape(25 * 10**9)), (6, "w"))
    case.model.stored = entry(1, (25 * 10**9,), 0, 0) + message((7, whole))


@refused("variables.malformed", "longer than any real one")
def vars_long_keys(case: Case) -> None:
    """Keys of a megabyte, each of which takes eleven bytes: it repeats the one before but for four."""
    _index(case, _keys(1 << 20, 2_000))


@refused("variables.malformed", "keys of the index")
def vars_many_keys(case: Case) -> None:
    """Forty thousand keys, each just below what one may have, in half a megabyte."""
    _index(case, _keys(16_000, 40_000))


@refused("variables.malformed", "dimensions")
def vars_many_dimensions(case: Case) -> None:
    """Tensors of 254 dimensions, two bytes for each."""
    value = message((1, 1), (2, b"\x12\x00" * 254))
    names = (at.to_bytes(4, "big") for at in range(1, 5_000))
    _index(case, b"".join(b"\0\4" + varint(len(value)) + name + value for name in names))


@refused("variables.malformed", "not in order")
def vars_one_block_again(case: Case) -> None:
    """One block of four megabytes, which holds nothing, is named twenty thousand times."""
    _index(case, b"", restarts=1 << 20, named=20_000)


def _keys(size: int, count: int) -> bytes:
    """Entries with keys of that size."""
    shared = size - 4
    first = b"\0" + varint(size) + b"\2" + b"k" * size + b"\x08\1"
    ends = ((0x6C000000 + at).to_bytes(4, "big") for at in range(count))
    return first + b"".join(varint(shared) + b"\4\2" + end + b"\x08\1" for end in ends)


def _index(case: Case, entries: bytes, *, restarts: int = 1, named: int = 1) -> None:
    """Replace the index by one of a header and these entries, in one block that is named so many times."""
    header = b"\0\0\2\x08\1" if entries else b""
    block = header + entries + bytes(4 * restarts) + restarts.to_bytes(4, "little")
    (case.write() / "variables/variables.index").write_bytes(sealed_table(block, named=named))


@warned("layout.sparse-file", _SHARD)
def vars_sparse_shard(case: Case) -> None:
    """A shard of 64 gigabytes that takes nothing on disk; what is sent of it is counted, as of every file."""
    size = 64 << 30
    path = case.write() / _SHARD
    case.model.variable = message((1, 1), (2, shape(size // 4)), (6, "w"))
    case.model.stored = entry(1, (size // 4,), path.stat().st_size, size)
    case.write()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + size)


@refused("variables.mismatch", "int64", "float32")
def vars_dtype_mismatch(case: Case) -> None:
    """The graph says that a variable is of integers, stored are floats."""
    case.model.variable = message((1, 9), (2, shape(2)), (6, "w"))


@refused("variables.mismatch", "w")
def vars_shape_mismatch(case: Case) -> None:
    """The graph says that a variable has another shape than the stored one."""
    case.model.variable = message((1, 1), (2, shape(3)), (6, "w"))


@warned("variables.not-finite", "w")
def vars_nan(case: Case) -> None:
    """All weights are not a number: training went wrong."""
    case.model.data = bytes.fromhex("0000c07f") * 2


@warned("variables.not-finite", "w")
def vars_infinite(case: Case) -> None:
    """A weight is infinite."""
    case.model.data = bytes.fromhex("000000000000807f")
