"""Pull: hand out a version's manifest and bytes.

Laws: bytes leave only through a version that has them and that the caller may see; a version that is not accepted
(validating, rejected) gives no bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from hub.domain.access import Principal, Scope
from hub.domain.digests import parse_digest
from hub.domain.errors import BlobNotFound, VersionNotReady
from hub.domain.names import ModelName
from hub.domain.versions import State, Version
from hub.storage.blobs import BlobStore
from hub.storage.catalog import Catalog, Transaction

_GIVEN_OUT = (State.READY, State.YANKED)


@dataclass(frozen=True, slots=True)
class Pulls:
    """The pull use cases."""

    catalog: Catalog
    blobs: BlobStore

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
            is_in_version = tx.blob_is_in_model(ModelName.parse(name), digest)
        if not is_in_version:
            raise BlobNotFound(f"{version.reference} has no blob {digest}.")
        return self.blobs.size(digest)

    def blob(self, digest: str, start: int, length: int | None) -> Iterator[bytes]:
        """The bytes of a blob that :meth:`blob_size` allowed, in pieces of at most 1 MiB."""
        return self.blobs.open(digest, start, length)

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
