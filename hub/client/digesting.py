"""Hashing local files: the whole file and its blobs in one read.

Laws: each byte is read once; memory stays at one piece of 1 MiB; a file's blobs cover it in order, each at most 64 MiB.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hub.domain.digests import read_chunks
from hub.domain.manifest import BLOB_BYTES, BlobRef, File


@dataclass(frozen=True, slots=True)
class Source:
    """Where the bytes of a blob are on this machine; ``name`` is the file's path within the version."""

    path: Path
    offset: int
    size: int
    name: str


def digest_file(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """The digest of a file; ``on_bytes`` is told of every piece read."""
    whole = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in read_chunks(file):
            whole.update(chunk)
            if on_bytes:
                on_bytes(len(chunk))
    return f"sha256:{whole.hexdigest()}"


def cut_file(path: Path, name: str, on_bytes: Callable[[int], None]) -> File:
    """Read a file once and say what it is made of.

    Args:
        path: The file.
        name: Its path within the version.
        on_bytes: Told of every piece read.
    """
    whole = hashlib.sha256()
    blobs: list[BlobRef] = []
    with path.open("rb") as file:
        while blob := _next_blob(file, whole, is_first=not blobs, on_bytes=on_bytes):
            blobs.append(blob)
    size = sum(blob.size for blob in blobs)
    return File(path=name, size=size, digest=f"sha256:{whole.hexdigest()}", blobs=tuple(blobs))


def sources(root: Path, files: Iterable[File]) -> dict[str, Source]:
    """Where each distinct blob of some files can be read, by digest."""
    found: dict[str, Source] = {}
    for file in files:
        offset = 0
        for blob in file.blobs:
            found.setdefault(blob.digest, Source(root / file.path, offset, blob.size, file.path))
            offset += blob.size
    return found


def _next_blob(
    file: BinaryIO, whole: "hashlib._Hash", *, is_first: bool, on_bytes: Callable[[int], None]
) -> BlobRef | None:
    # After the first blob the whole file's hash is that blob's, so most files are hashed once only.
    own = whole if is_first else hashlib.sha256()
    size = 0
    for chunk in read_chunks(file, BLOB_BYTES):
        own.update(chunk)
        if own is not whole:
            whole.update(chunk)
        on_bytes(len(chunk))
        size += len(chunk)
    return BlobRef(digest=f"sha256:{own.hexdigest()}", size=size) if size else None
