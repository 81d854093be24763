"""What all queries of a transaction share: the connection, whether it may write, and the clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, literal_column
from sqlalchemy.dialects import postgresql, sqlite

AnyRow = Row[*tuple[Any, ...]]


@dataclass(frozen=True)
class Queries:
    """Queries over one open transaction."""

    connection: Connection
    is_writing: bool

    def insert_if_absent(self, table: Table, row: Mapping[str, Any]) -> bool:
        """Insert a row unless its key is taken; waits for another transaction that is just inserting it.

        Returns:
            Whether it was inserted.
        """
        dialect = sqlite if self.connection.dialect.name == "sqlite" else postgresql
        statement = dialect.insert(table).values(**row).on_conflict_do_nothing()
        return self.connection.execute(statement.returning(literal_column("1"))).first() is not None


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)
