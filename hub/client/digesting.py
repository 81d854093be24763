"""Hashing local files: every file as a whole, and every blob that it is cut into.

Laws: a file's blobs cover it in order, each at most 64 MiB, variables cut at the borders of tensors; memory stays at
one piece of 1 MiB for each thread; a file of one blob is read once, others twice, the second time from memory mostly.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from hub.domain.digests import read_at, read_chunks
from hub.domain.errors import DigestMismatch
from hub.domain.manifest import BlobRef, File
from hub.savedmodel.cuts import cut_sizes, fixed_sizes

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Source:
    """Where the bytes of a blob are on this machine; ``name`` is the file's path within the version."""

    path: Path
    offset: int
    size: int
    name: str


def changed(name: str) -> DigestMismatch:
    """The error for a file that is not any more what it was a moment ago."""
    remedy = "Push again when nothing writes to it any more."
    return DigestMismatch(f"{name} changed while it was being pushed.", remedy=remedy, path=name)


def digest_file(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """The digest of a file; ``on_bytes`` is told of every piece read."""
    whole = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in read_chunks(file):
            whole.update(chunk)
            if on_bytes:
                on_bytes(len(chunk))
    return f"sha256:{whole.hexdigest()}"


def cut_files(root: Path, sizes: Mapping[str, int], on_bytes: Callable[[int], None]) -> tuple[File, ...]:
    """Read files and say what they are made of.

    Args:
        root: The directory.
        sizes: The size of each file by its path within the version.
        on_bytes: Told of every piece read, from any thread.

    Raises:
        DigestMismatch: A file has another size by now.
        OSError: A file cannot be read.
    """
    cuts = cut_sizes(root)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="hashing") as pool:
        try:
            begun = [
                _begin(pool, root / path, path, _cut(cuts.get(path), size), on_bytes) for path, size in sizes.items()
            ]
            return tuple(finish() for finish in begun)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def sources(root: Path, files: Iterable[File]) -> dict[str, Source]:
    """Where each distinct blob of some files can be read, by digest."""
    found: dict[str, Source] = {}
    for file in files:
        offset = 0
        for blob in file.blobs:
            found.setdefault(blob.digest, Source(root / file.path, offset, blob.size, file.path))
            offset += blob.size
    return found


def _cut(sizes: Sequence[int] | None, size: int) -> Sequence[int]:
    return sizes if sizes is not None and sum(sizes) == size else fixed_sizes(size)


def _begin(
    pool: ThreadPoolExecutor, path: Path, name: str, sizes: Sequence[int], on_bytes: Callable[[int], None]
) -> Callable[[], File]:
    """Have a file hashed; what is given back waits for it."""
    size = sum(sizes)
    offsets = [0, *accumulate(sizes)]
    whole = pool.submit(_hash, path, 0, size, _uncounted) if len(sizes) != 1 else None
    parts = [pool.submit(_hash, path, at, part, on_bytes) for at, part in zip(offsets, sizes, strict=False)]

    def finish() -> File:
        if path.stat().st_size != size:
            raise changed(name)
        blobs = tuple(BlobRef(digest=part.result(), size=own) for part, own in zip(parts, sizes, strict=True))
        return File(path=name, size=size, digest=whole.result() if whole else blobs[0].digest, blobs=blobs)

    return finish


def _uncounted(_: int) -> None:
    """The whole file's bytes are counted as its blobs' already."""


def _hash(path: Path, offset: int, size: int, on_bytes: Callable[[int], None]) -> str:
    hashed = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        for chunk in read_at(file.fileno(), offset, size):
            hashed.update(chunk)
            on_bytes(len(chunk))
    return f"sha256:{hashed.hexdigest()}"
