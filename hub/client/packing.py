"""Packing: blobs that shrink much are sent through the hub, packed; what is stored stays as it is.

Graphs shrink to a tenth, weights hardly at all. Only small blobs are looked at, so weights go straight to the object
store and the hub has little to unpack.
"""

import os
import zlib

from hub.client.digesting import Source
from hub.domain.digests import read_at

LEAST_BYTES = 4 << 10
MOST_BYTES = 16 << 20
_SAMPLE_BYTES = 4 << 10
_WORTH = 0.6  # of its size
_LEVEL = 6


def pack(source: Source) -> bytes | None:
    """A blob's bytes in gzip's format; None where that is not worth it.

    Source: RFC 1952.
    """
    if not LEAST_BYTES <= source.size <= MOST_BYTES:
        return None
    with source.path.open("rb", buffering=0) as file:
        middle = source.offset + source.size // 2
        sample = os.pread(file.fileno(), _SAMPLE_BYTES, source.offset) + os.pread(file.fileno(), _SAMPLE_BYTES, middle)
        if len(zlib.compress(sample, 1)) > _WORTH * len(sample):
            return None
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        parts = [packer.compress(piece) for piece in read_at(file.fileno(), source.offset, source.size)]
    return b"".join([*parts, packer.flush()])
