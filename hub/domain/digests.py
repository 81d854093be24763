"""Digests: the names machines give to immutable bytes.

Law: equal digests mean equal bytes; a digest is always ``sha256:`` and 64 lower-case hex digits.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from typing import Annotated, BinaryIO

from pydantic import AfterValidator

from hub.domain.errors import InvalidName

_PATTERN = re.compile(r"sha256:[0-9a-f]{64}")
READ_BYTES = 1 << 20


def parse_digest(text: str) -> str:
    """Return ``text`` if it is a well-formed digest.

    Raises:
        InvalidName: It is not ``sha256:`` and 64 hex digits.
    """
    if not is_digest(text):
        raise InvalidName(f"{text[:80]!r} is not a digest.", remedy="Write sha256: and 64 lower-case hex digits.")
    return text


def is_digest(text: str) -> bool:
    """Whether it is a well-formed digest."""
    return _PATTERN.fullmatch(text) is not None


def _validated(text: str) -> str:
    if not is_digest(text):
        raise ValueError("not a digest: sha256: and 64 lower-case hex digits")
    return text


Digest = Annotated[str, AfterValidator(_validated)]


def digest_of(data: bytes | bytearray | memoryview) -> str:
    """The digest of ``data``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def read_chunks(file: BinaryIO, size: int | None = None) -> Iterator[bytes]:
    """Read at most ``size`` bytes (all if None) in pieces of at most 1 MiB."""
    left = size
    while left is None or left > 0:
        chunk = file.read(READ_BYTES if left is None else min(READ_BYTES, left))
        if not chunk:
            return
        if left is not None:
            left -= len(chunk)
        yield chunk


def read_at(handle: int, offset: int, size: int) -> Iterator[bytes]:
    """Read ``size`` bytes of an open file from ``offset`` on in pieces of at most 1 MiB; fewer where it ends before."""
    end = offset + size
    while offset < end and (chunk := os.pread(handle, min(READ_BYTES, end - offset), offset)):
        offset += len(chunk)
        yield chunk
