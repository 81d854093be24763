"""The page of the audit: who changed what, for administrators; and the same as CSV, whole."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse

from hub.domain.errors import InvalidName
from hub.domain.names import parse_reference
from hub.protocol import paths
from hub.protocol.codecs.audit_rows import csv_lines
from hub.web.shell import render
from hub.web.visits import Visit

AUDIT, AUDIT_CSV = "/settings/audit", "/settings/audit.csv"
PAGE_ROWS = 50
_MAX_CHARS = 200


def show_audit(visit: Visit) -> Response:
    """Entries of the audit, newest first, narrowed by the page's URL."""
    words = _words(visit)
    before = visit.number("before")
    page = visit.house.audits.entries(
        visit.principal,
        since=_moment(words["since"]),
        actor=words["actor"] or None,
        thing=words["object"] or None,
        before=before,
        limit=PAGE_ROWS,
    )
    chosen = {key: value for key, value in words.items() if value}
    asked = chosen | ({"before": str(before)} if before else {})
    pages = {entry.object: _page_of(entry.object) for entry in page.items}
    next_url = f"{AUDIT}?{urlencode(chosen | {'before': page.next})}" if page.next else ""
    csv_url = f"{AUDIT_CSV}?{urlencode(chosen)}" if chosen else AUDIT_CSV
    api = f"{paths.AUDIT}?{urlencode(asked)}" if asked else paths.AUDIT
    facts = {"page": page, "words": words, "chosen": chosen, "pages": pages}
    return render(visit.request, "audit.html", api=api, next_url=next_url, csv_url=csv_url, **facts)


def audit_csv(visit: Visit) -> Response:
    """All entries that the page's URL narrows it to."""
    words = _words(visit)
    pages = visit.house.audits.pages(
        visit.principal, since=_moment(words["since"]), actor=words["actor"] or None, thing=words["object"] or None
    )
    headers = {"Content-Disposition": 'attachment; filename="audit.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(csv_lines(pages), media_type="text/csv; charset=utf-8", headers=headers)


def _words(visit: Visit) -> Mapping[str, str]:
    """What the URL narrows the entries by."""
    query = visit.request.query_params
    return {key: _plain(query.get(key, "")) for key in ("actor", "object", "since")}


def _plain(text: str) -> str:
    return "".join(char for char in text.strip() if char.isprintable())[:_MAX_CHARS]


def _moment(text: str) -> datetime | None:
    """The first moment of a day, in UTC; None for what is no day."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _page_of(thing: str) -> str:
    """Where a model or version that an entry names is shown; empty for tokens, pushes and what is no name."""
    try:
        reference = parse_reference(thing)
    except InvalidName:
        return ""
    return f"/{reference.model}/versions/{reference.number}" if reference.number else f"/{reference.model}"
