"""Bringing a database to the newest schema.

Laws: safe when several processes start at once (one migrates, the others wait and find it done); a migration that dies
in the middle leaves the schema it found.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, text

from hub.storage.catalog.engine import open_for_migration

_PACKAGED = Path(__file__).parent / "migrations"
_REPOSITORY = Path(__file__).parents[3] / "migrations"
_LOCK = 0x7472756E6B  # any number, as long as every process of the hub takes the same: "trunk"


def newest_revision() -> str:
    """The revision this program needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return head or "base"


def current_revision(connection: Connection) -> str:
    """The revision a database has; ``base`` for an empty one."""
    return MigrationContext.configure(connection).get_current_revision() or "base"


def migrate(url: URL, revision: str = "head") -> str:
    """Upgrade to a revision, in one transaction.

    Returns:
        The revision the database has now.
    """
    with _exclusive(url) as connection:
        command.upgrade(_config(connection), revision)
        return current_revision(connection)


def downgrade(url: URL, revision: str) -> str:
    """Go back to a revision, in one transaction.

    Returns:
        The revision the database has now.
    """
    with _exclusive(url) as connection:
        command.downgrade(_config(connection), revision)
        return current_revision(connection)


@contextmanager
def _exclusive(url: URL) -> Iterator[Connection]:
    engine = open_for_migration(url)
    try:
        # On SQLite a writing transaction is alone from its beginning; PostgreSQL needs a lock of its own for that.
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            yield connection
    finally:
        engine.dispose()


def _config(connection: Connection | None = None) -> Config:
    folder = _PACKAGED if _PACKAGED.is_dir() else _REPOSITORY
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
