"""Queries about how often versions were pulled.

Law: only the last :data:`DAYS` days are kept, so the table has at most that many rows for each version.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import BigInteger, ColumnElement, cast, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from hub.storage.catalog.queries import Queries
from hub.storage.catalog.tables import models, pulls, versions

DAYS = 30
_STEP = 500
"""Rows in one statement."""


class PullQueries(Queries):
    """How often versions were pulled, day by day."""

    def add_pulls(self, counts: Mapping[tuple[str, int], int], day: int) -> None:
        """Add to what was counted on a day (since 1970-01-01), but of versions that are gone; forget what is old."""
        self.connection.execute(delete(pulls).where(pulls.c.day <= day - DAYS))
        keys = sorted(counts)
        for at in range(0, len(keys), _STEP):
            some = keys[at : at + _STEP]
            there = select(versions.c.model, versions.c.number)
            there = there.where(tuple_(versions.c.model, versions.c.number).in_(some))
            rows = [
                {"model": model, "number": number, "day": day, "times": counts[model, number]}
                for model, number in self.connection.execute(there)
            ]
            if rows:
                self._add(rows)

    def _add(self, rows: list[dict[str, str | int]]) -> None:
        dialect = sqlite if self.connection.dialect.name == "sqlite" else postgresql
        statement = dialect.insert(pulls).values(rows)
        summed = {"times": pulls.c.times + statement.excluded.times}
        self.connection.execute(statement.on_conflict_do_update(index_elements=pulls.primary_key, set_=summed))


def today() -> int:
    """Days since 1970-01-01, in UTC."""
    return datetime.now(UTC).toordinal() - datetime(1970, 1, 1, tzinfo=UTC).toordinal()


def pulled() -> ColumnElement[int]:
    """How often a model was pulled lately."""
    lately = (pulls.c.model == models.c.name) & (pulls.c.day > today() - DAYS)
    query = select(cast(func.coalesce(func.sum(pulls.c.times), 0), BigInteger)).where(lately)
    return query.correlate(models).scalar_subquery()
