"""Pull: hand out a version's manifest and bytes.

Laws: bytes leave only through a version that has them and that the caller may see; a version that is not accepted
(validating, rejected) gives no bytes. Which blobs somebody may have of a version is looked up once for all of them and
remembered for :data:`GRANT_S`: what is hidden or removed meanwhile can be had for so long by who was pulling it.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from hub.domain.access import Principal, Scope
from hub.domain.digests import parse_digest
from hub.domain.errors import BlobLost, BlobNotFound, VersionNotReady
from hub.domain.manifest import File, Manifest
from hub.domain.names import ModelName
from hub.domain.versions import State, Version
from hub.protocol import paths
from hub.protocol.schemas import BlobPlace, BlobPlaces
from hub.storage.blobs import BlobStore
from hub.storage.blobs.store import URL_LIFE_S
from hub.storage.catalog import Catalog, Transaction, VersionRecord

GRANT_S = 5.0
_MOST_GRANTS = 64
GIVEN_OUT = (State.READY, State.YANKED)


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody may have of a version: the size of every blob by its digest, and until when that holds."""

    reference: str
    sizes: Mapping[str, int]
    until: float

    def size(self, digest: str) -> int:
        """The size of a blob.

        Raises:
            InvalidName: It is not well-formed.
            BlobNotFound: The version has no such blob.
        """
        size = self.sizes.get(parse_digest(digest))
        if size is None:
            raise BlobNotFound(f"{self.reference} has no blob {digest}.")
        return size


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of a blob."""

    digest: str
    start: int
    length: int


def parts_of(file: File, start: int, length: int) -> list[Part]:
    """Where some bytes of a file are, blob after blob."""
    end, offset, parts = start + length, 0, []
    for blob in file.blobs:
        begin, stop = max(start, offset), min(end, offset + blob.size)
        if begin < stop:
            parts.append(Part(blob.digest, begin - offset, stop - begin))
        offset += blob.size
    return parts


@contextmanager
def lost_where_not_found() -> Iterator[None]:
    """Tell apart what a version does not have and what it has and the store does not.

    Raises:
        BlobLost: A blob that was opened inside is not in the store.
    """
    try:
        yield
    except BlobNotFound as error:
        raise BlobLost(
            f"Bytes of this version are lost: {error.detail}",
            remedy="Push the version again, which sends only them, or have who runs the hub restore them: "
            "'hub admin doctor --deep' names all that is lost.",
            **error.facts,
        ) from error


@dataclass(frozen=True, slots=True)
class Pulls:
    """The pull use cases. ``is_relayed`` where all bytes go through the hub, whatever the store could do."""

    catalog: Catalog
    blobs: BlobStore
    is_relayed: bool = False
    _grants: dict[tuple[bool, str, int], "Grant"] = field(default_factory=dict, repr=False)

    def manifest(self, principal: Principal, name: str, number: int) -> bytes:
        """The canonical bytes of a version's manifest; their sha256 is the version's digest.

        Raises:
            VersionNotFound: No such version that the caller may see.
            VersionNotReady: It is still validating, or was rejected.
            BlobLost: The store lost it.
        """
        with self.catalog.read() as tx:
            version = self._given_out(tx, principal, name, number)
        with lost_where_not_found():
            return b"".join(self.blobs.open(version.digest))

    def golden(self, principal: Principal, name: str, number: int) -> bytes:
        """The inputs the hub generated for a version and what came out, as ``.npz``.

        Raises:
            VersionNotFound: No such version that the caller may see.
            VersionNotReady: It is still validating, or was rejected.
            BlobNotFound: It has no golden samples.
            BlobLost: It has, and the store lost them.
        """
        with self.catalog.read() as tx:
            record = self._record(tx, principal, name, number)
        reference, digest = record.version.reference, record.golden_digest
        if digest is None:
            raise BlobNotFound(f"{reference} has no golden samples: no signature took the generated inputs.")
        with lost_where_not_found():
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
        granted = self.grant(principal, name, number)
        for digest in digests:
            granted.size(digest)
        direct = None if relayed or self.is_relayed else self.blobs.direct
        if direct is None:
            urls = {digest: paths.version_blob(name, number, digest) for digest in digests}
            return BlobPlaces(items=tuple(BlobPlace(digest=key, url=url) for key, url in urls.items()))
        items = tuple(BlobPlace(digest=digest, url=direct.get_url(digest)) for digest in digests)
        return BlobPlaces(items=items, expires_in_s=URL_LIFE_S)

    def granted(self, principal: Principal, name: str, number: int) -> "Grant | None":
        """The grant that `grant` would give, where it is remembered.

        Raises:
            Unauthorized: Nobody in particular asks, and may not read.
            Forbidden: It is known who asks, but they may not read.
        """
        principal.require(Scope.READ)
        found = self._grants.get((principal.sees(name), name, number))
        return found if found is not None and found.until >= time.monotonic() else None

    def grant(self, principal: Principal, name: str, number: int) -> "Grant":
        """Which blobs the caller may have of a version.

        Raises:
            VersionNotFound: No such version that the caller may see.
            VersionNotReady: It is still validating, or was rejected.
        """
        known = self.granted(principal, name, number)
        if known is not None:
            return known
        with self.catalog.read() as tx:
            version = self._given_out(tx, principal, name, number)
            sizes = tx.blobs_of_version(ModelName.parse(name), number)
        grant = Grant(version.reference, sizes, time.monotonic() + GRANT_S)
        while len(self._grants) >= _MOST_GRANTS:
            self._grants.pop(next(iter(self._grants)), None)
        self._grants[principal.sees(name), name, number] = grant
        return grant

    def contents(self, principal: Principal, name: str, number: int) -> Manifest:
        """What a version consists of: the manifest, as the catalog has it.

        Raises:
            VersionNotFound: No such version that the caller may see.
            VersionNotReady: It is still validating, or was rejected.
        """
        with self.catalog.read() as tx:
            return self._record(tx, principal, name, number).manifest

    def file(self, principal: Principal, name: str, number: int, path: str) -> File:
        """A file of a version that the caller may have.

        Raises:
            VersionNotFound: No such version that the caller may see.
            VersionNotReady: It is still validating, or was rejected.
            BlobNotFound: The version has no such file.
        """
        files = self.contents(principal, name, number).files
        found = next((file for file in files if file.path == path), None)
        if found is None:
            raise BlobNotFound(f"{name}@{number} has no file {path[:200]!r}.")
        return found

    def _given_out(self, tx: Transaction, principal: Principal, name: str, number: int) -> Version:
        principal.require(Scope.READ)
        return _accepted(tx.version(ModelName.parse(name), number, principal.view))

    def _record(self, tx: Transaction, principal: Principal, name: str, number: int) -> VersionRecord:
        principal.require(Scope.READ)
        record = tx.record(ModelName.parse(name), number, principal.view)
        _accepted(record.version)
        return record


def _accepted(version: Version) -> Version:
    if version.state not in GIVEN_OUT:
        raise VersionNotReady(
            f"{version.reference} is {version.state.value}; only an accepted version is handed out.",
            remedy=f"See its report with `hub show {version.reference}`.",
        )
    return version
