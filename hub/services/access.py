"""Access: who asks, and the tokens that prove it.

Laws: a secret is shown once and stored only as its sha256; an unknown, expired or revoked token is refused, never
treated as anonymous; nothing here writes a secret to a log. A token that was found is remembered for
:data:`KNOWN_FOR_S`, so a revocation reaches other API processes after that time and this one at once.
"""

import hashlib
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from hub.domain.access import HUB, Principal, Scope, Token
from hub.domain.audit import Action
from hub.domain.errors import Conflict, Unauthorized
from hub.protocol.schemas import CreatedToken, CreateToken, TokenList
from hub.services.changes import require
from hub.settings import Anonymous
from hub.storage.catalog import Catalog

KNOWN_FOR_S = 10.0
TOUCH_EVERY = timedelta(minutes=5)
SECRET_PREFIX = "trunkhub_"  # noqa: S105 - what every secret starts with, so that scanners can find leaked ones
_SCOPES: dict[Anonymous, Scope | None] = {"none": None, "read": Scope.READ, "all": Scope.WRITE}
_REMEDY = "Run `hub login URL`, or send `Authorization: Bearer TOKEN` with a token of this hub."


@dataclass(frozen=True, slots=True)
class _Known:
    token: Token
    until: float


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _bearer(authorization: str) -> str:
    scheme, _, secret = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthorized("The Authorization header is not `Bearer TOKEN`.", remedy=_REMEDY)
    return secret.strip()


def _token_id(principal: Principal, idempotency_key: str | None) -> str:
    if idempotency_key is None:
        return uuid4().hex[:12]
    return hashlib.sha256(f"{principal.name}\0{idempotency_key}".encode()).hexdigest()[:24]


def _works(token: Token, now: datetime) -> bool:
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now)


@dataclass(frozen=True, slots=True)
class Access:
    """The access use cases."""

    catalog: Catalog
    anonymous: Anonymous
    _known: dict[str, _Known] = field(default_factory=dict, repr=False)

    def authenticate(self, authorization: str | None, cookie_token: str | None = None) -> Principal:
        """Tell who asks, from the ``Authorization`` header, else the dashboard's cookie, else nobody in particular.

        Raises:
            Unauthorized: A token was sent that this hub does not accept.
        """
        if authorization:
            return self._principal(_bearer(authorization))
        if cookie_token:
            return self._principal(cookie_token)
        return Principal(name="anonymous", scope=_SCOPES[self.anonymous], is_anonymous=True)

    def remembers(self, authorization: str | None) -> bool:
        """Whether `authenticate` would answer at once, without the database."""
        if not authorization:
            return True
        known = self._known.get(_hashed(authorization.partition(" ")[2].strip()))
        return known is not None and known.until >= time.monotonic()

    def create(self, principal: Principal, request: CreateToken, *, idempotency_key: str | None = None) -> CreatedToken:
        """Make a token.

        Args:
            principal: Who asks.
            request: What it is for.
            idempotency_key: At most one token is made with it.

        Raises:
            Conflict: The key has made a token already; the hub cannot show its secret again.
        """
        require(self.catalog, principal, Scope.ADMIN, Action.TOKEN_CREATE, "token")
        lifetime = request.expires_in_s
        expires_at = datetime.now(UTC) + timedelta(seconds=lifetime) if lifetime else None
        return self._add(principal, request.name, request.scope, expires_at, _token_id(principal, idempotency_key))

    def create_first(self) -> CreatedToken | None:
        """Make an administrator's token where there is none that works; None where there is one."""
        now = datetime.now(UTC)
        with self.catalog.read() as tx:
            if any(_works(token, now) and token.scope is Scope.ADMIN for token in tx.tokens()):
                return None
        return self._add(HUB, "admin", Scope.ADMIN, None, uuid4().hex[:12])

    def tokens(self, principal: Principal) -> TokenList:
        """All tokens, without their secrets."""
        principal.require(Scope.ADMIN)
        with self.catalog.read() as tx:
            return TokenList(items=tuple(tx.tokens()))

    def revoke(self, principal: Principal, token_id: str) -> None:
        """Make a token worthless.

        Raises:
            TokenNotFound: No such token.
        """
        require(self.catalog, principal, Scope.ADMIN, Action.TOKEN_REVOKE, token_id)
        with self.catalog.begin() as tx:
            revoked = tx.revoke_token(token_id)
            if revoked is not None:
                facts = {"name": revoked.name, "scope": revoked.scope.value}
                tx.note(principal, Action.TOKEN_REVOKE, token_id, facts)
        self._known.clear()

    def _add(
        self, principal: Principal, name: str, scope: Scope, expires_at: datetime | None, token_id: str
    ) -> CreatedToken:
        secret = SECRET_PREFIX + secrets.token_urlsafe(32)
        token = Token(id=token_id, name=name, scope=scope, created_at=datetime.now(UTC), expires_at=expires_at)
        with self.catalog.begin() as tx:
            if not tx.add_token(token, _hashed(secret)):
                raise Conflict(
                    f"The token {token_id} was made with this Idempotency-Key; its secret was shown then.",
                    remedy=f"Where the secret got lost, revoke {token_id} and make another token.",
                )
            lasts = expires_at.isoformat() if expires_at else None
            tx.note(principal, Action.TOKEN_CREATE, token_id, {"name": name, "scope": scope.value, "expires_at": lasts})
        return CreatedToken(token=token, secret=secret)

    def _principal(self, secret: str) -> Principal:
        hashed = _hashed(secret)
        known = self._known.get(hashed)
        if known is None or known.until < time.monotonic():
            known = self._look_up(hashed)
        token = known.token
        if not _works(token, datetime.now(UTC)):
            raise Unauthorized(f"The token {token.name!r} has expired.", remedy="Ask for a new token.")
        return Principal(name=token.name, scope=token.scope, token_id=token.id)

    def _look_up(self, hashed: str) -> _Known:
        self._known.pop(hashed, None)
        with self.catalog.read() as tx:
            token = tx.token_by_secret(hashed)
        if token is None:
            raise Unauthorized("The hub does not know this token.", remedy=_REMEDY)
        self._touch(token)
        known = _Known(token, time.monotonic() + KNOWN_FOR_S)
        self._known[hashed] = known
        return known

    def _touch(self, token: Token) -> None:
        now = datetime.now(UTC)
        if token.last_used_at is not None and now - token.last_used_at < TOUCH_EVERY:
            return
        with self.catalog.begin() as tx:
            tx.touch_token(token.id, now)
