"""Queries about users, organisations and their members.

Law: names are given once: no query removes an owner.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update

from hub.domain.access import Scope
from hub.domain.errors import OwnerNotFound
from hub.domain.people import Member, Organisation, OwnerKind, User
from hub.storage.catalog.queries import AnyRow, Queries, now
from hub.storage.catalog.tables import members, models, owners, users


@dataclass(frozen=True, slots=True)
class Account:
    """A user and what proves that it is them: the hash of the password, which never leaves the hub."""

    user: User
    password_hash: str | None


class PeopleQueries(Queries):
    """Users, organisations and roles."""

    def add_user(self, name: str, *, is_admin: bool, email: str | None, password_hash: str | None) -> bool:
        """Add a user; False where the name is taken. The e-mail address must be nobody else's."""
        if not self._add_owner(name, OwnerKind.USER):
            return False
        row = {"name": name, "is_admin": is_admin, "email": email, "password_hash": password_hash}
        return self.insert_if_absent(users, row)

    def add_organisation(self, name: str) -> bool:
        """Add an organisation; False where the name is taken."""
        return self._add_owner(name, OwnerKind.ORGANISATION)

    def users(self) -> list[User]:
        """All users by name."""
        return [account.user for account in self._accounts(users.c.name.is_not(None))]

    def account(self, name: str) -> Account | None:
        """One user with what proves them; None where there is none."""
        return next(iter(self._accounts(users.c.name == name)), None)

    def account_by_email(self, email: str) -> Account | None:
        """The user with this e-mail address."""
        return next(iter(self._accounts(users.c.email == email)), None)

    def account_by_subject(self, issuer: str, subject: str) -> Account | None:
        """The user whom an OpenID provider knows as this subject."""
        return next(iter(self._accounts((users.c.issuer == issuer) & (users.c.subject == subject))), None)

    def set_password(self, name: str, password_hash: str) -> None:
        """Replace a user's password."""
        self._update_user(name, password_hash=password_hash)

    def replace_password(self, name: str, before: str, after: str) -> bool:
        """Replace a user's password where it is still the one before."""
        is_still = (users.c.name == name) & (users.c.password_hash == before)
        return self.connection.execute(update(users).where(is_still).values(password_hash=after)).rowcount > 0

    def set_subject(self, name: str, issuer: str, subject: str) -> None:
        """Remember whom an OpenID provider knows a user as."""
        self._update_user(name, issuer=issuer, subject=subject)

    def set_disabled(self, name: str, since: datetime | None) -> None:
        """Keep a user out, or let them in again."""
        self._update_user(name, disabled_at=since)

    def organisations(self) -> list[Organisation]:
        """All organisations by name."""
        query = select(owners).where(owners.c.kind == OwnerKind.ORGANISATION.value).order_by(owners.c.name)
        return [Organisation(name=row.name, created_at=row.created_at) for row in self.connection.execute(query)]

    def is_organisation(self, name: str) -> bool:
        """Whether there is an organisation of this name."""
        query = select(owners.c.kind).where(owners.c.name == name)
        return self.connection.execute(query).scalar_one_or_none() == OwnerKind.ORGANISATION.value

    def is_free(self, name: str) -> bool:
        """Whether a name is nobody's, and no model has it as its owner."""
        taken = (
            select(owners.c.name).where(owners.c.name == name),
            select(models.c.name).where(models.c.owner == name),
        )
        return all(self.connection.execute(query.limit(1)).first() is None for query in taken)

    def members(self, organisation: str) -> list[Member]:
        """An organisation's members by name."""
        query = select(members).where(members.c.organisation == organisation).order_by(members.c.user)
        return [Member(user=row.user, role=Scope(row.role), since=row.since) for row in self.connection.execute(query)]

    def lock_members(self, organisation: str) -> None:
        """Keep an organisation's members from being changed by anybody else until this transaction ends."""
        mine = select(owners.c.name).where(owners.c.name == organisation)
        self.connection.execute(mine.with_for_update(key_share=True))

    def administrators(self, organisation: str) -> list[str]:
        """Members with the role of an administrator who are not kept out, by name."""
        joined = members.join(users, users.c.name == members.c.user)
        is_admin = (members.c.organisation == organisation) & (members.c.role == Scope.ADMIN.value)
        query = select(members.c.user).select_from(joined).where(is_admin, users.c.disabled_at.is_(None))
        return list(self.connection.execute(query.order_by(members.c.user)).scalars())

    def roles(self, user: str) -> dict[str, Scope]:
        """A user's role in each organisation, by its name."""
        query = select(members.c.organisation, members.c.role).where(members.c.user == user)
        return {row.organisation: Scope(row.role) for row in self.connection.execute(query)}

    def set_member(self, organisation: str, user: str, role: Scope) -> Scope | None:
        """Give a user a role.

        Returns:
            The one before.
        """
        mine = (members.c.organisation == organisation) & (members.c.user == user)
        before = self.connection.execute(select(members.c.role).where(mine).with_for_update()).scalar_one_or_none()
        row: dict[str, Any] = {"organisation": organisation, "user": user, "role": role.value, "since": now()}
        if before is None and self.insert_if_absent(members, row):
            return None
        self.connection.execute(update(members).where(mine).values(role=role.value))
        return None if before is None else Scope(before)

    def remove_member(self, organisation: str, user: str) -> bool:
        """Take a user's role away; False where there was none."""
        mine = (members.c.organisation == organisation) & (members.c.user == user)
        return self.connection.execute(delete(members).where(mine)).rowcount > 0

    def _add_owner(self, name: str, kind: OwnerKind) -> bool:
        return self.insert_if_absent(owners, {"name": name, "kind": kind.value, "created_at": now()})

    def _update_user(self, name: str, **values: object) -> None:
        if not self.connection.execute(update(users).where(users.c.name == name).values(**values)).rowcount:
            raise user_not_found(name)

    def _accounts(self, wanted: ColumnElement[bool]) -> list[Account]:
        joined = users.join(owners, owners.c.name == users.c.name)
        query = select(users, owners.c.created_at).select_from(joined).where(wanted).order_by(users.c.name)
        return [_account(row) for row in self.connection.execute(query)]


def user_not_found(name: str) -> OwnerNotFound:
    """The error for a user who is not there."""
    return OwnerNotFound(f"There is no user {name[:120]}.", remedy="An administrator adds one: hub admin user add NAME")


def _account(row: AnyRow) -> Account:
    user = User(
        name=row.name,
        is_admin=row.is_admin,
        email=row.email,
        has_password=row.password_hash is not None,
        issuer=row.issuer,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )
    return Account(user, row.password_hash)
