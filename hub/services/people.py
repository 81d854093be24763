"""People: users, organisations and their members.

Laws: the hub's administrators add people, an organisation's administrators say who its members are. To who is no member
of an organisation it is answered like one that does not exist. An organisation that has an administrator keeps one, but
for who is kept out of the hub. Names are given once and kept: a user is disabled, never removed.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from hub.domain.access import Principal, Scope
from hub.domain.audit import Action
from hub.domain.errors import Conflict, InvalidRequest, LastAdministrator, OwnerNotFound
from hub.domain.names import parse_owner
from hub.domain.people import Organisation, User, parse_user
from hub.protocol.people import MemberList
from hub.services.changes import require
from hub.services.passwords import password_hash
from hub.services.principals import KnownPrincipals
from hub.storage.catalog import Catalog, Transaction, user_not_found

_MAX_EMAIL_CHARS = 254


@dataclass(frozen=True, slots=True)
class People:
    """The use cases about people."""

    catalog: Catalog
    known: KnownPrincipals = field(default_factory=KnownPrincipals, repr=False)

    def add_user(
        self, principal: Principal, name: str, *, is_admin: bool, email: str | None, password: str | None
    ) -> User:
        """Add a user, who owns what is named ``name/…``; models that are there already too.

        Raises:
            InvalidName: It cannot own models.
            Conflict: The name or the e-mail address is somebody's.
            InvalidRequest: The password is too short, or the e-mail address is none.
        """
        require(self.catalog, principal, Scope.ADMIN, Action.USER_CREATE, name)
        name, email = parse_user(name), _email(email)
        stored = password_hash(password) if password is not None else None
        with self.catalog.begin() as tx:
            if email is not None and tx.account_by_email(email) is not None:
                raise Conflict(f"Another user has the e-mail address {email}.", remedy="See hub admin user ls.")
            if not tx.add_user(name, is_admin=is_admin, email=email, password_hash=stored):
                raise _taken(name)
            tx.note(principal, Action.USER_CREATE, name, {"is_admin": is_admin, "email": email})
            return _user(tx, name)

    def users(self, principal: Principal) -> list[User]:
        """All users by name."""
        principal.require(Scope.ADMIN)
        with self.catalog.read() as tx:
            return tx.users()

    def set_password(self, principal: Principal, name: str, password: str) -> None:
        """Replace a user's password; whoever is signed in as them has to do so again.

        Raises:
            OwnerNotFound: No such user.
            InvalidRequest: The password is too short.
        """
        require(self.catalog, principal, Scope.ADMIN, Action.USER_PASSWORD, name)
        stored = password_hash(password)
        with self.catalog.begin() as tx:
            tx.set_password(name, stored)
            tx.end_sessions_of(name)
            tx.note(principal, Action.USER_PASSWORD, name)
        self.known.forget()

    def set_disabled(self, principal: Principal, name: str, *, is_disabled: bool) -> None:
        """Keep a user out, with all their tokens, or let them in again.

        Raises:
            OwnerNotFound: No such user.
        """
        action = Action.USER_DISABLE if is_disabled else Action.USER_ENABLE
        require(self.catalog, principal, Scope.ADMIN, action, name)
        with self.catalog.begin() as tx:
            if (_user(tx, name).disabled_at is not None) is is_disabled:
                return
            tx.set_disabled(name, datetime.now(UTC) if is_disabled else None)
            tx.end_sessions_of(name)
            tx.note(principal, action, name)
        self.known.forget()

    def add_organisation(self, principal: Principal, name: str) -> None:
        """Add an organisation, which owns what is named ``name/…``; models that are there already too.

        Raises:
            InvalidName: It cannot own models.
            Conflict: The name is somebody's.
        """
        require(self.catalog, principal, Scope.ADMIN, Action.ORGANISATION_CREATE, name)
        name = parse_owner(name)
        with self.catalog.begin() as tx:
            if not tx.add_organisation(name):
                raise _taken(name)
            tx.note(principal, Action.ORGANISATION_CREATE, name)

    def organisations(self, principal: Principal) -> list[Organisation]:
        """All organisations that the caller may see into, by name."""
        with self.catalog.read() as tx:
            return [found for found in tx.organisations() if principal.may(Scope.READ, found.name)]

    def members(self, principal: Principal, organisation: str) -> MemberList:
        """An organisation's members.

        Raises:
            OwnerNotFound: No such organisation that the caller may see into.
        """
        principal.require(Scope.READ)
        with self.catalog.read() as tx:
            _require_seen(tx, principal, organisation)
            return MemberList(organisation=organisation, items=tuple(tx.members(organisation)))

    def set_member(self, principal: Principal, organisation: str, user: str, role: Scope) -> MemberList:
        """Give a user a role in an organisation; the same again changes nothing.

        Raises:
            OwnerNotFound: No such organisation that the caller may see into, or no such user.
            Forbidden: The caller does not administer it.
            LastAdministrator: The user would stop being its administrator, and there is no other.
        """
        self._require_admin(principal, organisation, Action.MEMBER_SET, user)
        with self.catalog.begin() as tx:
            _user(tx, user)
            tx.lock_members(organisation)
            if role is not Scope.ADMIN:
                _require_another_admin(tx, organisation, user)
            before = tx.set_member(organisation, user, role)
            if before is not role:
                facts = {"user": user, "role": role.value, "previous": before.value if before else None}
                tx.note(principal, Action.MEMBER_SET, organisation, facts)
            found = tuple(tx.members(organisation))
        self.known.forget()
        return MemberList(organisation=organisation, items=found)

    def remove_member(self, principal: Principal, organisation: str, user: str) -> None:
        """Take a user's role in an organisation away.

        Raises:
            OwnerNotFound: No such organisation that the caller may see into, or the user is no member.
            Forbidden: The caller does not administer it.
            LastAdministrator: The user is its administrator, and there is no other.
        """
        self._require_admin(principal, organisation, Action.MEMBER_REMOVE, user)
        with self.catalog.begin() as tx:
            tx.lock_members(organisation)
            _require_another_admin(tx, organisation, user)
            if not tx.remove_member(organisation, user):
                raise OwnerNotFound(
                    f"{user[:120]} is no member of {organisation}.",
                    remedy=f"See them: hub admin org members {organisation}",
                )
            tx.note(principal, Action.MEMBER_REMOVE, organisation, {"user": user})
        self.known.forget()

    def _require_admin(self, principal: Principal, organisation: str, action: Action, user: str) -> None:
        if not principal.is_anonymous:
            with self.catalog.read() as tx:
                _require_seen(tx, principal, organisation)
        require(self.catalog, principal, Scope.ADMIN, action, f"{organisation}: {user}", where=organisation)


def _require_seen(tx: Transaction, principal: Principal, organisation: str) -> None:
    if principal.is_anonymous or not principal.may(Scope.READ, organisation) or not tx.is_organisation(organisation):
        raise OwnerNotFound(
            f"There is no organisation {organisation[:120]}.",
            remedy="An administrator of the hub adds one: hub admin org add NAME",
        )


def _require_another_admin(tx: Transaction, organisation: str, user: str) -> None:
    if tx.administrators(organisation) == [user]:
        raise LastAdministrator(
            f"{user} is the last administrator of {organisation}.",
            remedy="Give another user the role admin there first.",
        )


def _user(tx: Transaction, name: str) -> User:
    account = tx.account(name)
    if account is None:
        raise user_not_found(name)
    return account.user


def _taken(name: str) -> Conflict:
    return Conflict(f"The name {name} is taken: users and organisations share their names.", remedy="Choose another.")


def _email(text: str | None) -> str | None:
    if text is None:
        return None
    local, at, domain = text.strip().lower().partition("@")
    if not local or not at or not domain or "@" in domain or len(text) > _MAX_EMAIL_CHARS or not text.isprintable():
        raise InvalidRequest(f"{text[:80]!r} is no e-mail address.", remedy="Write one such as ada@example.org.")
    return f"{local}@{domain}"
