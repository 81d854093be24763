"""Blobs as files of one directory, on any local file system.

Each is written under ``tmp/``, synced, and only then renamed to its place, so a name exists only for whole bytes. A
temporary file is locked by its writer; one that can be locked belongs to nobody and is swept at the next start.
"""

import fcntl
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from hub.domain.digests import read_chunks
from hub.storage.blobs.layout import digest_at, path_of
from hub.storage.blobs.store import not_found, verified
from hub.storage.disk import disk_errors, make_folder, sync_folder


class FilesystemBlobStore:
    """A directory of blobs; several processes may use it at once."""

    def __init__(self, root: Path) -> None:
        """Create the directory where it is absent and sweep what a killed process left.

        Raises:
            NotAvailable: It cannot be created or written.
        """
        self.root = root
        self._tmp = root / "tmp"
        with disk_errors(root):
            make_folder(self._tmp)
            self._sweep()

    def has(self, digest: str) -> bool:
        """See `BlobStore.has`."""
        with disk_errors(self.root):
            return self._path(digest).is_file()

    def missing(self, digests: Iterable[str]) -> list[str]:
        """See `BlobStore.missing`."""
        return [digest for digest in dict.fromkeys(digests) if not self.has(digest)]

    def put(self, digest: str, chunks: Iterable[bytes], size: int) -> None:
        """See `BlobStore.put`."""
        target = self._path(digest)
        with disk_errors(self.root):
            if _is_stored(target, size):
                return
            make_folder(target.parent)
        with self._temporary() as (path, file):
            # Only our own calls are the disk's errors; where the chunks come from has errors of its own.
            for chunk in verified(digest, chunks, size):
                with disk_errors(self.root):
                    file.write(chunk)
            with disk_errors(self.root):
                _sync(file)
                path.rename(target)
                sync_folder(target.parent)

    def open(self, digest: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See `BlobStore.open`."""
        self.size(digest)
        return self._read(digest, start, length)

    def size(self, digest: str) -> int:
        """See `BlobStore.size`."""
        with disk_errors(self.root):
            try:
                return self._path(digest).stat().st_size
            except FileNotFoundError:
                raise not_found(digest) from None

    def delete(self, digest: str) -> None:
        """See `BlobStore.delete`."""
        with disk_errors(self.root):
            self._path(digest).unlink(missing_ok=True)

    def digests(self) -> Iterator[str]:
        """See `BlobStore.digests`."""
        with disk_errors(self.root):
            paths = sorted(self.root.glob("sha256/*/*"))
        places = (path.relative_to(self.root).as_posix() for path in paths)
        return (digest for place in places if (digest := digest_at(place)))

    def check(self) -> None:
        """See `BlobStore.check`."""
        with self._temporary() as (_, file), disk_errors(self.root):
            file.write(b"check")
            _sync(file)

    def _path(self, digest: str) -> Path:
        return self.root / path_of(digest)

    def _read(self, digest: str, start: int, length: int | None) -> Iterator[bytes]:
        with disk_errors(self.root):
            try:
                file = self._path(digest).open("rb")
            except FileNotFoundError:
                raise not_found(digest) from None
            with file:
                file.seek(start)
                yield from read_chunks(file, length)

    @contextmanager
    def _temporary(self) -> Iterator[tuple[Path, BinaryIO]]:
        """A new locked file that is gone afterwards unless it was renamed."""
        with disk_errors(self.root):
            path, file = self._create()
        try:
            yield path, file
        finally:
            # Closing flushes: on a full disk that fails once more.
            with disk_errors(self.root), file:
                path.unlink(missing_ok=True)

    def _create(self) -> tuple[Path, BinaryIO]:
        while True:
            path = self._tmp / uuid.uuid4().hex
            file = path.open("xb")
            # Between creating and locking, a store that starts elsewhere may have swept the file: then take another.
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file.fileno()).st_nlink:
                    return path, file
            file.close()

    def _sweep(self) -> None:
        for path in list(self._tmp.iterdir()):
            with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def _is_stored(path: Path, size: int) -> bool:
    # A file of another size was damaged by something else than this store: writing it again repairs it.
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
