"""Queries of the deep check: what every row leans on, read and never changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Select, and_, exists, func, or_, select, tuple_

from hub.domain.names import ModelName
from hub.domain.versions import State
from hub.storage.catalog.queries import Queries
from hub.storage.catalog.sweeping import PAGE, is_needed
from hub.storage.catalog.tables import METADATA, blobs, edges, numbers, version_blobs, versions

_MOST = 1_000
_VERSIONS_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version as its row has it, ``manifest`` as the bytes that lie there."""

    model: ModelName
    number: int
    digest: str
    content_digest: str
    golden_digest: str | None
    size: int
    manifest: bytes

    @property
    def reference(self) -> str:
        """``owner/name@7``."""
        return f"{self.model}@{self.number}"


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob as its row has it, and whether a version or a push under way needs it."""

    digest: str
    size: int | None
    state: str
    condemned_at: datetime | None
    is_needed: bool


class InspectionQueries(Queries):
    """Everything there is, a page at a time, and what points at nothing."""

    def dangling(self) -> list[tuple[str, str]]:
        """Rows that point at a row that is not there: the table and its key, and the table it points into."""
        found = [pair for table in METADATA.sorted_tables for key in _keys(table) for pair in self._orphans(key)]
        return found + [(f"edges {row.model}@{row.number}", "versions") for row in self._lost_parents()]

    def reused_numbers(self) -> list[str]:
        """Models whose next version would get a number that is taken."""
        newest = select(versions.c.model, func.max(versions.c.number).label("last")).group_by(versions.c.model)
        highest = newest.subquery()
        joined = highest.outerjoin(numbers, numbers.c.model == highest.c.model)
        behind = or_(numbers.c.last.is_(None), numbers.c.last < highest.c.last)
        query = select(highest.c.model).select_from(joined).where(behind).order_by(highest.c.model).limit(_MOST)
        return list(self.connection.execute(query).scalars())

    def stored_versions(self, after: tuple[str, int]) -> list[StoredVersion]:
        """A page of all versions, in the order of name and number."""
        key = versions.c.model, versions.c.number
        query = select(versions).where(tuple_(*key) > tuple_(*after)).order_by(*key).limit(_VERSIONS_AT_ONCE)
        return [
            StoredVersion(
                model=ModelName.parse(row.model),
                number=row.number,
                digest=row.digest,
                content_digest=row.content_digest,
                golden_digest=row.golden_digest,
                size=row.size,
                manifest=row.manifest,
            )
            for row in self.connection.execute(query)
        ]

    def claimed_blobs(self, name: ModelName, number: int) -> set[str]:
        """Digests that a version keeps from being swept."""
        query = select(version_blobs.c.digest).where(version_blobs.c.model == str(name))
        return set(self.connection.execute(query.where(version_blobs.c.number == number)).scalars())

    def unlisted(self, name: ModelName, number: int) -> set[str]:
        """Digests of a version that no blob's row tells of."""
        listed = exists().where(blobs.c.digest == version_blobs.c.digest)
        query = select(version_blobs.c.digest).where(version_blobs.c.model == str(name), ~listed)
        return set(self.connection.execute(query.where(version_blobs.c.number == number)).scalars())

    def stored_blobs(self, after: str) -> list[StoredBlob]:
        """A page of all blobs, in the order of their digests."""
        query = _stored_blobs().where(blobs.c.digest > after).order_by(blobs.c.digest).limit(PAGE)
        return [StoredBlob(*row) for row in self.connection.execute(query)]

    def stored_blob(self, digest: str) -> StoredBlob | None:
        """A blob as it is now."""
        row = self.connection.execute(_stored_blobs().where(blobs.c.digest == digest)).one_or_none()
        return StoredBlob(*row) if row else None

    def needed_bytes(self) -> int:
        """Bytes of all blobs that somebody needs, as far as they are known."""
        query = select(func.coalesce(func.sum(blobs.c.size), 0)).where(is_needed())
        return int(self.connection.execute(query).scalar_one())

    def holders(self, digest: str, limit: int = 3) -> list[str]:
        """References of versions that need a blob."""
        query = select(version_blobs.c.model, version_blobs.c.number).where(version_blobs.c.digest == digest)
        found = self.connection.execute(query.order_by(version_blobs.c.model, version_blobs.c.number).limit(limit))
        return [f"{row.model}@{row.number}" for row in found]

    def known_blobs(self, digests: list[str]) -> set[str]:
        """Those that a row tells of."""
        return set(self.connection.execute(select(blobs.c.digest).where(blobs.c.digest.in_(digests))).scalars())

    def _orphans(self, key: ForeignKeyConstraint) -> Iterator[tuple[str, str]]:
        table, parent = key.table, key.referred_table
        pairs = [(element.parent, element.column) for element in key.elements]
        is_there = exists().where(and_(*(mine == theirs for mine, theirs in pairs)))
        points = and_(*(mine.is_not(None) for mine, _ in pairs))  # where one is null there is nothing to be there
        names = list(table.primary_key.columns)
        for row in self.connection.execute(select(*names).where(points, ~is_there).limit(_MOST)):
            yield f"{table.name} {' '.join(map(str, row))}", parent.name

    def _lost_parents(self) -> list[Any]:
        """Edges of versions that were not rejected to a version that is gone."""
        parent, child = versions.alias("parent"), versions
        is_there = exists().where(parent.c.digest == edges.c.parent_digest)
        mine = and_(child.c.model == edges.c.model, child.c.number == edges.c.number)
        query = select(edges.c.model, edges.c.number).join(child, mine)
        accepted = child.c.state != State.REJECTED.value
        return list(self.connection.execute(query.where(accepted, ~is_there).limit(_MOST)))


def _keys(table: Any) -> list[ForeignKeyConstraint]:
    return sorted(table.foreign_key_constraints, key=lambda key: key.referred_table.name)


def _stored_blobs() -> Select[*tuple[Any, ...]]:
    return select(blobs.c.digest, blobs.c.size, blobs.c.state, blobs.c.condemned_at, is_needed().label("is_needed"))
