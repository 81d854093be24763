"""Writing to disk so that a crash shows nothing half.

Synced folders, locks that die with their process, and what the system's errors mean here.
"""

import ctypes
import errno
import fcntl
import functools
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.domain.errors import NotAvailable, StorageFull

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_MANY = 8
_BEGIN_WRITE = 2
READ_ONLY = 0o444


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last through a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make a file's bytes last through a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_together(files: Collection[Path], folders: Collection[Path]) -> None:
    """Make files and folders of one file system last through a power cut; many of them in one go."""
    if len(files) + len(folders) > _MANY:
        sync_file_system(next(iter(folders or files)))
        return
    for file in files:
        sync_file(file)
    for folder in folders:
        sync_folder(folder)


def sync_file_system(path: Path) -> None:
    """Make everything written so far to a path's file system last through a power cut.

    Source: ``syncfs(2)``; where the system has no such call, all file systems are synced.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        syncfs = _system_call("syncfs")
        if syncfs is None:
            os.sync()
        elif syncfs(handle):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    finally:
        os.close(handle)


def begin_sync(handle: int, offset: int, size: int) -> None:
    """Have the disk begin to write a range of an open file, so that less is left to do when it must be there.

    Source: ``sync_file_range(2)`` with ``SYNC_FILE_RANGE_WRITE``; does nothing where the system has no such call.
    """
    sync_range = _system_call("sync_file_range")
    if sync_range is not None:
        sync_range(ctypes.c_int(handle), ctypes.c_int64(offset), ctypes.c_int64(size), ctypes.c_uint(_BEGIN_WRITE))


@functools.cache
def _system_call(name: str) -> Callable[..., int] | None:
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (AttributeError, OSError):
        return None
    return found


def make_read_only(folder: Path) -> tuple[list[Path], list[Path]]:
    """Make every file below a folder read-only; gives the files and the folders."""
    files: list[Path] = []
    folders: list[Path] = []
    for place, _, names in os.walk(folder):
        folders.append(Path(place))
        files += [Path(place) / name for name in names]
    for file in files:
        file.chmod(READ_ONLY)
    return files, folders


def seal(folder: Path, *, time_s: int) -> None:
    """Make every file below a folder read-only with one time of change."""
    for file in make_read_only(folder)[0]:
        os.utime(file, (time_s, time_s))


def boot_id() -> str | None:
    """What the running system calls its start; another after each. None where it does not tell.

    Source: random(4), ``/proc/sys/kernel/random/boot_id``.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() or None
    except OSError:
        return None


def make_folder(folder: Path) -> None:
    """Create a folder and those above it, durably; existing is fine."""
    absent = [folder, *folder.parents]
    absent = absent[: next(index for index, path in enumerate(absent) if path.is_dir())]
    for path in reversed(absent):
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between threads and processes; the system drops it when the holder dies.

    The file stays: removing it would let two holders lock two different files of one name.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Translate what the system says about a disk.

    Raises:
        StorageFull: It has no room left.
        NotAvailable: It is not to be written or read.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(
                "The disk is full.", remedy="Free some space, then try again.", inside=f"It holds {place}."
            ) from error
        raise NotAvailable(
            "A folder on the disk cannot be used.",
            remedy="Check that the folder exists and that this user may write to it.",
            inside=f"{place}: {error.strerror or error}.",
        ) from error
