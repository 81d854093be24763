"""Bodies that were sent packed.

Laws: never more than a mebibyte is unpacked ahead of who reads it, so whoever counts what comes can stop in time; a
body that is cut off, damaged or has something behind its end is refused.

Source: RFC 9110 §8.4.1 (gzip, deflate).
"""

import zlib
from collections.abc import Iterable, Iterator

from hub.domain.digests import READ_BYTES
from hub.domain.errors import InvalidRequest

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def is_packed(encoding: str) -> bool:
    """Whether a ``Content-Encoding`` says that the body is packed.

    Raises:
        InvalidRequest: It is one that the hub does not read.
    """
    plain = encoding.strip().lower()
    if plain not in ("", "identity", "gzip", "deflate"):
        raise InvalidRequest(f"The hub does not read content encoding {plain[:40]!r}.", remedy="Send gzip, or plain.")
    return plain in ("gzip", "deflate")


def unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes behind a packed body.

    Raises:
        InvalidRequest: It is not one, whole.
    """
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        for piece in pieces:
            if unpacker.eof:
                raise _refused("goes on behind its end")
            left = piece
            while left:
                yield unpacker.decompress(left, READ_BYTES)
                left = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error as error:
        raise _refused("is damaged") from error
    if not unpacker.eof or unpacker.unused_data:
        raise _refused("is not whole, or goes on behind its end")


def _refused(why: str) -> InvalidRequest:
    return InvalidRequest(f"The packed body {why}.", remedy="Send it again, or without Content-Encoding.")
