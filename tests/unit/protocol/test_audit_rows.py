"""The audit as CSV: what somebody sent as a name is text to every program that opens it."""

import csv
import io
from datetime import UTC, datetime

import pytest

from hub.domain.audit import Action, AuditEntry, Result
from hub.protocol.codecs.audit_rows import COLUMNS, csv_lines

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def entry(thing: str, **facts: object) -> AuditEntry:
    return AuditEntry(
        id=7,
        at=AT,
        action=Action.MODEL_DELETE,
        actor="ada",
        token_id=None,
        address="203.0.113.7",
        object=thing,
        result=Result.DENIED,
        request_id="r1",
        facts=facts,
    )


def test_an_entry_is_a_line_with_every_field() -> None:
    head, line = "".join(csv_lines([(entry("acme/x", needed="admin"),)])).splitlines()
    assert head == ",".join(COLUMNS)
    [row] = csv.DictReader(io.StringIO(f"{head}\n{line}"))
    assert row == {
        "id": "7",
        "at": "2026-01-31T12:00:00+00:00",
        "action": "model.delete",
        "object": "acme/x",
        "result": "denied",
        "actor": "ada",
        "token_id": "",
        "address": "203.0.113.7",
        "request_id": "r1",
        "facts": '{"needed": "admin"}',
    }


@pytest.mark.parametrize("thing", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r\n=1", "\u202e=1"])
def test_nothing_is_a_formula(thing: str) -> None:
    text = "".join(csv_lines([(entry(thing),)]))
    assert text.count("\r\n") == 2
    [_, row] = csv.reader(io.StringIO(text, newline=""))
    cell = row[COLUMNS.index("object")]
    assert cell.strip()[0] not in "=+-@"
    assert all(char.isprintable() for char in cell)


def test_what_is_no_text_can_be_written_too() -> None:
    assert "\\ud800" in "".join(csv_lines([(entry("x", odd="\ud800"),)]))
