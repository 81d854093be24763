"""Audit: read who changed what.

Law: only administrators read it; reading is not noted.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from hub.domain.access import Principal, Scope
from hub.protocol.schemas import AuditPage
from hub.storage.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Audits:
    """The audit use case."""

    catalog: Catalog

    def entries(
        self,
        principal: Principal,
        *,
        since: datetime | None = None,
        actor: str | None = None,
        thing: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> AuditPage:
        """Entries, newest first.

        Args:
            principal: Who asks.
            since: Only those from this moment on; UTC where it names no zone.
            actor: Only those of this principal.
            thing: Only those about this object; a model's name also means its versions and aliases.
            before: The last id of the page before.
            limit: How many at most.
        """
        principal.require(Scope.ADMIN)
        if since is not None and since.tzinfo is None:
            since = since.replace(tzinfo=UTC)
        with self.catalog.read() as tx:
            found = tx.audit(since=since, actor=actor, thing=thing, before=before, limit=limit + 1)
        return AuditPage(items=tuple(found[:limit]), next=found[limit - 1].id if len(found) > limit else None)
