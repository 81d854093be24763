"""Pull: hand out a version's manifest and bytes.

Laws: bytes leave only through a version that has them and that the caller may see; a version that is not accepted
(validating, rejected) gives no bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hub.domain.access import Principal, Scope
from hub.domain.digests import parse_digest
from hub.domain.errors import BlobNotFound, VersionNotReady
from hub.domain.manifest import File
from hub.domain.names import ModelName
from hub.domain.versions import State, Version
from hub.protocol import paths
from hub.protocol.schemas import BlobPlace, BlobPlaces
from hub.storage.blobs import BlobStore
from hub.storage.blobs.store import URL_LIFE_S
from hub.storage.catalog import Catalog, Transaction

_GIVEN_OUT = (State.READY, State.YANKED)


@dataclass(frozen=True, slots=True)
class Pulls:
    """The pull use cases. ``is_relayed`` where all bytes go through the hub, whatever the store could do."""

    catalog: Catalog
    blobs: BlobStore
    is_relayed: bool = False

    def manifest(self, principal: Principal, name: str, number: int) -> bytes:
        """The canonical bytes of a version's manifest; their sha256 is the version's digest.

        Raises:
            VersionNotFound: No such version that the caller may see.
            VersionNotReady: It is still validating, or was rejected.
        """
        with self.catalog.read() as tx:
            version = self._given_out(tx, principal, name, number)
        return b"".join(self.blobs.open(version.digest))

    def golden(self, principal: Principal, name: str, number: int) -> bytes:
        """The inputs the hub generated for a version and what came out, as ``.npz``.

        Raises:
            VersionNotFound: No such version that the caller may see.
            VersionNotReady: It is still validating, or was rejected.
            BlobNotFound: It has no golden samples.
        """
        with self.catalog.read() as tx:
            version = self._given_out(tx, principal, name, number)
            digest = tx.record(ModelName.parse(name), number).golden_digest
        if digest is None:
            raise BlobNotFound(f"{version.reference} has no golden samples: no signature took the generated inputs.")
        return b"".join(self.blobs.open(digest))

    def places(
        self, principal: Principal, name: str, number: int, digests: Sequence[str], *, relayed: bool
    ) -> BlobPlaces:
        """Where the bytes of some blobs of a version are had.

        Args:
            principal: Who pulls.
            name: The model.
            number: The version's number.
            digests: Some of its blobs.
            relayed: Whether the bytes shall come through the hub, for those who do not reach the store.

        Raises:
            VersionNotFound: No such version that the caller may see.
            VersionNotReady: It is still validating, or was rejected.
            BlobNotFound: The version has no such blob.
        """
        with self.catalog.read() as tx:
            version = self._given_out(tx, principal, name, number)
            _require_blobs(tx, version, digests)
        direct = None if relayed or self.is_relayed else self.blobs.direct
        if direct is None:
            urls = {digest: paths.version_blob(name, number, digest) for digest in digests}
            return BlobPlaces(items=tuple(BlobPlace(digest=key, url=url) for key, url in urls.items()))
        items = tuple(BlobPlace(digest=digest, url=direct.get_url(digest)) for digest in digests)
        return BlobPlaces(items=items, expires_in_s=URL_LIFE_S)

    def blob_size(self, principal: Principal, name: str, number: int, digest: str) -> int:
        """Check that the caller may have a blob, and tell its size.

        Raises:
            VersionNotFound: No such version that the caller may see.
            VersionNotReady: It is still validating, or was rejected.
            BlobNotFound: The version has no such blob.
        """
        parse_digest(digest)
        with self.catalog.read() as tx:
            version = self._given_out(tx, principal, name, number)
            _require_blobs(tx, version, [digest])
            size = tx.stored([digest]).get(digest)
        return size if size is not None else self.blobs.size(digest)

    def blob(self, digest: str, start: int, length: int | None) -> Iterator[bytes]:
        """The bytes of a blob that :meth:`blob_size` allowed, in pieces of at most 1 MiB."""
        return self.blobs.open(digest, start, length)

    def file(self, principal: Principal, name: str, number: int, path: str) -> File:
        """A file of a version that the caller may have.

        Raises:
            VersionNotFound: No such version that the caller may see.
            VersionNotReady: It is still validating, or was rejected.
            BlobNotFound: The version has no such file.
        """
        with self.catalog.read() as tx:
            version = self._given_out(tx, principal, name, number)
            manifest = tx.record(ModelName.parse(name), number).manifest
        found = next((file for file in manifest.files if file.path == path), None)
        if found is None:
            raise BlobNotFound(f"{version.reference} has no file {path[:200]!r}.")
        return found

    def file_bytes(self, file: File, start: int, length: int) -> Iterator[bytes]:
        """Bytes of a file that :meth:`file` allowed, from its blobs one after the other."""
        end, offset = start + length, 0
        for blob in file.blobs:
            begin, stop = max(start, offset), min(end, offset + blob.size)
            if begin < stop:
                yield from self.blobs.open(blob.digest, begin - offset, stop - begin)
            offset += blob.size

    def _given_out(self, tx: Transaction, principal: Principal, name: str, number: int) -> Version:
        principal.require(Scope.READ)
        model = ModelName.parse(name)
        principal.see(tx.model(model))
        version = tx.version(model, number)
        if version.state not in _GIVEN_OUT:
            raise VersionNotReady(
                f"{version.reference} is {version.state.value}; only an accepted version is handed out.",
                remedy=f"See its report with `hub show {version.reference}`.",
            )
        return version


def _require_blobs(tx: Transaction, version: Version, digests: Sequence[str]) -> None:
    here = tx.blobs_of_version(ModelName.parse(version.model), version.number, digests)
    absent = next((digest for digest in digests if digest not in here), None)
    if absent is not None:
        raise BlobNotFound(f"{version.reference} has no blob {absent}.")
