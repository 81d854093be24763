"""Writing to disk so that a crash shows nothing half.

Synced folders, locks that die with their process, and what the system's errors mean here.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.domain.errors import NotAvailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last through a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
        NotAvailable: Full, or not to be written or read.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NotAvailable(
                "The disk is full.", remedy="Free some space, then try again.", inside=f"It holds {place}."
            ) from error
        raise NotAvailable(
            "A folder on the disk cannot be used.",
            remedy="Check that the folder exists and that this user may write to it.",
            inside=f"{place}: {error.strerror or error}.",
        ) from error
