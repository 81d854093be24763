"""Queries about lineage, in both directions, and about which bytes belong to whom."""

from collections.abc import Sequence

from sqlalchemy import select, tuple_

from hub.domain.lineage import Edge, EdgeKind
from hub.domain.names import ModelName
from hub.domain.versions import Version
from hub.storage.catalog.lookup import VersionLookup
from hub.storage.catalog.tables import edges, version_blobs, versions


class LineageQueries(VersionLookup):
    """Where versions come from and what hangs on them."""

    def parents(self, name: ModelName, number: int) -> tuple[Edge, ...]:
        """The edges of a version to those it came from.

        Raises:
            ModelNotFound: No such model.
            VersionNotFound: No such version.
        """
        self.version(name, number)
        query = select(edges).where(edges.c.model == str(name), edges.c.number == number).order_by(edges.c.position)
        return tuple(
            Edge(
                kind=EdgeKind(row.kind),
                model=row.parent_model,
                number=row.parent_number,
                digest=row.parent_digest,
                signature=row.signature,
            )
            for row in self.connection.execute(query)
        )

    def children(self, version: Version) -> list[Version]:
        """Versions with an edge to this one, in any state, by model and newest first.

        A version of another model with the same bytes, and so the same digest, has children of its own.
        """
        hanging = select(edges.c.model, edges.c.number).where(
            edges.c.parent_digest == version.digest,
            edges.c.parent_model == version.model,
            edges.c.parent_number == version.number,
        )
        return self._find(tuple_(versions.c.model, versions.c.number).in_(hanging))

    def blobs_of_version(self, name: ModelName, number: int, digests: Sequence[str]) -> set[str]:
        """Which of some blobs a version has, as a file's part, its manifest or its golden samples."""
        mine = (version_blobs.c.model == str(name)) & (version_blobs.c.number == number)
        query = select(version_blobs.c.digest).where(mine, version_blobs.c.digest.in_(digests))
        return set(self.connection.execute(query).scalars())
