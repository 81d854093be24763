"""Snapshots: versions' files as read-only directories, a cache on this machine that can be made again from blobs.

Laws: a directory that is given out is whole and every byte in it was verified by this process since it was last
written to, so nothing needs to be synced: what a power cut harms is made again; it never changes; however many threads
and processes ask at once, one does the work; together they stay within a budget, the least recently used goes first,
and none goes that is held. The manifest is itself a blob, so a digest and a store are all it takes.

A *shelf* is a folder with some of them, as links to the same bytes, for who may read those and no others.
"""

import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import structlog
from pydantic import ValidationError

from hub.domain.digests import digest_of
from hub.domain.errors import DigestMismatch, InvalidModel
from hub.domain.manifest import File, Manifest
from hub.storage.assembly import Assembly, fill, is_whole
from hub.storage.blobs.layout import hex_of
from hub.storage.blobs.store import BlobStore
from hub.storage.disk import disk_errors, locked, make_folder, make_read_only

OpenBlob = Callable[[str], Iterator[bytes]]
_Stamp = tuple[tuple[str, int, int, int], ...]
_SHELF = ".shelf"
_log = structlog.get_logger(__name__)


class Snapshots:
    """A directory of snapshots by version digest; one process uses it at a time."""

    def __init__(self, blobs: BlobStore, root: Path, *, budget_bytes: int | None = None) -> None:
        """Keep snapshots of what is in ``blobs`` below ``root``, which is created on first use.

        Args:
            blobs: Where the bytes come from.
            root: The directory.
            budget_bytes: What all snapshots together may take; None for no limit.
        """
        self.blobs = blobs
        self.root = root
        self.budget_bytes = budget_bytes
        self._verified: dict[str, _Stamp] = {}
        self._held: Counter[str] = Counter()
        self._holding = threading.Lock()

    def manifest(self, digest: str) -> Manifest:
        """Read a version's manifest.

        Raises:
            BlobNotFound: No such version in the store.
            DigestMismatch: The stored bytes are damaged.
            InvalidModel: They are no manifest.
        """
        data = b"".join(self.blobs.open(digest))
        if digest_of(data) != digest:
            raise DigestMismatch(f"The stored manifest {digest} is damaged.", remedy="Restore the blob from a backup.")
        try:
            return Manifest.parse(data)
        except (ValidationError, ValueError) as error:
            raise InvalidModel(f"Blob {digest} is not a manifest.") from error

    @contextmanager
    def held(self, digest: str) -> Iterator[Path]:
        """The directory with a version's files, which stays for as long as it is held; see `path`."""
        self._hold(digest, 1)
        try:
            yield self.path(digest)
        finally:
            self._hold(digest, -1)

    def path(self, digest: str) -> Path:
        """The directory with a version's files, made first where it is absent or damaged.

        Raises:
            BlobNotFound: The version or one of its blobs is not stored.
            DigestMismatch: Stored bytes are damaged.
            NotAvailable: The disk is full or cannot be written.
        """
        target = self._target(digest)
        if not self._is_as_verified(digest, target):
            manifest = self.manifest(digest)
            with disk_errors(self.root):
                make_folder(self.root / ".work")
                with locked(self._lock(digest)):
                    self._ensure(digest, manifest, target)
            self._evict(besides=digest)
        with disk_errors(self.root), suppress(FileNotFoundError):
            os.utime(target)  # when it was last used
        return target

    @contextmanager
    def making(self, name: str | None = None) -> "Iterator[NewSnapshot]":
        """A folder for a version's files; gone afterwards unless it was kept.

        Args:
            name: Nobody makes another one of that name meanwhile; one of its own where None.
        """
        folder = self.root / ".work" / f"new-{name or uuid4().hex}"
        with disk_errors(self.root):
            make_folder(folder.parent)
            shutil.rmtree(folder, ignore_errors=True)
        try:
            yield NewSnapshot(folder, self)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def drop(self, digest: str) -> None:
        """Remove a snapshot that nobody holds, from shelves too; absent is fine."""
        target = self._target(digest)
        if not target.is_dir():
            return
        with disk_errors(self.root), locked(self._lock(digest)):
            with self._holding:
                if digest in self._held:
                    return  # the budget will take it
                aside = self._take_away(digest, target)
            for lent in (aside, *(self.root / ".work").glob(f"*{_SHELF}/{hex_of(digest)}")):
                shutil.rmtree(lent, ignore_errors=True)

    def shelf(self, name: str) -> Path:
        """The folder of a shelf."""
        return self.root / ".work" / f"{name}{_SHELF}"

    def lend(self, digest: str, name: str) -> Path:
        """The directory of a version, which is held, on a shelf; made there first where it is absent."""
        place = self.shelf(name) / hex_of(digest)
        with self._relinking(digest) as target:
            if not _is_linked(target, place):
                fresh = place.with_name(f"{place.name}.new")
                for old in (place, fresh):
                    shutil.rmtree(old, ignore_errors=True)
                shutil.copytree(target, fresh, copy_function=_link)
                fresh.rename(place)
        return place

    def take_back(self, name: str, kept: Collection[str]) -> None:
        """Leave only these versions on a shelf, with files that are named after them."""
        stays = {hex_of(digest) for digest in kept}
        for place in self.shelf(name).glob("*"):
            version = place.name.partition(".")[0]
            if version in stays:
                continue
            if place.is_file():
                place.unlink()
            else:
                with self._relinking(f"sha256:{version}"):
                    shutil.rmtree(place, ignore_errors=True)

    @contextmanager
    def _relinking(self, digest: str) -> Iterator[Path]:
        """Make or remove links to a version's files, which changes when they were changed, and nothing else of them."""
        target = self._target(digest)
        with disk_errors(self.root):
            make_folder(self.root / ".work")
            with locked(self._lock(digest)):
                is_verified = self._is_as_verified(digest, target)
                yield target
                if is_verified:
                    self._verified[digest] = _stamp(target)

    def sweep(self) -> None:
        """Remove what a killed process left half made; to be called when nobody is making any."""
        for path in (self.root / ".work").glob("*"):
            if path.suffix != ".lock":
                shutil.rmtree(path, ignore_errors=True)

    def keep(self, folder: Path, digest: str) -> None:
        """Make a verified folder the snapshot of a version, unless there is one."""
        target = self._target(digest)
        with disk_errors(self.root), locked(self._lock(digest)):
            if not target.is_dir():
                self._put(folder, digest, target)
        self._evict(besides=digest)

    def _ensure(self, digest: str, manifest: Manifest, target: Path) -> None:
        if self._is_as_verified(digest, target):
            return
        if target.is_dir():
            if is_whole(manifest.files, target):
                self._verified[digest] = _stamp(target)
                return
            _log.warning("snapshot.damaged", digest=digest)
            self._remove(digest, target)
        with self.making(hex_of(digest)) as made:
            made.fill(manifest.files, self.blobs.open)
            self._put(made.folder, digest, target)

    def _put(self, folder: Path, digest: str, target: Path) -> None:
        folder.rename(target)
        self._verified[digest] = _stamp(target)

    def _is_as_verified(self, digest: str, target: Path) -> bool:
        stamp = self._verified.get(digest)
        return stamp is not None and target.is_dir() and stamp == _stamp(target)

    def _remove(self, digest: str, target: Path) -> None:
        shutil.rmtree(self._take_away(digest, target), ignore_errors=True)

    def _take_away(self, digest: str, target: Path) -> Path:
        self._verified.pop(digest, None)
        aside = self.root / ".work" / f"old-{uuid4().hex}"
        if target.is_dir():
            target.rename(aside)
        return aside

    def _evict(self, besides: str) -> None:
        if self.budget_bytes is None:
            return
        with self._holding:
            aside = [self._take_away(digest, target) for digest, target in self._excess(self.budget_bytes, besides)]
        for folder in aside:
            shutil.rmtree(folder, ignore_errors=True)

    def _excess(self, budget_bytes: int, besides: str) -> Iterator[tuple[str, Path]]:
        """What has to go, least recently used first; what is held or was just made stays."""
        there = sorted(self._measured(), key=lambda found: found[0])
        taken = sum(size for _, size, _ in there)
        for _, size, target in there:
            digest = f"sha256:{target.name}"
            if taken > budget_bytes and digest != besides and digest not in self._held:
                taken -= size
                _log.info("snapshot.evicted", digest=digest, size_bytes=size)
                yield digest, target

    def _measured(self) -> Iterator[tuple[float, int, Path]]:
        """Last use, size and folder of every snapshot."""
        for target in self.root.iterdir():
            with suppress(FileNotFoundError):  # another one removes it
                if target.name != ".work" and target.is_dir():
                    yield target.stat().st_mtime, sum(size for _, size, _, _ in _stamp(target)), target

    def _hold(self, digest: str, change: int) -> None:
        with self._holding:
            self._held[digest] += change
            if not self._held[digest]:
                del self._held[digest]

    def _target(self, digest: str) -> Path:
        return self.root / hex_of(digest)

    def _lock(self, digest: str) -> Path:
        return self.root / ".work" / f"{hex_of(digest)}.lock"


