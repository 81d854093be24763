"""People: users, organisations, and who is a member with which role.

Laws: users and organisations share one space of names, the first part of ``owner/name``; a name that was given is never
given to somebody else. An owner of models may be neither: then it belongs to nobody, and only the hub's own tokens and
administrators may change its models.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from hub.domain.access import Scope
from hub.domain.errors import InvalidName
from hub.domain.names import parse_owner

NOT_USERS = frozenset({"hub", "anonymous", "anybody"})
"""What the audit calls those who are no user; a user of such a name could not be told from them."""


class OwnerKind(StrEnum):
    """What a name belongs to."""

    USER = "user"
    ORGANISATION = "organisation"


class User(BaseModel):
    """A person who may sign in; everything but the password.

    Attributes:
        name: Also the owner of this person's own models.
        is_admin: Whether they may do everything on the hub.
        email: Where they are reached, in lower case, as an administrator or a trusted provider said.
        has_password: Whether they can sign in with one.
        issuer: The OpenID provider that they sign in with.
        created_at: Since when.
        disabled_at: Since when they are kept out; None for who is not.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    is_admin: bool = False
    email: str | None = None
    has_password: bool = False
    issuer: str | None = None
    created_at: datetime
    disabled_at: datetime | None = None


def parse_user(text: str) -> str:
    """Read the name of a user.

    Raises:
        InvalidName: It cannot own models, or stands for somebody else in the audit.
    """
    if text in NOT_USERS:
        raise InvalidName(f"{text!r} is what the hub calls somebody who is no user.", remedy="Choose another name.")
    return parse_owner(text)


class Organisation(BaseModel):
    """An owner that several users share."""

    model_config = ConfigDict(frozen=True)

    name: str
    created_at: datetime


class Member(BaseModel):
    """A user's role in an organisation."""

    model_config = ConfigDict(frozen=True)

    user: str
    role: Scope
    since: datetime
