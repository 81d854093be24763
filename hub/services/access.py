"""Access: who asks, and the tokens that prove it.

Laws: a secret is shown once and stored only as its sha256; an unknown, expired or revoked token is refused, never
treated as anonymous; nothing here writes a secret to a log. A token never does more than who made it: users make tokens
for themselves, and the hub's own are made by its administrators.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from hub.domain.access import HUB, NO_ROLES, Principal, Scope, Token
from hub.domain.audit import Action
from hub.domain.errors import Conflict, Unauthorized
from hub.domain.secret import hashed, is_mistyped, new_secret
from hub.protocol.schemas import CreatedToken, CreateToken, TokenList
from hub.services.changes import require
from hub.services.principals import KnownPrincipals, of_token, of_user
from hub.services.strangers import Strangers
from hub.settings import Anonymous
from hub.storage.catalog import Catalog, Transaction

TOUCH_EVERY = timedelta(minutes=5)
_REMEDY = "Run `hub login URL`, or send `Authorization: Bearer TOKEN` with a token of this hub."
_ANONYMOUS: dict[Anonymous, Principal] = {
    "none": Principal(name="anonymous", scope=None, is_anonymous=True, roles=NO_ROLES),
    "read": Principal(name="anonymous", scope=Scope.READ, is_anonymous=True, roles=NO_ROLES),
    "all": Principal(name="anonymous", scope=Scope.WRITE, is_anonymous=True),
}
_REPORTER = Principal(name="anybody", scope=None, is_anonymous=True)


def _bearer(authorization: str) -> str:
    scheme, _, secret = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthorized("The Authorization header is not `Bearer TOKEN`.", remedy=_REMEDY)
    return secret.strip()


def _token_id(principal: Principal, idempotency_key: str | None) -> str:
    if idempotency_key is None:
        return uuid4().hex[:12]
    return hashlib.sha256(f"{principal.identity}\0{idempotency_key}".encode()).hexdigest()[:24]


def _works(token: Token, now: datetime) -> bool:
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now)


def _is_the_hubs(token: Token) -> bool:
    return token.scope is Scope.ADMIN and token.user is None and token.limit is None


@dataclass(frozen=True, slots=True)
class Access:
    """The access use cases."""

    catalog: Catalog
    anonymous: Anonymous
    known: KnownPrincipals = field(default_factory=KnownPrincipals, repr=False)
    strangers: Strangers = field(default_factory=Strangers, repr=False)

    def authenticate(self, authorization: str | None, session: str | None = None) -> Principal:
        """Tell who asks, from the ``Authorization`` header, else the dashboard's session, else nobody in particular.

        Raises:
            Unauthorized: A token or session was sent that this hub does not accept.
            Overloaded: Too many that it does not know have come from the same address.
        """
        if authorization:
            return self._principal(_bearer(authorization))
        if session:
            return self._signed_in(session)
        return _ANONYMOUS[self.anonymous]

    def at_hand(self, authorization: str | None) -> Principal | None:
        """Who `authenticate` would tell without reading the database; None where it would.

        Raises:
            Unauthorized: A token was sent that this hub does not accept.
        """
        if not authorization:
            return _ANONYMOUS[self.anonymous]
        return self.known.find(hashed(_bearer(authorization)))

    def create(self, principal: Principal, request: CreateToken, *, idempotency_key: str | None = None) -> CreatedToken:
        """Make a token: of the user who asks, or one of the hub's own.

        Args:
            principal: Who asks.
            request: What it is for.
            idempotency_key: At most one token is made with it.

        Raises:
            Forbidden: It would do more than who asks.
            Conflict: The key has made a token already; the hub cannot show its secret again.
        """
        user = None if request.is_service else principal.user
        self._require_keyring(principal, user, Action.TOKEN_CREATE, "token")
        lifetime = request.expires_in_s
        token = Token(
            id=_token_id(principal, idempotency_key),
            name=request.name,
            scope=request.scope,
            user=user,
            limit=request.limit,
            created_at=datetime.now(UTC),
            expires_at=datetime.now(UTC) + timedelta(seconds=lifetime) if lifetime else None,
        )
        return self._add(principal, token)

    def create_first(self) -> CreatedToken | None:
        """Make an administrator's token where there is none that works; None where there is one."""
        now = datetime.now(UTC)
        with self.catalog.read() as tx:
            if any(_works(token, now) and _is_the_hubs(token) for token in tx.tokens()):
                return None
        return self._add(HUB, Token(id=uuid4().hex[:12], name="admin", scope=Scope.ADMIN, created_at=now))

    def tokens(self, principal: Principal, *, mine: bool = False) -> TokenList:
        """The tokens of the user who asks, or all where an administrator does; without their secrets.

        Args:
            principal: Who asks.
            mine: Only the user's own, or the hub's own where no user asks, also where an administrator does.
        """
        user = None if principal.may(Scope.ADMIN) else principal.user
        principal.require(Scope.ADMIN, user if principal.limit is None else None)
        with self.catalog.read() as tx:
            found = tx.tokens(user)
        return TokenList(items=tuple(token for token in found if not mine or token.user == principal.user))

    def revoke(self, principal: Principal, token_id: str) -> None:
        """Make a token worthless: one's own, or any where an administrator asks.

        Raises:
            TokenNotFound: No such token that the caller may revoke.
        """
        user = None if principal.may(Scope.ADMIN) else principal.user
        self._require_keyring(principal, user, Action.TOKEN_REVOKE, token_id)
        with self.catalog.begin() as tx:
            self._revoke(tx, principal, token_id, Action.TOKEN_REVOKE, user)
        self.known.forget()

    def report(self, secrets: Iterable[str]) -> None:
        """Make leaked tokens worthless at once, whoever found them; nothing tells whether they were any."""
        hashes = [hashed(secret) for secret in secrets if not is_mistyped(secret)]
        with self.catalog.read() as tx:
            leaked = [token.id for token in map(tx.token_by_secret, hashes) if token is not None]
        if not leaked:
            return
        with self.catalog.begin() as tx:
            for token_id in leaked:
                self._revoke(tx, _REPORTER, token_id, Action.TOKEN_REPORT)
        self.known.forget()

    def _require_keyring(self, principal: Principal, user: str | None, action: Action, thing: str) -> None:
        """A limited token makes and ends none: the new one could do more."""
        where = user if principal.limit is None else None
        require(self.catalog, principal, Scope.ADMIN, action, thing, where=where)

    def _revoke(
        self, tx: Transaction, principal: Principal, token_id: str, action: Action, user: str | None = None
    ) -> None:
        revoked = tx.revoke_token(token_id, user)
        if revoked is not None:
            facts = {"name": revoked.name, "scope": revoked.scope.value, "user": revoked.user}
            tx.note(principal, action, token_id, facts)

    def _add(self, principal: Principal, token: Token) -> CreatedToken:
        secret = new_secret()
        with self.catalog.begin() as tx:
            if not tx.add_token(token, hashed(secret)):
                raise Conflict(
                    f"The token {token.id} was made with this Idempotency-Key; its secret was shown then.",
                    remedy=f"Where the secret got lost, revoke {token.id} and make another token.",
                )
            facts = {"name": token.name, "scope": token.scope.value, "user": token.user, "limit": token.limit}
            lasts = token.expires_at.isoformat() if token.expires_at else None
            tx.note(principal, Action.TOKEN_CREATE, token.id, facts | {"expires_at": lasts})
        return CreatedToken(token=token, secret=secret)

    def _principal(self, secret: str) -> Principal:
        key = hashed(secret)
        found = self.known.find(key)
        if found is not None:
            return found
        with self.strangers.looking_up(key):
            return self._look_up(key, secret)

    def _look_up(self, key: str, secret: str) -> Principal:
        if is_mistyped(secret):
            raise Unauthorized("No hub ever made this token: it was mistyped or cut short.", remedy=_REMEDY)
        with self.catalog.read() as tx:
            token = tx.token_by_secret(key)
            principal = None if token is None else of_token(tx, token)
        if token is None or principal is None:
            raise Unauthorized("The hub does not know this token.", remedy=_REMEDY)
        self._touch(token)
        self.known.remember(key, principal, token.expires_at)
        return principal

    def _signed_in(self, secret: str) -> Principal:
        key = f"session {hashed(secret)}"
        found = self.known.find(key)
        if found is not None:
            return found
        with self.strangers.looking_up(key):
            return self._look_up_session(key, hashed(secret))

    def _look_up_session(self, key: str, secret_sha256: str) -> Principal:
        with self.catalog.read() as tx:
            session = tx.session(secret_sha256)
            token = tx.working_token(session.token_id) if session is not None and session.token_id else None
            user = session.user if session is not None else None
            principal = of_user(tx, user) if user else of_token(tx, token) if token else None
        if session is None or principal is None:
            raise Unauthorized("You are not signed in any more.", remedy="Sign in again.")
        self.known.remember(key, principal, session.expires_at)
        return principal

    def _touch(self, token: Token) -> None:
        now = datetime.now(UTC)
        if token.last_used_at is not None and now - token.last_used_at < TOUCH_EVERY:
            return
        with self.catalog.begin() as tx:
            tx.touch_token(token.id, now)
