"""Queries about tokens. Only the sha256 of a secret is ever stored."""

from datetime import datetime

from sqlalchemy import ColumnElement, select, update

from hub.domain.access import Scope, Token
from hub.domain.errors import TokenNotFound
from hub.storage.catalog.queries import AnyRow, Queries, now
from hub.storage.catalog.tables import tokens


class TokenQueries(Queries):
    """Tokens; a revoked one stays listed."""

    def add_token(self, token: Token, secret_sha256: str) -> bool:
        """Store a token with the sha256 (hex) of its secret; False where its id is taken."""
        row = token.model_dump(exclude={"limit"}) | {"limited_to": token.limit}
        return self.insert_if_absent(tokens, row | {"secret_sha256": secret_sha256})

    def token_by_secret(self, secret_sha256: str) -> Token | None:
        """The token with this secret; None for one that is unknown, revoked or expired."""
        return self._working(tokens.c.secret_sha256 == secret_sha256)

    def working_token(self, token_id: str) -> Token | None:
        """The token with this id; None for one that is unknown, revoked or expired."""
        return self._working(tokens.c.id == token_id)

    def tokens(self, user: str | None = None) -> list[Token]:
        """All tokens, or all of a user's, oldest first."""
        query = select(tokens).order_by(tokens.c.created_at, tokens.c.id)
        query = query if user is None else query.where(tokens.c.user == user)
        return [_token(row) for row in self.connection.execute(query)]

    def revoke_token(self, token_id: str, user: str | None = None) -> Token | None:
        """Make a token useless; twice is fine.

        Args:
            token_id: The token.
            user: Whose it must be; None for anybody's.

        Returns:
            The token as it was before; None where it was useless already.

        Raises:
            TokenNotFound: No such token.
        """
        row = self.connection.execute(select(tokens).where(tokens.c.id == token_id).with_for_update()).one_or_none()
        if row is None or (user is not None and row.user != user):
            raise TokenNotFound(f"There is no token {token_id}.", remedy="List tokens with 'hub token ls'.")
        if row.revoked_at is not None:
            return None
        self.connection.execute(update(tokens).where(tokens.c.id == token_id).values(revoked_at=now()))
        return _token(row)

    def touch_token(self, token_id: str, when: datetime) -> None:
        """Remember when a token was last used."""
        self.connection.execute(update(tokens).where(tokens.c.id == token_id).values(last_used_at=when))

    def _working(self, wanted: ColumnElement[bool]) -> Token | None:
        row = self.connection.execute(select(tokens).where(wanted)).one_or_none()
        if row is None or row.revoked_at is not None:
            return None
        is_expired = row.expires_at is not None and row.expires_at <= now()
        return None if is_expired else _token(row)


def _token(row: AnyRow) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        scope=Scope(row.scope),
        user=row.user,
        limit=row.limited_to,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )
