"""Puts a snapshot's files into a directory of the user's, without copying bytes where the file system allows that.

Laws: the directory appears whole or not at all (one that cannot be replaced, such as a mount point, is filled, its
graph last); a directory that holds something else is never touched; a file is a
copy-on-write clone where there is such a thing, else a read-only hard link, else a copy.

Source: ``ioctl_ficlone(2)``.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from hub.client.digesting import digest_file
from hub.domain.errors import Conflict
from hub.domain.manifest import File

_FICLONE = 0x40049409
_CANNOT_CLONE = frozenset(
    {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.ETXTBSY}
)
_CANNOT_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES})


def place(files: Iterable[File], snapshot: Path, target: Path) -> None:
    """Make ``target`` hold exactly a snapshot's files.

    Args:
        files: The version's files.
        snapshot: Where they are.
        target: A directory that is absent or empty, or holds these very files already.

    Raises:
        Conflict: It holds something else.
    """
    listed = tuple(files)
    if _is_occupied(target):
        _require_same(listed, target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    stays = _must_stay(target)
    staging = (target / ".new" if stays else target).with_name(f".{target.name}.{os.urandom(8).hex()}")
    try:
        for file in listed:
            into = staging / file.path
            into.parent.mkdir(parents=True, exist_ok=True)
            place_file(snapshot / file.path, into)
        if stays:
            _move_in(staging, target)
        else:
            _put(staging, target, listed)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def place_file(source: Path, target: Path) -> None:
    """Make ``target`` a clone of ``source``, else a hard link to it, else a copy."""
    if not _clone(source, target) and not _link(source, target):
        shutil.copyfile(source, target)


def differences(files: Iterable[File], directory: Path, on_bytes: Callable[[int], None] | None = None) -> list[str]:
    """What in a directory is not as a version has it: one sentence per file, none where it is whole."""
    found = []
    known = set()
    for file in files:
        known.add(file.path)
        path = directory / file.path
        if not path.is_file():
            found.append(f"{file.path} is missing")
        elif path.stat().st_size != file.size:
            found.append(f"{file.path} has {path.stat().st_size} bytes instead of {file.size}")
        elif digest_file(path, on_bytes) != file.digest:
            found.append(f"{file.path} has other bytes than were published")
    present = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if not path.is_dir()}
    return found + [f"{path} is not part of the version" for path in sorted(present - known)]


def _is_occupied(target: Path) -> bool:
    return target.exists() and (not target.is_dir() or any(target.iterdir()))


def _require_same(files: tuple[File, ...], target: Path) -> None:
    wrong = differences(files, target) if target.is_dir() else ["it is a file"]
    if wrong:
        raise Conflict(
            f"{target} already holds something else: {wrong[0]}.",
            remedy="Name another directory, or empty this one first.",
            path=str(target),
        )


def _put(staging: Path, target: Path, files: tuple[File, ...]) -> None:
    try:
        staging.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _require_same(files, target)


def _must_stay(target: Path) -> bool:
    """Whether a directory cannot be replaced: a mount point, or the one this process works in."""
    return target.exists() and (target.is_mount() or target.samefile(Path.cwd()))


def _move_in(staging: Path, target: Path) -> None:
    # The graph comes last: a loader finds a whole version, or none.
    for entry in sorted(staging.iterdir(), key=lambda path: path.name == "saved_model.pb"):
        entry.rename(target / entry.name)


def _clone(source: Path, target: Path) -> bool:
    try:
        with source.open("rb") as reader, target.open("xb") as writer:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
    except OSError as error:
        with suppress(FileNotFoundError):
            target.unlink()
        if error.errno not in _CANNOT_CLONE:
            raise
        return False
    return True


def _link(source: Path, target: Path) -> bool:
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        return False
    return True
