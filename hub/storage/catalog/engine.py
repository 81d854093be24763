"""Connections: one database URL in, two ready engines out, and what the database's errors mean.

SQLite runs in WAL mode with every commit synced; a writer takes the lock when it begins (``BEGIN IMMEDIATE``), because
a transaction that reads first and wants to write later is refused at once, whatever the timeout.
"""

import fcntl
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, IntegrityError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from hub.domain.errors import Conflict, InvalidRequest, NotAvailable, StorageFull
from hub.storage.disk import disk_errors, make_folder

_BUSY_MS = 30_000
_CONNECT_S = 5
_POOL = {"pool_size": 5, "max_overflow": 40, "pool_timeout": 30}
_BEGIN = "hub_begin"
_SWEEP_LOCK = 0x7377656570  # any number, as long as every process of the hub takes the same: "sweep"
_REMEDY = "Write sqlite:////path/hub.db or postgresql://user:password@host/database."


def parse_url(text: str) -> URL:
    """Read a database URL and choose the driver.

    Raises:
        InvalidRequest: It is neither SQLite in a file nor PostgreSQL.
    """
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise InvalidRequest("The database URL is not well-formed.", remedy=_REMEDY) from error
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite+pysqlite")
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    detail = f"{url.render_as_string(hide_password=True)} is no database the hub can use."
    raise InvalidRequest(detail, remedy=_REMEDY)


def open_database(url: URL) -> Engine:
    """The engine for readers; `for_writing` gives the writers' side of the same pool.

    Raises:
        NotAvailable: The folder of a SQLite file cannot be created.
    """
    if url.get_backend_name() != "sqlite":
        return _open_postgresql(url, **_POOL)
    engine = _open_sqlite(url, **_POOL)
    event.listen(engine, "connect", _enforce_references)
    return engine


def open_for_migration(url: URL) -> Engine:
    """One unpooled connection; without SQLite's foreign keys, which rebuilding a table would set off."""
    opened = _open_sqlite if url.get_backend_name() == "sqlite" else _open_postgresql
    return for_writing(opened(url, poolclass=NullPool))


def for_writing(engine: Engine) -> Engine:
    """The same pool, with transactions that may write from their beginning."""
    return engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})


@contextmanager
def sweep_lock(engine: Engine) -> Iterator[Callable[[], None] | None]:
    """A lock between processes that dies with its holder; None where another one has it.

    Yields:
        Raises where the connection that holds the lock is gone.
    """
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            key = {"key": _SWEEP_LOCK}
            is_mine = connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), key)
            connection.commit()  # the lock is the session's; no transaction stays open meanwhile

            def still_mine() -> None:
                connection.execute(text("SELECT 1"))
                connection.commit()

            try:
                yield still_mine if is_mine else None
            finally:
                if is_mine:
                    connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)
        return
    with Path(f"{engine.url.database}-sweep").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield lambda: None


@contextmanager
def database_errors(url: URL) -> Iterator[None]:
    """Translate what the database says.

    Raises:
        StorageFull: Its disk has no room left.
        NotAvailable: It is away, locked or damaged.
        InvalidRequest: It cannot hold a value, such as a text with a NUL character.
        Conflict: What a row refers to went away at the same time.
    """
    where = url.render_as_string(hide_password=True)
    try:
        yield
    except DataError as error:
        raise InvalidRequest(
            "The database cannot hold a value.", remedy="Remove control characters from texts.", inside=f"{error.orig}"
        ) from error
    except IntegrityError as error:
        raise Conflict(
            "Something else was changed at the same time.", remedy="Try again.", inside=_first_line(error)
        ) from error
    except (DatabaseError, InterfaceError, PoolTimeout) as error:
        if _is_full(error):
            raise StorageFull(
                "The database's disk is full.", remedy="Free some space, then try again.", inside=f"It holds {where}."
            ) from error
        raise NotAvailable(
            "The database cannot be used.",
            remedy="Check that it runs, and run 'hub admin doctor'.",
            inside=f"{where}: {_first_line(error)}.",
        ) from error


def _is_full(error: Exception) -> bool:
    """Whether a driver says that there is no room left.

    Source: SQLite's result codes; PostgreSQL's error codes, class 53.
    """
    said = getattr(error, "orig", None)
    return getattr(said, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or getattr(said, "sqlstate", "") == "53100"


def _first_line(error: Exception) -> str:
    return next(iter(str(getattr(error, "orig", None) or error).splitlines()), type(error).__name__)


def _open_postgresql(url: URL, **pool: Any) -> Engine:
    arguments = {"connect_timeout": _CONNECT_S, "application_name": "trunkhub"}
    return create_engine(url, pool_pre_ping=True, connect_args=arguments, **pool)


def _open_sqlite(url: URL, **pool: Any) -> Engine:
    folder = Path(url.database or "").absolute().parent
    with disk_errors(folder):
        make_folder(folder)
    engine = create_engine(url, connect_args={"timeout": _BUSY_MS / 1000}, **pool)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    # Python's own transaction control begins too late: BEGIN is ours, see _begin_sqlite.
    connection.isolation_level = None
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _enforce_references(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))
