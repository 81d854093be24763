"""Sorted tables as LevelDB writes them: the form of a checkpoint's index.

Laws: only ``Malformed`` is raised; what a block unpacks to is bounded before it is unpacked, and so is what all of them
do; every block's checksum is verified, and no byte is read for two blocks; keys come in strictly rising order.

Source: LevelDB ``doc/table_format.md``, ``table/format.cc`` (block types), ``util/crc32c.h`` (masking);
TensorFlow ``lib/io/table``.
"""

from collections.abc import Iterator
from typing import cast

import google_crc32c
import snappy

from hub.savedmodel.limits import MAX_BLOCK_BYTES, MAX_INDEX_BYTES, MAX_KEY_BYTES, MAX_KEYS_BYTES
from hub.savedmodel.wire import Malformed, read_varint

_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER_BYTES = 48
_TRAILER_BYTES = 5
_RAW, _SNAPPY = 0, 1
_MASK_DELTA = 0xA282EAD8


def crc32c(data: bytes | memoryview) -> int:
    """The Castagnoli checksum of ``data``."""
    return google_crc32c.value(bytes(data))


def masked_crc32c(data: bytes | memoryview) -> int:
    """The checksum as it is stored: rotated by 15 bits and moved by a constant."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFF_FFFF


def read_table(data: memoryview) -> Iterator[tuple[bytes, bytes]]:
    """Every key with its value.

    Raises:
        Malformed: It is not such a table, or a checksum is wrong.
    """
    if len(data) < _FOOTER_BYTES or bytes(data[-8:]) != _MAGIC:
        raise Malformed("the index does not end as a checkpoint index ends")
    footer = data[-_FOOTER_BYTES:]
    at = 0
    for _ in range(2):
        _, at = read_varint(footer, at)
    index_at, at = read_varint(footer, at)
    index_size, _ = read_varint(footer, at)
    previous, keys_bytes = None, 0
    for block in _blocks(data, _block(data, index_at, index_size)):
        for key, value in _entries(block):
            if previous is not None and key <= previous:
                raise Malformed("the keys of the index are not in order")
            previous = key
            keys_bytes += len(key)
            if keys_bytes > MAX_KEYS_BYTES:
                raise Malformed("the keys of the index take more than those of any real one")
            yield key, value


def _blocks(data: memoryview, index: bytes) -> Iterator[bytes]:
    """The blocks of data, one after the other as they lie there."""
    behind_last = unpacked = 0
    for _, handle in _entries(index):
        at, behind = read_varint(handle, 0)
        size, _ = read_varint(handle, behind)
        if at < behind_last:
            raise Malformed("the blocks of the index are not in order")
        behind_last = at + size + _TRAILER_BYTES
        block = _block(data, at, size)
        unpacked += len(block)
        if unpacked > MAX_INDEX_BYTES:
            raise Malformed("the index unpacks to more than any real one")
        yield block


def _block(data: memoryview, at: int, size: int) -> bytes:
    end = at + size
    if end + _TRAILER_BYTES > len(data) - _FOOTER_BYTES or size > MAX_BLOCK_BYTES:
        raise Malformed("the index points past its own end")
    kind = data[end]
    stored = int.from_bytes(data[end + 1 : end + _TRAILER_BYTES], "little")
    if masked_crc32c(data[at : end + 1]) != stored:
        raise Malformed("a checksum of the index is wrong")
    packed = bytes(data[at:end])
    if kind == _RAW:
        return packed
    if kind != _SNAPPY:
        raise Malformed(f"the index is packed in a way ({kind}) that TensorFlow does not use")
    if read_varint(packed, 0)[0] > MAX_BLOCK_BYTES:
        raise Malformed("a block of the index unpacks to more than any real one")
    try:
        return cast(bytes, snappy.uncompress(packed))
    except (snappy.UncompressError, ValueError) as error:
        raise Malformed("a block of the index does not unpack") from error


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    if len(block) < 4:
        raise Malformed("a block of the index is cut off")
    end = len(block) - 4 * (int.from_bytes(block[-4:], "little") + 1)
    if end < 0:
        raise Malformed("a block of the index is cut off")
    at, key = 0, b""
    while at < end:
        shared, at = read_varint(block, at)
        unshared, at = read_varint(block, at)
        value_size, at = read_varint(block, at)
        value_at = at + unshared
        if shared > len(key) or value_at + value_size > end:
            raise Malformed("an entry of the index is cut off")
        if shared + unshared > MAX_KEY_BYTES:
            raise Malformed("a key of the index is longer than any real one")
        key = key[:shared] + block[at:value_at]
        at = value_at + value_size
        yield key, block[value_at:at]
