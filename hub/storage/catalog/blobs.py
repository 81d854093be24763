"""Queries about bytes: which there are, and who needs them.

A blob's row is ``stored`` (whole, verified, in the store), ``condemned`` (nobody needed it when somebody looked),
``deleting`` (its object is being deleted right now) or ``lost`` (its object is damaged, or was looked for in vain).

Laws: whoever takes a condemned blob saves it; what is being deleted is there for nobody until it is gone.
On PostgreSQL that holds because taking and claiming write the same row: the second waits for the first, and then finds
a state that it has no business with.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.domain.access import View
from hub.domain.errors import NotAvailable
from hub.domain.names import ModelName
from hub.domain.versions import State
from hub.storage.catalog.queries import now
from hub.storage.catalog.quotas import QuotaQueries
from hub.storage.catalog.tables import blobs, models, push_blobs, pushes, version_blobs, versions
from hub.storage.catalog.views import shown_private

STEP = 500
"""Digests in one statement."""


class BlobState(StrEnum):
    """What is known of a blob."""

    STORED = "stored"
    CONDEMNED = "condemned"
    DELETING = "deleting"
    LOST = "lost"


_GIVEN_OUT = (State.READY.value, State.YANKED.value)
_HERE = (BlobState.STORED.value, BlobState.CONDEMNED.value)


@dataclass(frozen=True, slots=True)
class Announced:
    """A blob of a push under way: whose push it is, to which model, and the blob's size."""

    principal: str
    model: str
    size: int


