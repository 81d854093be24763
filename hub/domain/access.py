"""Principals, scopes and tokens: who asks and what they may do.

Law: scopes are ordered; one that may ``write`` may ``read``, one that may ``admin`` may do both.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from hub.domain.errors import Forbidden, ModelNotFound, Unauthorized
from hub.domain.versions import Model


class Scope(StrEnum):
    """What a token is good for. ``read`` includes predict."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


_RANK = {None: 0, Scope.READ: 1, Scope.WRITE: 2, Scope.ADMIN: 3}


class Principal(BaseModel):
    """Who asks. ``scope`` is None for somebody who may do nothing, ``token_id`` for who proved nothing by a token."""

    model_config = ConfigDict(frozen=True)

    name: str
    scope: Scope | None
    is_anonymous: bool = False
    token_id: str | None = None

    def may(self, needed: Scope) -> bool:
        """Whether the scope covers ``needed``."""
        return _RANK[self.scope] >= _RANK[needed]

    def require(self, needed: Scope) -> None:
        """Refuse somebody whose scope does not cover ``needed``.

        Raises:
            Unauthorized: Nobody in particular asks; a token would help.
            Forbidden: The token is known, but its scope is too small.
        """
        if self.may(needed):
            return
        if self.is_anonymous:
            raise Unauthorized(
                f"This needs a token with scope {needed.value}.", remedy="Run `hub login URL` with a token."
            )
        scope = self.scope.value if self.scope else "none"
        raise Forbidden(
            f"The token {self.name!r} has scope {scope}, this needs {needed.value}.",
            remedy="Ask an administrator of the hub for a token with a wider scope.",
        )

    @property
    def sees_private(self) -> bool:
        """Whether private models exist for it: for all who have a token, and where a hub lets anybody write."""
        return not self.is_anonymous or self.may(Scope.WRITE)

    def see(self, model: Model) -> Model:
        """Return ``model`` if it may be seen.

        Raises:
            ModelNotFound: It may not; worded as for a model that does not exist.
        """
        if model.is_private and not self.sees_private:
            raise ModelNotFound(f"There is no model {model.name}.", remedy="List what there is with 'hub ls'.")
        return model


HUB = Principal(name="hub", scope=Scope.ADMIN)
"""The hub itself, where it acts on nobody's request."""


class Token(BaseModel):
    """A token as it may be shown: everything but the secret."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    scope: Scope
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
