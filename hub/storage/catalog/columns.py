"""Column types: how domain values lie in a row.

Laws: a time goes in aware and comes out in UTC; a document comes out equal to what went in.
"""

import json
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String, Text
from sqlalchemy.types import TypeDecorator

RowId = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts by itself only in a column it calls INTEGER."""

Name = String(200).with_variant(String(200, collation="C"), "postgresql")
"""A name, ordered by bytes on every database."""

DigestText = String(71)

Plain = Text().with_variant(Text(collation="C"), "postgresql")
"""Text of any length, ordered by bytes on every database."""


class UtcTime(TypeDecorator[datetime]):
    """A moment, in UTC; SQLite itself would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse a time without a zone: it could mean any moment."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Document(TypeDecorator[BaseModel]):
    """A pydantic model as JSON text."""

    impl = Text
    cache_ok = True

    def __init__(self, model: type[BaseModel]) -> None:
        super().__init__()
        self.model = model

    def process_bind_param(self, value: BaseModel | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write JSON."""
        return value.model_dump_json() if value is not None else None

    def process_result_value(self, value: str | None, dialect: Dialect) -> BaseModel | None:  # noqa: ARG002
        """Read JSON."""
        return self.model.model_validate_json(value) if value is not None else None


class Facts(TypeDecorator[dict[str, Any]]):
    """A few JSON values by name, as JSON text; what no database could hold as it is, is escaped."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write JSON."""
        return None if value is None else json.dumps(value, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Any] | None:  # noqa: ARG002
        """Read JSON."""
        return None if value is None else json.loads(value)