class BlobQueries(QuotaQueries):
    """Which bytes there are, and who needs them."""

    def lease_blobs(self, push_id: UUID, sizes: Mapping[str, int]) -> set[str]:
        """Keep blobs from being swept for as long as a push is under way, stored already or not.

        Returns:
            Those that are stored.
        """
        rows = [
            {"push_id": push_id, "digest": digest, "size": size, "is_sent": False} for digest, size in sizes.items()
        ]
        for part in _steps(rows):
            self.connection.execute(self._insert(push_blobs).on_conflict_do_nothing(), part)
        return self._save(sizes)

    def lease_for_version(self, name: ModelName, number: int, digest: str) -> None:
        """Keep a blob from being swept that a version is about to have.

        Raises:
            NotAvailable: It is being deleted at this moment.
        """
        with self.recounted(name.owner, lambda: [digest]):
            self.insert_if_absent(version_blobs, {"model": str(name), "number": number, "digest": digest})
        self._save([digest])
        self.require_not_deleting([digest])

    def announced(self, push_id: UUID, digests: Iterable[str]) -> dict[str, Announced]:
        """What a push under way said of blobs; those that it did not announce are left out."""
        found: dict[str, Announced] = {}
        joined = push_blobs.join(pushes, pushes.c.id == push_blobs.c.push_id)
        columns = push_blobs.c.digest, push_blobs.c.size, pushes.c.principal, pushes.c.model
        query = select(*columns).select_from(joined).where(pushes.c.id == push_id)
        for part in _steps(list(digests)):
            for row in self.connection.execute(query.where(push_blobs.c.digest.in_(part))):
                found[row.digest] = Announced(row.principal, row.model, row.size)
        return found

    def note_sent(self, push_id: UUID, digest: str) -> None:
        """Remember that the bytes of a blob were sent to a push, whole."""
        is_it = (push_blobs.c.push_id == push_id) & (push_blobs.c.digest == digest)
        self.connection.execute(update(push_blobs).where(is_it).values(is_sent=True))

    def had_by(self, view: View, push_id: UUID, digests: Iterable[str]) -> set[str]:
        """Those whose bytes somebody has: they can read a version with them, or have sent them to this push."""
        sent = select(push_blobs.c.digest).where(push_blobs.c.push_id == push_id, push_blobs.c.is_sent)
        read = select(version_blobs.c.digest).join(models, models.c.name == version_blobs.c.model)
        of_version = (versions.c.model == version_blobs.c.model) & (versions.c.number == version_blobs.c.number)
        is_given_out = models.c.is_private.is_(False) & versions.c.state.in_(_GIVEN_OUT)
        read = read.join(versions, of_version).where(is_given_out | shown_private(view))
        found: set[str] = set()
        for part in _steps(list(digests)):
            found |= set(self.connection.execute(sent.where(push_blobs.c.digest.in_(part))).scalars())
            found |= set(self.connection.execute(read.where(version_blobs.c.digest.in_(part)).distinct()).scalars())
        return found

    def stored(self, digests: Iterable[str]) -> dict[str, int | None]:
        """Size by digest of those that are stored; None where it was never measured."""
        found: dict[str, int | None] = {}
        for part in _steps(list(digests)):
            query = select(blobs.c.digest, blobs.c.size).where(blobs.c.digest.in_(part), blobs.c.state.in_(_HERE))
            found |= {row.digest: row.size for row in self.connection.execute(query)}
        return found

    def being_deleted(self, digests: Iterable[str]) -> set[str]:
        """Those that a sweep is about to delete."""
        found: set[str] = set()
        for part in _steps(list(digests)):
            query = select(blobs.c.digest).where(blobs.c.digest.in_(part), blobs.c.state == BlobState.DELETING.value)
            found |= set(self.connection.execute(query).scalars())
        return found

    def require_not_deleting(self, digests: Iterable[str]) -> None:
        """Refuse to go on with bytes that a sweep is about to delete.

        Raises:
            NotAvailable: Some are.
        """
        if self.being_deleted(digests):
            raise NotAvailable("Bytes of this push are just being swept away.", remedy="Try again in a moment.")

    def note_stored(self, sizes: Mapping[str, int]) -> None:
        """Remember that blobs are stored.

        Raises:
            NotAvailable: One is being deleted at this moment.
        """
        at = now()
        for part in _steps(sorted(sizes)):
            rows = [{"digest": d, "size": sizes[d], "state": "stored", "referenced_at": at} for d in part]
            statement = self._insert(blobs)
            new = {"state": "stored", "size": statement.excluded.size, "referenced_at": at, "condemned_at": None}
            not_going = blobs.c.state != BlobState.DELETING.value
            self.connection.execute(
                statement.on_conflict_do_update(index_elements=["digest"], set_=new, where=not_going), rows
            )
        self.require_not_deleting(sizes)

    def note_stored_for(self, name: ModelName, digest: str, size: int) -> None:
        """Remember that a blob is stored that a version of a model was promised; see `lease_for_version`.

        Raises:
            NotAvailable: It is being deleted at this moment.
        """
        with self.recounted(name.owner, lambda: [digest]):
            self.note_stored({digest: size})

    def note_lost(self, digest: str) -> bool:
        """Remember that a blob's object is not there, or not whole; a push that has it sends it again.

        Returns:
            Whether that was news.
        """
        lost = update(blobs).where(blobs.c.digest == digest, blobs.c.state.in_(_HERE))
        return self.connection.execute(lost.values(state=BlobState.LOST.value)).rowcount > 0

    def _save(self, digests: Iterable[str]) -> set[str]:
        """Say that blobs are needed now; gives those that are stored."""
        saved: set[str] = set()
        for part in _steps(sorted(digests)):
            # Locked in one order, so that two pushes of the same bytes cannot wait for each other.
            here = select(blobs.c.digest).where(blobs.c.digest.in_(part), blobs.c.state.in_(_HERE))
            found = list(self.connection.execute(here.order_by(blobs.c.digest).with_for_update()).scalars())
            values = {"state": BlobState.STORED.value, "referenced_at": now(), "condemned_at": None}
            self.connection.execute(update(blobs).where(blobs.c.digest.in_(found)).values(**values))
            saved |= set(found)
        return saved

    def _insert(self, table: Any) -> Any:
        dialect = sqlite if self.connection.dialect.name == "sqlite" else postgresql
        return dialect.insert(table)


def _steps(items: list[Any]) -> Iterator[list[Any]]:
    yield from (items[at : at + STEP] for at in range(0, len(items), STEP))
