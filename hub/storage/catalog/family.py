"""Queries about many versions at once: what is tied to them, so that a whole level of lineage costs a few of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ScalarSelect, and_, func, not_, or_, select, tuple_

from hub.domain.access import View
from hub.domain.lineage import Edge, EdgeKind
from hub.domain.manifest import Kind
from hub.domain.names import ModelName
from hub.domain.versions import State, Version
from hub.storage.catalog.lookup import VersionLookup
from hub.storage.catalog.tables import edges, models, versions
from hub.storage.catalog.views import shown

VersionKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Link:
    """An edge with the version that it is of."""

    child: VersionKey
    edge: Edge

    @property
    def parent(self) -> VersionKey:
        """The version that it leads to, if that is the one with the edge's digest."""
        return self.edge.model, self.edge.number


class FamilyQueries(VersionLookup):
    """What is tied to many versions."""

    def links(self, around: Sequence[Version], limit: int | None = None) -> list[Link]:
        """Edges from and to some versions, in both directions, but those of rejected versions to them.

        Args:
            around: The versions.
            limit: How many edges at most; those of the newest versions of each model first.
        """
        keys, digests = [(one.model, one.number) for one in around], {one.digest for one in around}
        upward = tuple_(edges.c.model, edges.c.number).in_(keys)
        downward = and_(
            edges.c.parent_digest.in_(digests),
            tuple_(edges.c.parent_model, edges.c.parent_number).in_(keys),
            versions.c.state != State.REJECTED.value,
        )
        child = and_(versions.c.model == edges.c.model, versions.c.number == edges.c.number)
        query = select(edges).join(versions, child).where(or_(upward, downward)).limit(limit)
        order = (edges.c.model, edges.c.number.desc(), edges.c.position)
        return [
            Link(
                (row.model, row.number),
                Edge(
                    kind=EdgeKind(row.kind),
                    model=row.parent_model,
                    number=row.parent_number,
                    digest=row.parent_digest,
                    signature=row.signature,
                ),
            )
            for row in self.connection.execute(query.order_by(*order))
        ]

    def successions(self, around: Sequence[Version]) -> list[tuple[VersionKey, VersionKey]]:
        """Pairs of versions of one model that follow each other, the later first; rejected ones do not count."""
        older, newer = _nearest(is_older=True), _nearest(is_older=False)
        keys = [(one.model, one.number) for one in around]
        query = select(versions.c.model, versions.c.number, older, newer)
        pairs: list[tuple[VersionKey, VersionKey]] = []
        for model, number, before, after in self.connection.execute(
            query.where(tuple_(versions.c.model, versions.c.number).in_(keys))
        ):
            pairs += [((model, number), (model, before))] if before is not None else []
            pairs += [((model, after), (model, number))] if after is not None else []
        return pairs

    def versions_at(self, keys: Collection[VersionKey]) -> dict[VersionKey, Version]:
        """Those versions that there are."""
        found = self._find(tuple_(versions.c.model, versions.c.number).in_(list(keys))) if keys else []
        return {(version.model, version.number): version for version in found}

    def hidden_among(self, names: Collection[str], view: View) -> dict[str, Kind]:
        """The kind of each of those models that does not exist for a view."""
        if view.is_whole or not names:
            return {}
        query = select(models.c.name, models.c.kind).where(models.c.name.in_(list(names)), not_(shown(view)))
        return {name: Kind(kind) for name, kind in self.connection.execute(query)}

    def ready_numbers(self, name: ModelName) -> list[tuple[int, int | None]]:
        """Number and interface of every ready version of a model, newest first."""
        query = select(versions.c.number, versions.c.interface).order_by(versions.c.number.desc())
        mine = (versions.c.model == str(name)) & (versions.c.state == State.READY.value)
        return [(number, interface) for number, interface in self.connection.execute(query.where(mine))]


def _nearest(*, is_older: bool) -> ScalarSelect[int]:
    """The number of the version before (or after) each, of the same model."""
    other = versions.alias()
    side = other.c.number < versions.c.number if is_older else other.c.number > versions.c.number
    number = func.max(other.c.number) if is_older else func.min(other.c.number)
    query = select(number).where(other.c.model == versions.c.model, side, other.c.state != State.REJECTED.value)
    return query.correlate(versions).scalar_subquery()
