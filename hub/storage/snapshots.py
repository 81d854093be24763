"""Snapshots: a version's files as a read-only directory, made once per machine from its blobs.

Laws: a directory that ``path`` gives is whole and every byte in it was verified; it never changes; however many threads
and processes ask at once, one does the work. The manifest is itself a blob, so a digest and a store are all it takes.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from hub.domain.digests import digest_of
from hub.domain.errors import DigestMismatch, InvalidModel
from hub.domain.manifest import File, Manifest
from hub.storage.blobs.layout import hex_of
from hub.storage.blobs.store import BlobStore
from hub.storage.disk import disk_errors, locked, make_folder, sync_folder

_READ_ONLY = 0o444


class Snapshots:
    """A directory of snapshots by version digest."""

    def __init__(self, blobs: BlobStore, root: Path) -> None:
        """Keep snapshots of what is in ``blobs`` below ``root``, which is created on first use."""
        self.blobs = blobs
        self.root = root

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

    def path(self, digest: str) -> Path:
        """The directory with a version's files, made first where it is absent.

        Raises:
            BlobNotFound: The version or one of its blobs is not stored.
            DigestMismatch: Stored bytes are damaged.
            NotAvailable: The disk is full or cannot be written.
        """
        target = self._target(digest)
        if target.is_dir():
            return target
        manifest = self.manifest(digest)
        with disk_errors(self.root):
            make_folder(self.root / ".work")
            with locked(self._lock(digest)):
                if not target.is_dir():
                    self._make(digest, manifest, target)
        return target

    def drop(self, digest: str) -> None:
        """Remove a snapshot; absent is fine. Who has files of it open keeps them."""
        target = self._target(digest)
        if not target.is_dir():
            return
        with disk_errors(self.root), locked(self._lock(digest)):
            work = self._work(digest)
            shutil.rmtree(work, ignore_errors=True)
            if target.is_dir():
                target.rename(work)
            shutil.rmtree(work, ignore_errors=True)

    def materialise(self, files: Sequence[File], target: Path) -> None:
        """Write files below a directory from their blobs, each verified, each read-only.

        Raises:
            BlobNotFound: A blob is not stored.
            DigestMismatch: A blob or a file has other bytes than announced.
            InvalidModel: A path is too long for this machine.
            NotAvailable: The disk is full or cannot be written.
        """
        folders = {target, *(target / folder for file in files for folder in PurePosixPath(file.path).parents)}
        with disk_errors(target):
            try:
                for folder in sorted(folders):
                    folder.mkdir(parents=True, exist_ok=True)
                for file in files:
                    self._write(file, target / file.path)
                for folder in folders:
                    sync_folder(folder)
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:
                    raise
                raise InvalidModel("A file's path is too long for the hub's disk.", remedy="Shorten it.") from error

    def _make(self, digest: str, manifest: Manifest, target: Path) -> None:
        work = self._work(digest)
        shutil.rmtree(work, ignore_errors=True)  # left by a killed process: the lock is ours, so nobody writes there
        try:
            self.materialise(manifest.files, work)
            work.rename(target)
            sync_folder(self.root)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise

    def _write(self, file: File, path: Path) -> None:
        whole = hashlib.sha256()
        with path.open("xb") as out:
            for blob in file.blobs:
                part = hashlib.sha256()
                size = 0
                for chunk in self.blobs.open(blob.digest):
                    part.update(chunk)
                    whole.update(chunk)
                    size += len(chunk)
                    out.write(chunk)
                if size != blob.size or f"sha256:{part.hexdigest()}" != blob.digest:
                    raise DigestMismatch(f"Blob {blob.digest} of {file.path} has other bytes than announced.")
            if f"sha256:{whole.hexdigest()}" != file.digest:
                remedy = "Push the files again."
                raise DigestMismatch(f"The blobs of {file.path} do not make up its digest.", remedy=remedy)
            out.flush()
            os.fchmod(out.fileno(), _READ_ONLY)
            os.fsync(out.fileno())

    def _target(self, digest: str) -> Path:
        return self.root / hex_of(digest)

    def _work(self, digest: str) -> Path:
        return self.root / ".work" / hex_of(digest)

    def _lock(self, digest: str) -> Path:
        return self.root / ".work" / f"{hex_of(digest)}.lock"
