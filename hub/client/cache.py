"""The cache: pulled versions on this machine, one read-only snapshot directory per version digest.

::

    <root>/snapshots/<hex>/…           the version's files, mode 0444, with a fixed time of change
    <root>/manifests/<hex>.json        its manifest, canonical bytes; its name is their digest
    <root>/lasting/<hex>               "synced", or the start of the system since which it was written
    <root>/downloads/<hex>/            what an unfinished pull has got so far
    <root>/locks/<hex>.lock            held while a version is being pulled
    <root>/refs/<hub>/<reference>      what a reference meant when the hub was last asked
    <root>/placed/<path>               which version was put into a directory outside the cache

Laws: a snapshot is whole or absent (it is renamed into place last); two processes that want one version do the work
once; a snapshot whose files were written to, through a hard link for instance, is noticed and no longer used. A pull
does not wait for the disk: what a power cut may have harmed is hashed again the first time that it is used after the
system's next start.
"""

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from pydantic import ValidationError

from hub.client.config import cache_root
from hub.domain.digests import digest_of, parse_digest
from hub.domain.errors import HubError
from hub.domain.manifest import Manifest
from hub.domain.versions import Version
from hub.storage.assembly import is_whole
from hub.storage.disk import boot_id, seal, sync_folder, sync_together

FIXED_TIME_S = 946_684_800
"""Time of change of every file in a snapshot (the first second of 2000): any write gives it another one."""


_SYNCED = b"synced"


@dataclass(frozen=True, slots=True)
class Place:
    """Bytes of a blob within a file of a snapshot."""

    path: Path
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Placed:
    """What was put into a directory outside the cache."""

    reference: str
    digest: str
    url: str


class Cache:
    """Versions on this machine, by digest.

    Args:
        root: Its directory; ``HUB_CACHE`` or the default where None.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or cache_root()).absolute()

    def snapshot_path(self, digest: str) -> Path:
        """Where a version's files are, or would be."""
        return self.root / "snapshots" / _hex(digest)

    def download_path(self, digest: str) -> Path:
        """Where an unfinished pull of a version keeps what it has."""
        return self.root / "downloads" / _hex(digest)

    def manifest(self, digest: str) -> Manifest | None:
        """A version's manifest, if it is here and unharmed."""
        try:
            data = (self.root / "manifests" / f"{_hex(digest)}.json").read_bytes()
        except FileNotFoundError:
            return None
        return Manifest.parse(data) if digest_of(data) == digest else None

    def snapshot(self, digest: str) -> Manifest | None:
        """The manifest of a version whose files are all here and were not written to; None otherwise."""
        manifest = self.manifest(digest)
        root = self.snapshot_path(digest)
        if manifest is None or not all(_is_untouched(root / file.path, file.size) for file in manifest.files):
            return None
        if not self._is_trusted(_hex(digest)):
            if not is_whole(manifest.files, root):
                return None
            with suppress(OSError):  # a cache that cannot be written is of use all the same
                self.make_last(digest)
        return manifest

    def keep(self, manifest_bytes: bytes, directory: Path) -> Path:
        """Make a finished directory the snapshot of the version with these manifest bytes; the directory is moved.

        Whoever calls this holds :meth:`lock`.
        """
        digest = digest_of(manifest_bytes)
        target = self.snapshot_path(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        seal(directory, time_s=FIXED_TIME_S)
        self._distrust(_hex(digest))
        self._write(self.root / "manifests" / f"{_hex(digest)}.json", manifest_bytes)
        self._discard_directory(target)
        directory.rename(target)
        sync_folder(target.parent)
        started = boot_id()
        if started is None:
            self.make_last(digest)
        else:
            self._write(self.root / "lasting" / _hex(digest), started.encode())
        self.drop_download(digest)
        return target

    def make_last(self, digest: str) -> None:
        """Have a snapshot survive a power cut, where that is not known already."""
        lasting = self.root / "lasting" / _hex(digest)
        if not (lasting.is_file() and lasting.read_bytes() == _SYNCED):
            below = list(self.snapshot_path(digest).rglob("*"))
            folders = [path for path in below if path.is_dir()]
            sync_together([path for path in below if path.is_file()], [*folders, self.snapshot_path(digest)])
            self._write(lasting, _SYNCED)

    def _distrust(self, name: str) -> None:
        """Forget that a snapshot lasts, for good, before another takes its place."""
        with suppress(FileNotFoundError):
            (self.root / "lasting" / name).unlink()
            sync_folder(self.root / "lasting")

    def _is_trusted(self, name: str) -> bool:
        try:
            lasting = (self.root / "lasting" / name).read_bytes()
        except FileNotFoundError:
            return False
        started = boot_id()
        return lasting == _SYNCED or (started is not None and lasting == started.encode())

    def discard(self, digest: str) -> None:
        """Forget a version's files."""
        self._discard_directory(self.snapshot_path(digest))

    def drop_download(self, digest: str) -> None:
        """Remove what an unfinished pull left."""
        shutil.rmtree(self.download_path(digest), ignore_errors=True)

    @contextmanager
    def lock(self, digest: str) -> Iterator[None]:
        """Hold the right to pull a version; waits while another process or thread has it."""
        path = self.root / "locks" / f"{_hex(digest)}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def find(self, files: Collection[str], blobs: Collection[str]) -> tuple[dict[str, Path], dict[str, Place]]:
        """Where wanted files and blobs, by digest, are within snapshots that are here already."""
        whole: dict[str, Path] = {}
        parts: dict[str, Place] = {}
        for path in sorted((self.root / "manifests").glob("*.json")):
            root = self.root / "snapshots" / path.stem
            if (len(whole), len(parts)) == (len(files), len(blobs)):
                break
            if not root.is_dir():
                continue
            is_trusted = self._is_trusted(path.stem)
            for file in orjson.loads(path.read_bytes())["files"]:
                if not _is_untouched(root / file["path"], file["size"]):
                    continue
                if is_trusted and file["digest"] in files:  # nobody hashes a whole file again; parts are checked
                    whole[file["digest"]] = root / file["path"]
                parts |= {name: place for name, place in _parts(root, file) if name in blobs}
        return whole, parts

    def remember(self, url: str, reference: str, version: Version) -> None:
        """Keep what a reference meant, for times when the hub cannot be asked."""
        data = version.model_dump_json().encode()
        exact = (version.reference, f"{version.model}@{version.digest}")
        for text in {reference, *exact}:
            self._write(self._reference_path(url, text), data)

    def recall(self, url: str, reference: str) -> Version | None:
        """What a reference meant when the hub was last asked."""
        try:
            return Version.model_validate_json(self._reference_path(url, reference).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def note_placed(self, directory: Path, placed: Placed) -> None:
        """Keep which version was put into a directory."""
        facts = {"reference": placed.reference, "digest": placed.digest, "url": placed.url}
        self._write(self._placed_path(directory), orjson.dumps(facts))

    def placed(self, directory: Path) -> Placed | None:
        """Which version was put into a directory, if that is known."""
        try:
            facts = orjson.loads(self._placed_path(directory).read_bytes())
            return Placed(str(facts["reference"]), parse_digest(facts["digest"]), str(facts["url"]))
        except (FileNotFoundError, orjson.JSONDecodeError, KeyError, HubError):
            return None

    def _reference_path(self, url: str, reference: str) -> Path:
        return self.root / "refs" / quote(url, safe="") / quote(reference, safe="")

    def _placed_path(self, directory: Path) -> Path:
        return self.root / "placed" / digest_of(os.fsencode(directory.resolve())).removeprefix("sha256:")

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{os.getpid()}-{os.urandom(4).hex()}")
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def _discard_directory(self, directory: Path) -> None:
        aside = self.root / "downloads" / f"trash-{os.urandom(8).hex()}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            directory.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def _hex(digest: str) -> str:
    return parse_digest(digest).removeprefix("sha256:")


def _is_untouched(path: Path, size: int) -> bool:
    try:
        facts = path.stat(follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return facts.st_size == size and facts.st_mtime_ns == FIXED_TIME_S * 1_000_000_000


def _parts(root: Path, file: dict[str, Any]) -> Iterator[tuple[str, Place]]:
    offset = 0
    for blob in file["blobs"]:
        yield blob["digest"], Place(root / file["path"], offset, blob["size"])
        offset += blob["size"]
