"""The catalog as lines of JSON, and back: one form for SQLite and PostgreSQL, so that a hub may move between them.

A table begins with a line that names it, its columns and how each column's values are written; a line for each row
follows; after the last table comes a line with all counts. What is written needs no knowledge of this program's tables:
a dump of an older schema is loaded into that schema, which is then migrated.

Laws: a dump is one moment, whatever is written meanwhile; it is loaded whole or not at all; into nothing but a database
that is empty, or that a restore has claimed.
"""

import base64
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.types import TypeEngine

from hub.domain.errors import InvalidRequest
from hub.storage.catalog.blobs import BlobState
from hub.storage.catalog.columns import UtcTime
from hub.storage.catalog.migrate import current_revision
from hub.storage.catalog.queries import Queries
from hub.storage.catalog.sweeping import is_needed
from hub.storage.catalog.tables import METADATA, blobs, push_blobs, pushes, version_blobs

_ROWS_AT_ONCE = 50
_BYTES_AT_ONCE = 8 << 20
_NUMBERED = ("alias_moves", "audit")
_TYPES: dict[str, Callable[[], TypeEngine[Any]]] = {
    "text": Text,
    "number": BigInteger,
    "truth": Boolean,
    "bytes": LargeBinary,
    "id": Uuid,
    "time": UtcTime,
}
_WRITE: dict[str, Callable[[Any], Any]] = {
    "bytes": lambda value: base64.b64encode(value).decode(),
    "id": str,
    "time": lambda value: value.astimezone(UTC).isoformat(),
}
_READ: dict[str, Callable[[Any], Any]] = {
    "bytes": base64.b64decode,
    "id": UUID,
    "time": datetime.fromisoformat,
}


class DumpQueries(Queries):
    """What a backup takes out, and what a restore makes of it."""

    def revision(self) -> str:
        """The schema's."""
        return current_revision(self.connection)

    def dump(self) -> Iterator[bytes]:
        """Every row, as lines; see `load`."""
        return dump(self.connection)

    def kept_blobs(self) -> Iterator[tuple[str, int | None]]:
        """Digest and size of every blob that a version needs and that is said to be stored, in order."""
        there = blobs.c.state.in_((BlobState.STORED.value, BlobState.CONDEMNED.value))
        of_a_version = exists().where(version_blobs.c.digest == blobs.c.digest)
        query = select(blobs.c.digest, blobs.c.size).where(there, of_a_version).order_by(blobs.c.digest)
        for row in self.connection.execution_options(yield_per=1_000).execute(query):
            yield row.digest, row.size

    def settle(self, lost: Iterable[str]) -> None:
        """Forget what only the old hub had: pushes under way, and bytes that no version needs.

        Args:
            lost: What versions need and the store does not have; a push of the same bytes sends it again.
        """
        self.connection.execute(delete(push_blobs))
        self.connection.execute(delete(pushes).where(pushes.c.completed_number.is_(None)))
        self.connection.execute(delete(blobs).where(~is_needed()))
        self.connection.execute(update(blobs).values(state=BlobState.STORED.value, condemned_at=None))
        gone = [{"named": digest} for digest in lost]
        if gone:
            marked = update(blobs).where(blobs.c.digest == bindparam("named"))
            self.connection.execute(marked.values(state=BlobState.LOST.value), gone)


def dump(connection: Connection) -> Iterator[bytes]:
    """Every row, as lines; the connection's transaction decides of which moment."""
    counts: dict[str, int] = {}
    for table in METADATA.sorted_tables:
        kinds = {str(column.name): _kind(column) for column in table.columns}
        name = str(table.name)
        yield orjson.dumps({"table": name, "columns": kinds})
        counts[name] = 0
        rows = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(select(_plain(name, kinds)))
        for row in rows:
            yield orjson.dumps([_written(kind, value) for kind, value in zip(kinds.values(), row, strict=True)])
            counts[name] += 1
    yield orjson.dumps({"counts": counts})


def load(connection: Connection, lines: Iterable[bytes]) -> dict[str, int]:
    """Insert every row of a dump into tables of its schema; gives how many there are in each.

    Raises:
        InvalidRequest: It is cut off, or no dump.
    """
    counts: dict[str, int] = {}
    table: Table | None = None
    kinds: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    waiting = 0

    def insert_rows() -> None:
        if rows and table is not None:
            connection.execute(insert(table), rows)
            counts[table.name] += len(rows)
            rows.clear()

    for line in lines:
        entry = _parsed(line)
        if isinstance(entry, list) and table is not None and len(entry) == len(kinds):
            rows.append({name: _read(kind, value) for (name, kind), value in zip(kinds.items(), entry, strict=True)})
            waiting += len(line)
            if waiting >= _BYTES_AT_ONCE:
                insert_rows()
                waiting = 0
            continue
        insert_rows()
        if isinstance(entry, dict) and entry.get("counts") == counts:
            _count_on(connection, counts)
            return counts
        if not isinstance(entry, dict) or "table" not in entry:
            break
        kinds = dict(entry["columns"])
        table = _plain(entry["table"], kinds)
        counts[table.name] = 0
    raise InvalidRequest("The dump of the database is not whole.", remedy="Take another backup.")


def _count_on(connection: Connection, counts: dict[str, int]) -> None:
    """Have PostgreSQL count on from the rows that were inserted with numbers of their own; SQLite does it by itself."""
    if connection.dialect.name != "postgresql":
        return
    for name in _NUMBERED:
        if counts.get(name):
            last = connection.execute(select(func.max(_plain(name, {"id": "number"}).c.id))).scalar_one()
            counted = text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)")
            connection.execute(counted, {"name": name, "last": last})


def _plain(name: str, kinds: dict[str, str]) -> Table:
    """A table whose documents are the text that lies there."""
    return Table(name, MetaData(), *(Column(column, _TYPES[kind]()) for column, kind in kinds.items()))


def _kind(column: Column[Any]) -> str:
    given = column.type
    if isinstance(given, UtcTime):
        return "time"
    for kind, types in (("truth", Boolean), ("number", Integer), ("bytes", LargeBinary), ("id", Uuid)):
        if isinstance(given, types):
            return kind
    return "text"


def _written(kind: str, value: Any) -> Any:
    return value if value is None or kind not in _WRITE else _WRITE[kind](value)


def _read(kind: str, value: Any) -> Any:
    return value if value is None or kind not in _READ else _READ[kind](value)


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
