"""Principals: who has a secret. No use case of its own, but what access, people and sign-in share.

Laws: who was found is remembered for :data:`KNOWN_FOR_S`, so that what changes about people reaches other API processes
after that time and this one at once; one that has ended is refused even while it is remembered.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hub.domain.access import Principal, Scope, Token
from hub.domain.errors import Unauthorized
from hub.storage.catalog import Transaction

KNOWN_FOR_S = 10.0


@dataclass(frozen=True, slots=True)
class Known:
    """Who has a secret, and until when that holds: by our memory (monotonic), and by itself."""

    principal: Principal
    until: float
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KnownPrincipals:
    """Who has which secret (by its hash), as far as this process has looked it up lately."""

    _known: dict[str, Known] = field(default_factory=dict, repr=False)

    def find(self, key: str) -> Principal | None:
        """Who has a secret; None where that is not remembered.

        Raises:
            Unauthorized: It has expired.
        """
        known = self._known.get(key)
        if known is None or known.until < time.monotonic():
            return None
        if known.expires_at is not None and known.expires_at <= datetime.now(UTC):
            raise Unauthorized(f"The token {known.principal.name!r} has expired.", remedy="Ask for a new token.")
        return known.principal

    def remember(self, key: str, principal: Principal, expires_at: datetime | None) -> None:
        """Remember who has a secret; those that were remembered long enough go now and then."""
        now = time.monotonic()
        if len(self._known) % 256 == 255:
            for old in [each for each, known in list(self._known.items()) if known.until < now]:
                self._known.pop(old, None)
        self._known[key] = Known(principal, now + KNOWN_FOR_S, expires_at)

    def forget(self) -> None:
        """Look everybody up again: something about people has changed."""
        self._known.clear()


def of_user(tx: Transaction, name: str) -> Principal | None:
    """A user as they come by themselves; None where there is none, or one who is kept out."""
    account = tx.account(name)
    if account is None or account.user.disabled_at is not None:
        return None
    roles = None if account.user.is_admin else {**tx.roles(name), name: Scope.ADMIN}
    return Principal(name=name, scope=Scope.ADMIN, user=name, roles=roles)


def of_token(tx: Transaction, token: Token) -> Principal | None:
    """Who comes with a token; None where its user is kept out."""
    if token.user is None:
        return Principal(name=token.name, scope=token.scope, token_id=token.id, limit=token.limit)
    user = of_user(tx, token.user)
    if user is None:
        return None
    return Principal(
        name=user.name, scope=token.scope, token_id=token.id, user=user.user, roles=user.roles, limit=token.limit
    )
