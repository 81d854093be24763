"""Blobs in this process's memory: for tests and for trying things out. Gone with the process."""

from collections.abc import Iterable, Iterator

from hub.domain.digests import READ_BYTES
from hub.storage.blobs.store import not_found, verified


class MemoryBlobStore:
    """A dictionary of bytes; single operations on it are atomic, which is all the locking it needs."""

    direct = None
    files = None

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    def has(self, digest: str) -> bool:
        """See `BlobStore.has`."""
        return digest in self._blobs

    def missing(self, digests: Iterable[str]) -> list[str]:
        """See `BlobStore.missing`."""
        return [digest for digest in dict.fromkeys(digests) if digest not in self._blobs]

    def put(self, digest: str, chunks: Iterable[bytes], size: int) -> None:
        """See `BlobStore.put`."""
        if digest not in self._blobs:
            self._blobs[digest] = b"".join(verified(digest, chunks, size))

    def open(self, digest: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See `BlobStore.open`."""
        data = self._bytes(digest)
        end = len(data) if length is None else min(len(data), start + length)
        return (data[at : min(end, at + READ_BYTES)] for at in range(start, end, READ_BYTES))

    def size(self, digest: str) -> int:
        """See `BlobStore.size`."""
        return len(self._bytes(digest))

    def delete(self, *digests: str) -> None:
        """See `BlobStore.delete`."""
        for digest in digests:
            self._blobs.pop(digest, None)

    def digests(self) -> Iterator[str]:
        """See `BlobStore.digests`."""
        return iter(list(self._blobs))

    def check(self) -> None:
        """See `BlobStore.check`: memory is always there."""

    def _bytes(self, digest: str) -> bytes:
        data = self._blobs.get(digest)
        if data is None:
            raise not_found(digest)
        return data