@dataclass(frozen=True, slots=True)
class NewSnapshot:
    """A folder that is being filled."""

    folder: Path
    _snapshots: Snapshots

    def fill(self, files: Sequence[File], open_blob: OpenBlob) -> None:
        """Write files from their blobs, each verified, each read-only.

        Raises:
            BlobNotFound: A blob is not stored.
            DigestMismatch: A blob or a file has other bytes than announced.
            InvalidModel: A path is too long for this machine.
            NotAvailable: The disk is full or cannot be written.
        """
        with disk_errors(self.folder):
            assembly = Assembly(files, self.folder)
            fill(assembly, open_blob)
            assembly.check()
            make_read_only(self.folder)

    def keep(self, digest: str) -> None:
        """Make it the snapshot of a version, with whose files it was filled."""
        self._snapshots.keep(self.folder, digest)


def _is_linked(target: Path, place: Path) -> bool:
    """Whether a folder has the very files of another."""
    try:
        return all(path.samefile(place / path.relative_to(target)) for path in target.rglob("*") if path.is_file())
    except FileNotFoundError:
        return False


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # this file system has no links
        shutil.copy2(source, target)


def _stamp(target: Path) -> _Stamp:
    """What changes when a file is written to, replaced, added or removed."""
    files = ((path, path.stat()) for path in sorted(target.rglob("*")) if path.is_file())
    return tuple((str(path), facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns) for path, facts in files)
