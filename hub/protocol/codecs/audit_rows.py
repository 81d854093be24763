"""The audit as CSV: a line for each entry, facts as JSON, moments in UTC.

Law: no table program takes a cell for a formula and no terminal one for a command, whatever somebody sent as a name.

Source: OWASP, "CSV Injection".
"""

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from hub.domain.audit import AuditEntry

COLUMNS = ("id", "at", "action", "object", "result", "actor", "token_id", "address", "request_id", "facts")
_FORMULA = ("=", "+", "-", "@")


def csv_lines(pages: Iterable[Sequence[AuditEntry]]) -> Iterator[str]:
    """The head and then the rows, a page at a time."""
    yield ",".join(COLUMNS) + "\r\n"
    for page in pages:
        text = io.StringIO()
        csv.writer(text).writerows([_cell(value or "") for value in _row(entry)] for entry in page)
        yield text.getvalue()


def _row(entry: AuditEntry) -> tuple[str | None, ...]:
    facts = json.dumps(entry.facts) if entry.facts else None
    who = (entry.actor, entry.token_id, entry.address, entry.request_id)
    return (str(entry.id), entry.at.isoformat(), entry.action.value, entry.object, entry.result.value, *who, facts)


def _cell(value: str) -> str:
    shown = "".join("\ufffd" if unicodedata.category(char)[0] == "C" else char for char in value)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
