"""Queries about lineage, in both directions, and about which bytes belong to whom."""

from sqlalchemy import ColumnElement, select, tuple_

from hub.domain.errors import InvalidModel
from hub.domain.manifest import Manifest
from hub.domain.names import ModelName
from hub.domain.signatures import Signature, compose
from hub.domain.versions import Version
from hub.storage.catalog.lookup import VersionLookup
from hub.storage.catalog.tables import blobs, edges, version_blobs, versions


class LineageQueries(VersionLookup):
    """Where versions come from and what hangs on them."""

    def children(self, version: Version) -> list[Version]:
        """Versions with an edge to this one, in any state, by model and newest first.

        A version of another model with the same bytes, and so the same digest, has children of its own.
        """
        hanging = select(edges.c.model, edges.c.number).where(*_leads_to(version))
        return self._find(tuple_(versions.c.model, versions.c.number).in_(hanging))

    def answered_signatures(self, manifest: Manifest) -> dict[str, Signature]:
        """What a version answers to: a head's signatures on its trunk's input, where the two fit."""
        edge = manifest.trunk
        trunk = self.manifest_by_digest(edge.digest) if edge else None
        if edge is None or trunk is None:
            return manifest.signatures
        try:
            return compose(trunk.signatures[edge.signature], manifest.signatures)
        except (KeyError, InvalidModel):
            return manifest.signatures

    def blobs_of_version(self, name: ModelName, number: int) -> dict[str, int]:
        """Size by digest of every blob a version has: its files' parts, its manifest and its golden samples.

        Those whose size was never measured are left out.
        """
        joined = version_blobs.join(blobs, blobs.c.digest == version_blobs.c.digest)
        query = select(blobs.c.digest, blobs.c.size).select_from(joined)
        mine = (version_blobs.c.model == str(name)) & (version_blobs.c.number == number)
        return {row.digest: row.size for row in self.connection.execute(query.where(mine, blobs.c.size.is_not(None)))}


def _leads_to(version: Version) -> tuple[ColumnElement[bool], ...]:
    return (
        edges.c.parent_digest == version.digest,
        edges.c.parent_model == version.model,
        edges.c.parent_number == version.number,
    )
