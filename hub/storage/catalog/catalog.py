"""The catalog: a database opened, and units of work over it.

Laws: what a unit of work wrote is visible whole or not at all; a commit that returned is on disk; trouble with the
database is `NotAvailable`, never a driver's exception.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

from hub.domain.errors import Conflict, NotAvailable
from hub.storage.catalog.engine import database_errors, for_writing, open_database, parse_url, sweep_lock
from hub.storage.catalog.migrate import current_revision, migrate, newest_revision
from hub.storage.catalog.transaction import Transaction

_LOCK_S = 30


class Catalog:
    """Facts in SQLite or PostgreSQL. One per process; its methods may be called from many threads."""

    def __init__(self, url: str) -> None:
        """Prepare a connection pool; nothing is connected yet.

        Raises:
            InvalidRequest: The URL is neither SQLite in a file nor PostgreSQL.
            NotAvailable: The folder of a SQLite file cannot be created.
        """
        self.url = parse_url(url)
        self._readers = open_database(self.url)
        self._writers = for_writing(self._readers)
        # SQLite lets writers poll for the lock; queueing this process's own threads first keeps the waits fair.
        self._turn = threading.Lock() if self._readers.dialect.name == "sqlite" else None

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """One unit of work: committed at the end, rolled back on an exception. Not to be nested.

        Raises:
            NotAvailable: The database is away, locked or full.
        """
        with self._my_turn(), database_errors(self.url), self._writers.begin() as connection:
            yield Transaction(connection, is_writing=True)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """The same queries, to read only.

        Raises:
            NotAvailable: The database is away.
        """
        with database_errors(self.url), self._readers.begin() as connection:
            yield Transaction(connection, is_writing=False)

    def migrate(self) -> str:
        """Bring the schema to the newest revision; safe when several processes start at once.

        Returns:
            The revision.

        Raises:
            NotAvailable: The database is away or locked.
        """
        with database_errors(self.url):
            return migrate(self.url)

    @contextmanager
    def sweeping(self) -> Iterator[Callable[[], None]]:
        """The right to sweep, which one process has at a time; the database or the system takes it from a dead one.

        Yields:
            Raises `NotAvailable` where the right was lost meanwhile, with the connection that held it.

        Raises:
            Conflict: Somebody else is sweeping.
            NotAvailable: The database is away.
        """
        with database_errors(self.url), sweep_lock(self._readers) as still_mine:
            if still_mine is None:
                raise Conflict("Another process is sweeping.", remedy="Let it finish.")
            yield still_mine

    def check(self) -> None:
        """Prove that the database answers and has the schema this program needs.

        Raises:
            NotAvailable: It does not; the remedy says what to do.
        """
        with database_errors(self.url), self._readers.begin() as connection:
            revision = current_revision(connection)
        if revision != self._newest:
            detail = f"The database has schema {revision}, this hub needs {self._newest}."
            raise NotAvailable(detail, remedy="Run 'hub admin migrate'; 'hub serve' does it too.", revision=revision)

    def close(self) -> None:
        """Close every connection."""
        self._readers.dispose()

    @cached_property
    def _newest(self) -> str:
        return newest_revision()

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=_LOCK_S):
            detail = f"A unit of work has held the database for more than {_LOCK_S} s."
            raise NotAvailable(detail, remedy="Try again in a moment.")
        try:
            yield
        finally:
            self._turn.release()
