"""Audit: read who changed what, and remove what is old.

Laws: only administrators read it; reading is not noted. What is removed was exported before, entry for entry, and that
is noted with the export's digest.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hub.domain.access import Principal, Scope
from hub.domain.audit import Action, AuditEntry
from hub.domain.errors import Conflict, InvalidRequest
from hub.protocol.schemas import AuditPage
from hub.storage.catalog import Catalog

KEPT = timedelta(days=1)
"""What is younger is not removed: clocks differ, and units of work end after what they note."""
_PAGE_ROWS = 1_000
Export = Callable[[Iterable[Sequence[AuditEntry]]], str]


@dataclass(frozen=True, slots=True)
class Audits:
    """The audit use case."""

    catalog: Catalog

    def entries(
        self,
        principal: Principal,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        actor: str | None = None,
        thing: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> AuditPage:
        """Entries, newest first.

        Args:
            principal: Who asks.
            since: Only those from this moment on; UTC where it names no zone.
            until: Only those before this moment, likewise.
            actor: Only those of this principal.
            thing: Only those about this object; a model's name also means its versions and aliases.
            before: The last id of the page before.
            limit: How many at most.
        """
        principal.require(Scope.ADMIN)
        with self.catalog.read() as tx:
            found = tx.audit(
                since=since and _utc(since),
                until=until and _utc(until),
                actor=actor,
                thing=thing,
                before=before,
                limit=limit + 1,
            )
        return AuditPage(items=tuple(found[:limit]), next=found[limit - 1].id if len(found) > limit else None)

    def pages(
        self,
        principal: Principal,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        actor: str | None = None,
        thing: str | None = None,
    ) -> Iterator[Sequence[AuditEntry]]:
        """All entries, newest first, as many at a time as are read at once; see `entries`."""
        principal.require(Scope.ADMIN)

        def read() -> Iterator[Sequence[AuditEntry]]:
            narrowed = {"since": since, "until": until, "actor": actor, "thing": thing}
            page = self.entries(principal, **narrowed, limit=_PAGE_ROWS)
            while page.items:
                yield page.items
                if page.next is None:
                    return
                page = self.entries(principal, **narrowed, before=page.next, limit=_PAGE_ROWS)

        return read()

    def prune(self, principal: Principal, until: datetime, export: Export) -> int:
        """Remove all entries before a moment, once they are exported; gives how many.

        Args:
            principal: Who asks.
            until: The moment; UTC where it names no zone.
            export: Keeps what it is given, newest first, and gives the digest of what it made of it.

        Raises:
            InvalidRequest: It is less than a day ago.
            Conflict: Somebody else removed entries meanwhile.
        """
        principal.require(Scope.ADMIN)
        until = _utc(until)
        if until > datetime.now(UTC) - KEPT:
            raise InvalidRequest("What was noted within the last day stays.", remedy="Choose an earlier moment.")
        count = 0

        def counted() -> Iterator[Sequence[AuditEntry]]:
            nonlocal count
            for page in self.pages(principal, until=until):
                count += len(page)
                yield page

        digest = export(counted())
        with self.catalog.begin() as tx:
            facts = {"before": until.isoformat(), "entries": count, "export": digest}
            tx.note(principal, Action.AUDIT_PRUNE, "audit", facts)
            if tx.prune_audit(until) != count:
                raise Conflict("Somebody else removed entries meanwhile.", remedy="Try again with another file.")
        return count


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
