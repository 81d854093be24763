"""Blobs as files of one directory, on any local file system.

A blob is written to a file without a name, synced, and only then linked to its place: a name exists only for whole
bytes, and who comes second finds it taken. Blobs that are finished at the same time are synced together.
Where the file system knows no files without names, they are called something under ``tmp/`` and locked by their writer;
one that can be locked there belongs to nobody and is swept at the next start.
"""

import errno
import fcntl
import os
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hub.domain.digests import read_chunks
from hub.storage.blobs.layout import digest_at, path_of
from hub.storage.blobs.store import not_found, verified
from hub.storage.disk import disk_errors, make_folder, sync_file_system, sync_together

_MODE = 0o444
_NO_NAMELESS = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT})


class FilesystemBlobStore:
    """A directory of blobs; several processes may use it at once."""

    direct = None

    def __init__(self, root: Path) -> None:
        """Create the directory where it is absent and sweep what a killed process left.

        Raises:
            NotAvailable: It cannot be created or written.
        """
        self.root = root
        self._tmp = root / "tmp"
        self._commits = _Commits(root)
        with disk_errors(root):
            make_folder(self._tmp)
            self._sweep()

    @property
    def files(self) -> "FilesystemBlobStore":
        """See `BlobStore.files`."""
        return self

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
        with self._temporary() as unnamed:
            # Only our own calls are the disk's errors; where the chunks come from has errors of its own.
            for chunk in verified(digest, chunks, size):
                with disk_errors(self.root):
                    unnamed.file.write(chunk)
            with disk_errors(self.root):
                unnamed.file.flush()
                self._commits.commit(_Commit(unnamed, target, size))

    def open(self, digest: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See `BlobStore.open`."""
        self.size(digest)
        return self._read(digest, start, length)

    def open_file(self, digest: str) -> BinaryIO:
        """See `FileStore.open_file`."""
        with disk_errors(self.root):
            try:
                return self._path(digest).open("rb", buffering=0)
            except FileNotFoundError:
                raise not_found(digest) from None

    def size(self, digest: str) -> int:
        """See `BlobStore.size`."""
        with disk_errors(self.root):
            try:
                return self._path(digest).stat().st_size
            except FileNotFoundError:
                raise not_found(digest) from None

    def delete(self, *digests: str) -> None:
        """See `BlobStore.delete`."""
        with disk_errors(self.root):
            for digest in digests:
                self._path(digest).unlink(missing_ok=True)

    def digests(self) -> Iterator[str]:
        """See `BlobStore.digests`."""
        with disk_errors(self.root):
            for folder in sorted(self.root.glob("sha256/*")):
                with suppress(NotADirectoryError), os.scandir(folder) as found:
                    places = [Path(entry.path).relative_to(self.root).as_posix() for entry in found]
                    yield from (digest for place in places if (digest := digest_at(place)))

    def check(self) -> None:
        """See `BlobStore.check`."""
        with self._temporary() as unnamed, disk_errors(self.root):
            unnamed.file.write(b"check")
            unnamed.file.flush()
            os.fsync(unnamed.file.fileno())

    def _path(self, digest: str) -> Path:
        return self.root / path_of(digest)

    def _read(self, digest: str, start: int, length: int | None) -> Iterator[bytes]:
        with disk_errors(self.root), self.open_file(digest) as file:
            file.seek(start)
            yield from read_chunks(file, length)

    @contextmanager
    def _temporary(self) -> "Iterator[_Unnamed]":
        """A file that is gone afterwards unless it was linked."""
        with disk_errors(self.root):
            unnamed = self._nameless() or self._named()
        try:
            yield unnamed
        finally:
            # Closing flushes: on a full disk that fails once more.
            with disk_errors(self.root), unnamed.file:
                if unnamed.path is not None:
                    unnamed.path.unlink(missing_ok=True)

    def _nameless(self) -> "_Unnamed | None":
        try:
            handle = os.open(self._tmp, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, _MODE)
        except OSError as error:
            if error.errno not in _NO_NAMELESS:
                raise
            return None
        return _Unnamed(os.fdopen(handle, "wb"), None)

    def _named(self) -> "_Unnamed":
        while True:
            path = self._tmp / uuid.uuid4().hex
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, _MODE)
            file = os.fdopen(handle, "wb")
            # Between creating and locking, a store that starts elsewhere may have swept the file: then take another.
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file.fileno()).st_nlink:
                    return _Unnamed(file, path)
            file.close()

    def _sweep(self) -> None:
        for path in list(self._tmp.iterdir()):
            with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


@dataclass(frozen=True, slots=True)
class _Unnamed:
    """A file that is nobody's blob yet; ``path`` where it had to be called something."""

    file: BinaryIO
    path: Path | None

    def link(self, target: Path) -> None:
        """Give it a name, if that is free.

        Raises:
            FileExistsError: It is taken.
        """
        if self.path is not None:
            os.link(self.path, target)
            return
        # With no directory descriptor the system call would link the entry under /proc itself.
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.link(f"/proc/self/fd/{self.file.fileno()}", target, src_dir_fd=folder, follow_symlinks=True)
        finally:
            os.close(folder)


@dataclass(slots=True)
class _Commit:
    """A written blob that waits for its name."""

    unnamed: _Unnamed
    target: Path
    size: int
    is_done: bool = False
    error: OSError | None = None

    def link(self) -> None:
        try:
            self.unnamed.link(self.target)
        except FileExistsError:
            if not _is_stored(self.target, self.size):
                aside = self.target.with_name(f"{self.target.name}.{uuid.uuid4().hex}")
                self.unnamed.link(aside)
                aside.rename(self.target)
        except OSError as error:
            self.error = error


class _Commits:
    """Makes written blobs durable and names them: whoever comes first does it for all that wait with it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._waiting: list[_Commit] = []
        self._queue = threading.Lock()
        self._turn = threading.Lock()

    def commit(self, commit: _Commit) -> None:
        """Return once the blob is durable under its name.

        Raises:
            OSError: The disk is full or broken.
        """
        with self._queue:
            self._waiting.append(commit)
        with self._turn:
            if not commit.is_done:
                self._commit_all()
        if commit.error is not None:
            raise commit.error

    def _commit_all(self) -> None:
        with self._queue:
            batch, self._waiting = self._waiting, []
        try:
            self._sync(batch)
            for commit in batch:
                commit.link()
            sync_together([], {commit.target.parent for commit in batch})
        except OSError as error:
            for commit in batch:
                commit.error = commit.error or error
        except BaseException:
            for commit in batch:
                commit.error = commit.error or OSError(errno.EIO, "another blob's commit broke off")
            raise
        finally:
            for commit in batch:
                commit.is_done = True

    def _sync(self, batch: list[_Commit]) -> None:
        if len(batch) == 1:
            os.fsync(batch[0].unnamed.file.fileno())
        else:
            sync_file_system(self._root)


def _is_stored(path: Path, size: int) -> bool:
    # A file of another size was damaged by something else than this store: writing it again repairs it.
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False
