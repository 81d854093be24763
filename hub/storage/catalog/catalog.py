"""The catalog: a database opened, and units of work over it.

Laws: what a unit of work wrote is visible whole or not at all; a commit that returned is on disk; trouble with the
database is `NotAvailable`, never a driver's exception.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property

from hub.domain.errors import Conflict, InvalidRequest, NotAvailable
from hub.storage.catalog.dump import load
from hub.storage.catalog.engine import database_errors, for_writing, open_database, parse_url, sweep_lock
from hub.storage.catalog.migrate import (
    claim_for_restore,
    current_revision,
    knows,
    migrate,
    newest_revision,
    require_restored,
    restore,
)
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

    @contextmanager
    def at_one_moment(self) -> Iterator[Transaction]:
        """The same as `read`, and all of it as it was at the first query, whatever is written meanwhile.

        Raises:
            NotAvailable: The database is away.
        """
        engine = self._readers
        if engine.dialect.name == "postgresql":
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        with database_errors(self.url), engine.begin() as connection:
            yield Transaction(connection, is_writing=False)

    def claim_for_restore(self, revision: str) -> None:
        """Have the database be nobody's hub until `restore` has filled it; again is fine.

        Raises:
            Conflict: It is not empty.
            InvalidRequest: The backup has a schema that this program does not know.
        """
        if not knows(revision):
            detail = f"The backup has schema {revision}, which this hub does not know."
            raise InvalidRequest(detail, remedy="Restore it with the version of the hub that made it, or a newer one.")
        with database_errors(self.url):
            claim_for_restore(self.url)

    def restore(self, revision: str, lines: Iterable[bytes], settle: Callable[[Transaction], None]) -> None:
        """Fill the claimed database, all or nothing.

        Args:
            revision: The schema of the dump.
            lines: The dump.
            settle: What is done to it in the same transaction.

        Raises:
            Conflict: It was not claimed.
            InvalidRequest: The dump is not whole.
        """
        with database_errors(self.url):
            restore(
                self.url,
                revision,
                fill=lambda connection: load(connection, lines),
                settle=lambda connection: settle(Transaction(connection, is_writing=True)),
            )

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
        require_restored(revision)
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
