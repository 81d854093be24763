"""Sign in: sessions of the dashboard, begun with a password, a token, or at an OpenID provider.

Laws: a session is a random secret that lies here only as its sha256; it ends at its time, when its owner signs out, and
with what it was begun with: a token revoked, a user kept out, a password replaced. What is wrong, name or password, is
not told, and takes as long either way. Somebody from a provider is taken for a user who is here only by the subject
that this user came with before, or by an e-mail address that the provider has verified and an administrator has given
to that user.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from hub.domain.access import Principal, Scope
from hub.domain.audit import Action, origin
from hub.domain.errors import Conflict, InvalidName, InvalidRequest, NotAvailable, Unauthorized
from hub.domain.people import parse_user
from hub.domain.secret import hashed
from hub.services.attempts import Attempts
from hub.services.changes import require
from hub.services.openid import Errand, Identity, OpenIdProvider
from hub.services.passwords import is_password, password_hash
from hub.services.principals import KnownPrincipals, of_token, of_user
from hub.storage.catalog import Catalog, Session, Transaction

SESSION_LIFE = timedelta(days=14)
WITHIN_S = 300.0
MOST_OF_USER, MOST_OF_ADDRESS = 10, 100
MOST_NAMESAKES = 1_000
_MAX_NAME_CHARS = 96
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SignIns:
    """The use cases of signing in and out. ``provider`` is where people may sign in besides here."""

    catalog: Catalog
    known: KnownPrincipals = field(default_factory=KnownPrincipals, repr=False)
    provider: OpenIdProvider | None = None
    _of_user: Attempts = field(default_factory=lambda: Attempts(MOST_OF_USER, WITHIN_S), repr=False)
    _of_address: Attempts = field(default_factory=lambda: Attempts(MOST_OF_ADDRESS, WITHIN_S), repr=False)

    def with_password(self, name: str, password: str) -> str:
        """Begin a session; gives its secret.

        Raises:
            Unauthorized: Name or password are wrong.
            Overloaded: It was tried too often, for this user or from this address.
        """
        tried = self._count(name)
        with self.catalog.read() as tx:
            account = tx.account(name) if _can_be_user(name) else None
            user = of_user(tx, account.user.name) if account else None
        if not is_password(password, account.password_hash if account else None) or user is None:
            _log.warning("sign_in.refused", reason="name or password", address=origin().address)
            raise Unauthorized("The name or the password is wrong.", remedy="An administrator sets a new password.")
        self._of_user.forget(tried)
        return self._begin(user, Session(user.user, None, self._end()), "password")

    def with_token(self, secret: str) -> str:
        """Begin a session that is worth as much as a token, for as long as it; gives the session's secret.

        Raises:
            Unauthorized: The hub does not know the token.
            Overloaded: It was tried too often from this address.
        """
        self._of_address.count(origin().address or "nowhere")
        with self.catalog.read() as tx:
            token = tx.token_by_secret(hashed(secret))
            principal = of_token(tx, token) if token else None
        if token is None or principal is None:
            raise Unauthorized("The hub does not know this token.", remedy="Make one with: hub token create")
        end = min(self._end(), token.expires_at or self._end())
        return self._begin(principal, Session(None, token.id, end), "token")

    def change_password(self, principal: Principal, old: str, new: str) -> str:
        """Replace one's own password; all sessions of the user end, and one begins, whose secret it gives.

        Raises:
            Unauthorized: Nobody in particular asks.
            Forbidden: It is asked with a token that may not do this.
            InvalidRequest: Who asks has no password, the old one is wrong, or the new one too short or too long.
            Overloaded: It was tried too often, for this user or from this address.
            Conflict: It was replaced meanwhile.
        """
        user = principal.user
        where = user if principal.limit is None else None
        require(self.catalog, principal, Scope.ADMIN, Action.USER_PASSWORD, user or principal.name, where=where)
        with self.catalog.read() as tx:
            account = tx.account(user) if user is not None else None
        if user is None or account is None or account.password_hash is None:
            remedy = "An administrator sets one: hub admin user passwd NAME"
            raise InvalidRequest(f"{principal.name} has no password here.", remedy=remedy)
        tried = self._count(user)
        if not is_password(old, account.password_hash):
            _log.warning("password.refused", user=user, address=origin().address)
            raise InvalidRequest("The old password is wrong.", remedy="Type the one that you sign in with.")
        self._of_user.forget(tried)
        stored = password_hash(new)
        with self.catalog.begin() as tx:
            who = of_user(tx, user)
            if who is None or not tx.replace_password(user, account.password_hash, stored):
                raise Conflict("Your password was replaced meanwhile.", remedy="Sign in again.")
            tx.end_sessions_of(user)
            tx.note(principal, Action.USER_PASSWORD, user)
            secret = _add_session(tx, who, Session(user, None, self._end()), "password")
        self.known.forget()
        return secret

    def begin_elsewhere(self, redirect_uri: str) -> tuple[str, Errand]:
        """Where to send a browser to sign in at the provider, and what it has to bring back.

        Raises:
            NotAvailable: There is no provider, or it does not answer.
            Overloaded: It was tried too often from this address.
        """
        self._of_address.count(origin().address or "nowhere")
        return self._provider().begin(redirect_uri)

    def finish_elsewhere(self, redirect_uri: str, errand: Errand, answer: Mapping[str, str]) -> str:
        """Begin a session for who comes back from the provider; who is new here becomes a user. Gives its secret.

        Raises:
            Unauthorized: What they bring does not hold, or they are kept out.
            NotAvailable: There is no provider, or it does not answer.
            Overloaded: It was tried too often from this address.
        """
        self._of_address.count(origin().address or "nowhere")
        identity = self._provider().finish(redirect_uri, errand, answer)
        with self.catalog.begin() as tx:
            name = _known_as(tx, identity) or _welcomed(tx, identity)
            user = of_user(tx, name)
        if user is None:
            raise Unauthorized(f"{name} is kept out of this hub.", remedy="Ask an administrator of the hub.")
        return self._begin(user, Session(user.user, None, self._end()), identity.issuer)

    def sign_out(self, secret: str) -> None:
        """End a session; one that is none is fine."""
        with self.catalog.read() as tx:
            session = tx.session(hashed(secret))
        if session is None:
            return
        with self.catalog.begin() as tx:
            tx.end_session(hashed(secret))
            token = tx.working_token(session.token_id) if session.token_id else None
            principal = of_user(tx, session.user) if session.user else of_token(tx, token) if token else None
            if principal is not None:
                tx.note(principal, Action.SESSION_END, principal.name)
        self.known.forget()

    def _count(self, name: str) -> str:
        """Count a password that is tried for a user; gives what it was counted as."""
        address = origin().address or "nowhere"
        tried = f"{name[:_MAX_NAME_CHARS]} {address}"
        self._of_address.count(address)
        self._of_user.count(tried)
        return tried

    def _begin(self, principal: Principal, session: Session, way: str) -> str:
        with self.catalog.begin() as tx:
            return _add_session(tx, principal, session, way)

    def _provider(self) -> OpenIdProvider:
        if self.provider is None:
            raise NotAvailable("This hub has no OpenID provider.", remedy="Sign in with a password or a token.")
        return self.provider

    @staticmethod
    def _end() -> datetime:
        return datetime.now(UTC) + SESSION_LIFE


def _add_session(tx: Transaction, principal: Principal, session: Session, way: str) -> str:
    secret = secrets.token_urlsafe(32)
    tx.add_session(hashed(secret), session)
    tx.note(principal, Action.SESSION_BEGIN, principal.name, {"with": way})
    return secret


def _known_as(tx: Transaction, identity: Identity) -> str | None:
    """The user who somebody from the provider is."""
    account = tx.account_by_subject(identity.issuer, identity.subject)
    if account is not None:
        return account.user.name
    account = tx.account_by_email(identity.email) if identity.email and identity.is_email_verified else None
    if account is None or account.user.issuer is not None:
        return None
    _link(tx, account.user.name, identity)
    return account.user.name


def _welcomed(tx: Transaction, identity: Identity) -> str:
    """Make a user of somebody who is new, under a name that is nobody's and that no model has as its owner."""
    wanted = _name_of(identity)
    name = next(each for each in (wanted, *(f"{wanted}-{n}" for n in range(2, MOST_NAMESAKES))) if tx.is_free(each))
    email = identity.email if identity.is_email_verified else None
    is_known = email is not None and tx.account_by_email(email) is not None
    tx.add_user(name, is_admin=False, email=None if is_known else email, password_hash=None)
    me = Principal(name=name, scope=None, user=name)
    tx.note(me, Action.USER_CREATE, name, {"issuer": identity.issuer})
    _link(tx, name, identity)
    return name


def _link(tx: Transaction, name: str, identity: Identity) -> None:
    tx.set_subject(name, identity.issuer, identity.subject)
    me = Principal(name=name, scope=None, user=name)
    tx.note(me, Action.USER_LINK, name, {"issuer": identity.issuer})


def _name_of(identity: Identity) -> str:
    text = re.sub(r"[^a-z0-9]+", "-", identity.name.partition("@")[0].lower())[:40].strip("-")
    return text if _can_be_user(text) else f"user-{text}".strip("-")


def _can_be_user(text: str) -> bool:
    try:
        parse_user(text)
    except InvalidName:
        return False
    return True
