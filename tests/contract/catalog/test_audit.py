"""The audit is only added to, on every database, but for what is old; it is there exactly where the change is."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, text, update
from sqlalchemy.exc import DBAPIError

from hub.domain.access import HUB, Principal, Scope
from hub.domain.audit import Action, AuditEntry, Origin, Result, asked_from
from hub.domain.errors import Conflict, InvalidRequest
from hub.services.audit import Audits
from hub.storage.catalog.catalog import Catalog
from hub.storage.catalog.tables import audit

ADA = Principal(name="ada", scope=Scope.WRITE, token_id="t1")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def test_an_entry_comes_back_with_the_request_behind_it(catalog: Catalog) -> None:
    began = datetime.now(UTC)
    with catalog.begin() as tx, asked_from(Origin("r1", "203.0.113.7")):
        tx.note(ADA, Action.ALIAS_SET, "acme/trunk:stable", {"number": 2, "previous": None, "odd": "\0\ud800é"})
    with catalog.begin() as tx:
        tx.note(HUB, Action.VERSION_READY, "acme/trunk@2")
    with catalog.read() as tx:
        own, asked = tx.audit(limit=10)
    assert (asked.actor, asked.token_id, asked.address, asked.request_id) == ("ada", "t1", "203.0.113.7", "r1")
    assert (asked.action, asked.object, asked.result) == (Action.ALIAS_SET, "acme/trunk:stable", Result.DONE)
    assert asked.facts == {"number": 2, "previous": None, "odd": "\0\ud800é"}
    assert began <= asked.at <= datetime.now(UTC)
    assert (own.actor, own.token_id, own.address, own.request_id, own.facts) == ("hub", None, None, None, {})
    assert own.id > asked.id


def test_an_entry_is_undone_with_the_change_it_tells_of(catalog: Catalog) -> None:
    def fail() -> None:
        with catalog.begin() as tx:
            tx.note(ADA, Action.MODEL_DELETE, "acme/trunk")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with catalog.read() as tx:
        assert tx.audit(limit=10) == []


def test_no_entry_is_changed_or_removed(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        tx.note(ADA, Action.MODEL_DELETE, "acme/trunk")
    changes = [update(audit).values(actor="bob"), delete(audit)]
    if catalog.url.get_backend_name() == "postgresql":
        changes.append(text("TRUNCATE audit"))
    for change in changes:
        with pytest.raises(DBAPIError, match="only added to"), catalog._writers.begin() as connection:
            connection.execute(change)
    with catalog.read() as tx:
        assert [entry.actor for entry in tx.audit(limit=10)] == ["ada"]


def note_at(catalog: Catalog, *moments: datetime) -> None:
    """Entries of long ago, which only the table itself takes."""
    row = {"action": "model.delete", "actor": "ada", "object": "acme/old", "result": "done", "facts": {}}
    with catalog._writers.begin() as connection:
        connection.execute(insert(audit), [row | {"at": at} for at in moments])


def test_what_is_old_is_removed_once_it_is_exported_and_the_table_is_as_closed_as_before(catalog: Catalog) -> None:
    note_at(catalog, *(LONG_AGO + timedelta(days=day) for day in range(3)))
    until, told = LONG_AGO + timedelta(days=2), []

    def export(pages: Iterable[Sequence[AuditEntry]]) -> str:
        told.extend(entry.at for page in pages for entry in page)
        return "sha256:abc"

    assert Audits(catalog).prune(HUB, until.replace(tzinfo=None), export) == 2
    assert told == [LONG_AGO + timedelta(days=1), LONG_AGO]
    with catalog.read() as tx:
        noted, kept = tx.audit(limit=10)
    assert (kept.at, noted.action, noted.object) == (until, Action.AUDIT_PRUNE, "audit")
    assert noted.facts == {"before": until.isoformat(), "entries": 2, "export": "sha256:abc"}
    with pytest.raises(DBAPIError, match="only added to"), catalog._writers.begin() as connection:
        connection.execute(delete(audit))


def test_nothing_is_removed_that_is_young_or_was_not_exported(catalog: Catalog) -> None:
    note_at(catalog, LONG_AGO)
    audits = Audits(catalog)
    with pytest.raises(InvalidRequest, match="last day"):
        audits.prune(HUB, datetime.now(UTC), lambda _pages: "")
    with pytest.raises(Conflict, match="meanwhile"):
        audits.prune(HUB, LONG_AGO + timedelta(days=1), lambda _pages: "nothing was read")
    with catalog.read() as tx:
        assert [entry.at for entry in tx.audit(limit=10)] == [LONG_AGO]
    assert Audits(catalog).prune(HUB, LONG_AGO + timedelta(days=1), lambda pages: str(list(pages))) == 1
    with catalog.read() as tx:
        first = tx.audit(limit=10)[0].id
    with catalog.begin() as tx:
        tx.note(ADA, Action.MODEL_DELETE, "acme/trunk")
        assert tx.audit(limit=1)[0].id > first  # also where nothing else was left


def test_whatever_was_sent_as_a_name_can_be_noted(catalog: Catalog) -> None:
    with catalog.begin() as tx, asked_from(Origin("r", "\0" * 1_000)):
        tx.note(ADA, Action.MODEL_DELETE, "a\0b\ud800" * 1_000, result=Result.DENIED)
    with catalog.read() as tx:
        (entry,) = tx.audit(limit=10)
    assert entry.object.startswith("a\ufffdb\ufffda")
    assert len(entry.object) == len(entry.address or "") == 300


def test_entries_are_found_by_what_they_are_about(catalog: Catalog) -> None:
    about = ["acme/a", "acme/a@1", "acme/a:stable", "acme/ab", "acme/a-b", "acme/aZ", "acme/a@12", "b/a@1"]
    with catalog.begin() as tx:
        for thing in about:
            tx.note(ADA, Action.VERSION_PUSH, thing)
        tx.note(HUB, Action.VERSION_READY, "acme/a@1")

    def found(**wanted: Any) -> list[str]:
        with catalog.read() as tx:
            return [entry.object for entry in tx.audit(limit=20, **wanted)]

    assert found(thing="acme/a") == ["acme/a@1", "acme/a@12", "acme/a:stable", "acme/a@1", "acme/a"]
    assert found(thing="acme/a@1") == ["acme/a@1", "acme/a@1"]
    assert found(thing="acme/a", actor="hub") == ["acme/a@1"]
    assert found(actor="nobody") == found(since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert len(found(since=LONG_AGO)) == len(about) + 1


def test_pages_of_entries_neither_repeat_nor_skip(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        for number in range(5):
            tx.note(ADA, Action.VERSION_PUSH, f"acme/a@{number}")
    seen: list[int] = []
    with catalog.read() as tx:
        while page := tx.audit(before=seen[-1] if seen else None, limit=2):
            seen += [entry.id for entry in page]
    assert len(seen) == 5
    assert seen == sorted(set(seen), reverse=True)


def test_denials_are_counted_by_token(catalog: Catalog) -> None:
    other = Principal(name="ada", scope=Scope.READ, token_id="t2")
    with catalog.begin() as tx:
        tx.note(ADA, Action.MODEL_DELETE, "acme/a", result=Result.DENIED)
        tx.note(ADA, Action.MODEL_DELETE, "acme/a")
        assert tx.denials(ADA, LONG_AGO) == 1
        assert tx.denials(ADA, datetime.now(UTC) + timedelta(hours=1)) == 0
        assert tx.denials(other, LONG_AGO) == 0
