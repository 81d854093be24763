"""Principals, scopes and tokens: who asks and what they may do.

Laws: scopes are ordered; one that may ``write`` may ``read``, one that may ``admin`` may do both. What somebody may do
to an owner's models is the lesser of two: the scope they come with, and the role they have with that owner. A limit
narrows that to one owner or one model. What is public may be read by whoever may read at all, so neither role nor limit
counts there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from hub.domain.errors import Forbidden, ModelNotFound, Unauthorized
from hub.domain.versions import Model


class Scope(StrEnum):
    """What a token is good for, and what a role allows. ``read`` includes predict."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


_RANK = {None: 0, Scope.READ: 1, Scope.WRITE: 2, Scope.ADMIN: 3}
NO_ROLES: Mapping[str, Scope] = {}


def is_within(where: str, limit: str | None) -> bool:
    """Whether an owner or a model (``owner/name``) lies within a limit, which is one of the two or none."""
    return limit is None or where == limit or where.startswith(f"{limit}/")


@dataclass(frozen=True, slots=True)
class View:
    """Which private models exist for somebody; two with equal views are answered alike.

    Attributes:
        owners: Those whose private models it shows, before the limit; None for all.
        limit: The owner or the model it is limited to.
    """

    owners: frozenset[str] | None
    limit: str | None

    @property
    def is_whole(self) -> bool:
        """Whether everything exists for it."""
        return self.owners is None and self.limit is None


WHOLE = View(None, None)
"""Everything exists for it."""


@dataclass(frozen=True)
class Principal:
    """Who asks.

    Attributes:
        name: As it is shown, and written down with what it does.
        scope: At most what it may do; None for somebody who may do nothing.
        is_anonymous: Whether it is nobody in particular.
        token_id: The token that proved it; None for who came without one.
        user: The user it is; None for the hub's own tokens and for nobody in particular.
        roles: What it may do with which owner; None for every owner, where only the scope counts.
        limit: The one owner or model (``owner/name``) that it may change and whose private models it sees.
    """

    name: str
    scope: Scope | None
    is_anonymous: bool = False
    token_id: str | None = None
    user: str | None = None
    roles: Mapping[str, Scope] | None = None
    limit: str | None = None

    @cached_property
    def identity(self) -> str:
        """Who this is, whatever it is called: all of a user's tokens are one, each of the hub's own is another."""
        if self.user is not None:
            return f"user:{self.user}"
        return f"token:{self.token_id}" if self.token_id is not None else self.name

    def may(self, needed: Scope, where: str | None = None) -> bool:
        """Whether it may do what needs a scope.

        Args:
            needed: The scope.
            where: To which model (``owner/name``) or to all of which owner's, private ones included; None for what
                belongs to no owner: reading what is public, and ruling the hub itself.
        """
        if _RANK[self.scope] < _RANK[needed]:
            return False
        if where is None:
            return needed is Scope.READ or (self.roles is None and self.limit is None)
        if not is_within(where, self.limit):
            return False
        return self.roles is None or _RANK[self.roles.get(where.partition("/")[0])] >= _RANK[needed]

    def require(self, needed: Scope, where: str | None = None) -> None:
        """Refuse somebody who may not do what needs a scope; see :meth:`may`.

        Raises:
            Unauthorized: Nobody in particular asks; a token would help.
            Forbidden: It is known who asks, but they may not.
        """
        if self.may(needed, where):
            return
        if self.is_anonymous:
            raise Unauthorized(
                f"This needs a token with scope {needed.value}.", remedy="Run `hub login URL` with a token."
            )
        raise Forbidden(f"{self._too_little(where)}, this needs {needed.value}.", remedy=self._remedy(where))

    @cached_property
    def view(self) -> View:
        """Which private models exist for it."""
        owners = None if self.roles is None else frozenset(self.roles)
        return View(owners if self.scope is not None else frozenset(), self.limit)

    def sees(self, name: str) -> bool:
        """Whether a private model of that name would exist for it."""
        return self.may(Scope.READ, name)

    def see(self, model: Model) -> Model:
        """Return ``model`` if it may be seen.

        Raises:
            ModelNotFound: It may not; worded as for a model that does not exist.
        """
        if model.is_private and not self.sees(model.name):
            raise ModelNotFound(f"There is no model {model.name}.", remedy="List what there is with 'hub ls'.")
        return model

    def _too_little(self, where: str | None) -> str:
        scope = self.scope.value if self.scope else "none"
        who = f"The token {self.name!r}" if self.user is None else f"{self.user!r}"
        if self.limit is not None and (where is None or not is_within(where, self.limit)):
            return f"{who} comes with a token that is limited to {self.limit}"
        if where is None and self.scope is Scope.ADMIN:
            return f"{who} is no administrator of the hub"
        if self.roles is None or where is None:
            return f"{who} has scope {scope}"
        owner = where.partition("/")[0]
        role = self.roles.get(owner)
        return f"{who} has scope {scope} and role {role.value if role else 'none'} with {owner}"

    def _remedy(self, where: str | None) -> str:
        if where is None or self.roles is None:
            return "Ask an administrator of the hub for a token with a wider scope."
        owner = where.partition("/")[0]
        return f"Use a token without that limit, or ask an administrator of {owner} or of the hub for a wider role."


HUB = Principal(name="hub", scope=Scope.ADMIN)
"""The hub itself, where it acts on nobody's request."""


class Token(BaseModel):
    """A token as it may be shown: everything but the secret.

    Attributes:
        id: What it is revoked by.
        name: As its maker called it.
        scope: At most what it may do.
        user: Whose it is; None for one of the hub's own, which works with every owner.
        limit: The one owner or model that it may change and whose private models it sees.
        created_at: When it was made.
        expires_at: When it ends; None for one that does not.
        last_used_at: When it was last used, to a few minutes.
        revoked_at: When it was made worthless.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    scope: Scope
    user: str | None = None
    limit: str | None = None
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
