"""Queries about the audit.

Law: there is none that changes an entry, and the database refuses it too (migration 0003); entries are removed only
from the oldest on, in a transaction that lifts the database's refusal and puts it back.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, insert, or_, select, text

from hub.domain.access import Principal
from hub.domain.audit import Action, AuditEntry, Result, origin
from hub.storage.catalog.queries import AnyRow, Queries, now
from hub.storage.catalog.tables import audit

_MAX_CHARS = 300
_UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")


class AuditQueries(Queries):
    """Entries: added with the change they tell of, listed newest first."""

    def note(
        self,
        principal: Principal,
        action: Action,
        thing: str,
        facts: Mapping[str, Any] | None = None,
        *,
        result: Result = Result.DONE,
    ) -> None:
        """Add an entry; the request behind it is the one that is being answered in this context.

        Args:
            principal: Who did it.
            action: What was done.
            thing: To what: a reference, or the id of a token or push. It may be anything somebody sent.
            facts: A few small JSON values.
            result: How it ended.
        """
        source = origin()
        row = {"at": now(), "action": action.value, "actor": principal.name, "token_id": principal.token_id}
        row |= {"address": _shown(source.address), "request_id": _shown(source.request_id)}
        row |= {"object": _shown(thing), "result": result.value, "facts": dict(facts or {})}
        self.connection.execute(insert(audit).values(**row))

    def audit(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        actor: str | None = None,
        thing: str | None = None,
        before: int | None = None,
        limit: int,
    ) -> list[AuditEntry]:
        """A page of entries, newest first.

        Args:
            since: Only those from this moment on.
            until: Only those before this moment.
            actor: Only those of this principal.
            thing: Only those about this object; a model's name also means its versions and aliases.
            before: The last id of the page before.
            limit: How many at most.
        """
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if since is not None:
            query = query.where(audit.c.at >= since)
        if until is not None:
            query = query.where(audit.c.at < until)
        if actor is not None:
            query = query.where(audit.c.actor == actor)
        if thing is not None:
            # By ranges, which an index can follow: "@" and ":" come just before "A" and ";".
            ranges = ((f"{thing}@", f"{thing}A"), (f"{thing}:", f"{thing};"))
            inside = (and_(audit.c.object >= first, audit.c.object < last) for first, last in ranges)
            query = query.where(or_(audit.c.object == thing, *inside))
        if before is not None:
            query = query.where(audit.c.id < before)
        return [_entry(row) for row in self.connection.execute(query)]

    def prune_audit(self, until: datetime) -> int:
        """Remove all entries before a moment; gives how many there were."""
        with self._lifted_refusal():
            return self.connection.execute(delete(audit).where(audit.c.at < until)).rowcount

    @contextmanager
    def _lifted_refusal(self) -> Iterator[None]:
        """Have the database let entries be removed by this transaction, which no other one sees."""
        if self.connection.dialect.name == "postgresql":
            lift, restore = (f"ALTER TABLE audit {word} TRIGGER audit_refuses" for word in ("DISABLE", "ENABLE"))
        else:
            lift = "DROP TRIGGER audit_refuses_delete"
            said = text("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'audit_refuses_delete'")
            restore = self.connection.execute(said).scalar_one()
        self.connection.exec_driver_sql(lift)
        yield
        self.connection.exec_driver_sql(restore)

    def denials(self, principal: Principal, since: datetime) -> int:
        """How often something was denied to a principal's token since a moment, as far as it was written down."""
        is_theirs = (audit.c.actor == principal.name) & (audit.c.token_id.is_not_distinct_from(principal.token_id))
        is_denied = audit.c.result == Result.DENIED.value
        query = select(func.count()).where(is_denied, is_theirs, audit.c.at >= since)
        return int(self.connection.execute(query).scalar_one())


def _shown(text: str | None) -> str | None:
    return None if text is None else _UNSTORABLE.sub("\ufffd", text)[:_MAX_CHARS]


def _entry(row: AnyRow) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        at=row.at,
        action=Action(row.action),
        actor=row.actor,
        token_id=row.token_id,
        address=row.address,
        object=row.object,
        result=Result(row.result),
        request_id=row.request_id,
        facts=row.facts,
    )
