"""Queries of the sweep: which bytes nobody needs any more, and what became of them.

Law: a blob that a version or a push under way needs is never claimed for deletion.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update

from hub.storage.catalog.blobs import BlobQueries, BlobState
from hub.storage.catalog.queries import now
from hub.storage.catalog.tables import blobs, push_blobs, pushes, version_blobs

PAGE = 1_000
CLAIM = 200
_STORED, _CONDEMNED, _DELETING = BlobState.STORED.value, BlobState.CONDEMNED.value, BlobState.DELETING.value


class SweepQueries(BlobQueries):
    """From being needed by nobody to being gone."""

    def drop_pushes(self, began_before: datetime) -> int:
        """Forget pushes that began before a moment, and with them their leases."""
        return self.connection.execute(delete(pushes).where(pushes.c.created_at < began_before)).rowcount

    def open_pushes(self, push_ids: Sequence[UUID]) -> set[UUID]:
        """Those that are under way."""
        query = select(pushes.c.id).where(pushes.c.id.in_(push_ids), pushes.c.completed_number.is_(None))
        return set(self.connection.execute(query).scalars())

    def blob_page(self, after: str) -> list[str]:
        """Digests of blobs said to be stored, in order, a page at a time."""
        query = select(blobs.c.digest).where(blobs.c.digest > after, blobs.c.state.in_((_STORED, _CONDEMNED)))
        return list(self.connection.execute(query.order_by(blobs.c.digest).limit(PAGE)).scalars())

    def condemn(self, digests: Sequence[str]) -> int:
        """Condemn those that nobody needs."""
        unneeded = update(blobs).where(blobs.c.digest.in_(digests), blobs.c.state == _STORED, ~is_needed())
        return self.connection.execute(unneeded.values(state=_CONDEMNED, condemned_at=now())).rowcount

    def condemn_unknown(self, digests: Sequence[str]) -> int:
        """Condemn what is in the store and not in the table, as a crash leaves it."""
        known = set(self.connection.execute(select(blobs.c.digest).where(blobs.c.digest.in_(digests))).scalars())
        at = now()
        rows = [
            {"digest": digest, "size": None, "state": _CONDEMNED, "referenced_at": at, "condemned_at": at}
            for digest in digests
            if digest not in known
        ]
        if rows:
            self.connection.execute(self._insert(blobs).on_conflict_do_nothing(), rows)
        return len(rows)

    def restore_lost(self, digests: Sequence[str]) -> int:
        """Call those stored again that were lost and are in the store after all."""
        back = update(blobs).where(blobs.c.digest.in_(digests), blobs.c.state == BlobState.LOST.value)
        return self.connection.execute(back.values(state=_STORED, condemned_at=None)).rowcount

    def lost(self) -> list[str]:
        """Lost blobs that somebody needs."""
        query = select(blobs.c.digest).where(blobs.c.state == BlobState.LOST.value, is_needed())
        return list(self.connection.execute(query.order_by(blobs.c.digest)).scalars())

    def claim_condemned(self, condemned_before: datetime, limit: int = CLAIM) -> list[tuple[str, int | None]]:
        """Take blobs for deletion that were condemned before a moment and that still nobody needs.

        Returns:
            Digest and size of each; those that somebody needs after all are stored again.
        """
        due = (blobs.c.state == _CONDEMNED) & (blobs.c.condemned_at < condemned_before)
        saved = update(blobs).where(due, is_needed()).values(state=_STORED, condemned_at=None)
        self.connection.execute(saved)
        some = select(blobs.c.digest).where(due).order_by(blobs.c.digest).limit(limit).scalar_subquery()
        claimed = update(blobs).where(blobs.c.digest.in_(some), due, ~is_needed()).values(state=_DELETING)
        returned = self.connection.execute(claimed.returning(blobs.c.digest, blobs.c.size))
        return [(row.digest, row.size) for row in returned]

    def deleting(self) -> list[tuple[str, int | None]]:
        """What a sweep that died had claimed."""
        query = select(blobs.c.digest, blobs.c.size).where(blobs.c.state == _DELETING)
        return [(row.digest, row.size) for row in self.connection.execute(query)]

    def drop_blobs(self, digests: Iterable[str]) -> None:
        """Forget claimed blobs, whose objects are gone."""
        gone = delete(blobs).where(blobs.c.digest.in_(list(digests)), blobs.c.state == _DELETING)
        self.connection.execute(gone)

    def unneeded(self) -> tuple[int, int]:
        """How many blobs nobody needs, and their bytes as far as they are known."""
        there = blobs.c.state.in_((_STORED, _CONDEMNED))
        query = select(func.count(), func.coalesce(func.sum(blobs.c.size), 0)).where(there, ~is_needed())
        count, size = self.connection.execute(query).one()
        return int(count), int(size)


def is_needed() -> ColumnElement[bool]:
    """Whether a version or a push under way needs a blob."""
    by_version = exists().where(version_blobs.c.digest == blobs.c.digest)
    by_push = exists().where(push_blobs.c.digest == blobs.c.digest)
    return or_(by_version, by_push)
