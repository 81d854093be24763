"""Bringing a database to the newest schema.

Laws: safe when several processes start at once (one migrates, the others wait and find it done); a migration that dies
in the middle leaves the schema it found; a database that a restore has claimed is nobody's hub until that is done.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, inspect, text

from hub.domain.errors import Conflict, NotAvailable
from hub.storage.catalog.engine import open_for_migration

RESTORING = "restoring"
"""What a database calls its schema from the beginning of a restore to its end."""
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
        require_restored(current_revision(connection))
        command.upgrade(_config(connection), revision)
        return current_revision(connection)


def require_restored(revision: str) -> None:
    """Refuse a database whose restore was not finished.

    Raises:
        NotAvailable: It was not.
    """
    if revision == RESTORING:
        raise NotAvailable("A restore into this database was not finished.", remedy="Run 'hub admin restore' again.")


def claim_for_restore(url: URL) -> None:
    """Make an empty database one that is being restored; it may be one already.

    Raises:
        Conflict: There is something in it.
    """
    with _exclusive(url) as connection:
        if current_revision(connection) == RESTORING:
            return
        if inspect(connection).get_table_names():
            raise Conflict("The database is not empty.", remedy="Restore into one that is: nothing is overwritten.")
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:restoring)"), {"restoring": RESTORING})


def restore(
    url: URL, revision: str, fill: Callable[[Connection], object], settle: Callable[[Connection], object]
) -> None:
    """Make the schema of a revision in a claimed database, fill it, and bring it to the newest, in one transaction.

    Args:
        url: The database.
        revision: The schema that it is filled in.
        fill: Fills it.
        settle: Is called last, with the newest schema.

    Raises:
        Conflict: It was not claimed, or another process has restored it.
    """
    with _exclusive(url) as connection:
        if current_revision(connection) != RESTORING:
            raise Conflict("The database is being restored by another process.", remedy="Let it finish.")
        connection.execute(text("DROP TABLE alembic_version"))
        command.upgrade(_config(connection), revision)
        fill(connection)
        command.upgrade(_config(connection), "head")
        settle(connection)


def knows(revision: str) -> bool:
    """Whether this program can make a schema."""
    return revision in {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


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
