"""Queries about sessions: who is signed in to the dashboard. Only the sha256 of a session's secret is stored."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select

from hub.storage.catalog.queries import Queries, now
from hub.storage.catalog.tables import sessions


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in: a user, or who has a token."""

    user: str | None
    token_id: str | None
    expires_at: datetime


class SessionQueries(Queries):
    """Sessions, until they expire or are ended."""

    def add_session(self, secret_sha256: str, session: Session) -> None:
        """Begin one; those that have expired go."""
        self.connection.execute(delete(sessions).where(sessions.c.expires_at <= now()))
        row = {"secret_sha256": secret_sha256, "user": session.user, "token_id": session.token_id}
        row |= {"created_at": now(), "expires_at": session.expires_at}
        self.connection.execute(insert(sessions).values(**row))

    def session(self, secret_sha256: str) -> Session | None:
        """The session with this secret; None for one that is unknown, ended or expired."""
        query = select(sessions).where(sessions.c.secret_sha256 == secret_sha256, sessions.c.expires_at > now())
        row = self.connection.execute(query).one_or_none()
        return None if row is None else Session(row.user, row.token_id, row.expires_at)

    def end_session(self, secret_sha256: str) -> Session | None:
        """End one; gives what it was."""
        found = self.session(secret_sha256)
        self.connection.execute(delete(sessions).where(sessions.c.secret_sha256 == secret_sha256))
        return found

    def end_sessions_of(self, user: str) -> None:
        """End all of a user's."""
        self.connection.execute(delete(sessions).where(sessions.c.user == user))
