"""Bodies and paths of the REST API about people: members of organisations, and tokens that leaked.

::

    GET    members                                                    -> MemberList
    PUT    member      SetMember                                      -> MemberList
    DELETE member                                                     -> 204
    POST   REPORT      ReportTokens                                   -> 202, whatever the secrets were
"""

from typing import Annotated
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from hub.domain.access import Scope
from hub.domain.people import Member
from hub.protocol import paths

OWNERS = f"{paths.API}/owners"
REPORT = f"{paths.TOKENS}:report"
MAX_REPORTED = 100
MAX_SECRET_CHARS = 200


class SetMember(BaseModel):
    """Gives a user a role in an organisation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Scope


class MemberList(BaseModel):
    """An organisation's members by name."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    organisation: str
    items: tuple[Member, ...]


class ReportTokens(BaseModel):
    """Secrets that were found where they should not be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    secrets: Annotated[
        tuple[Annotated[str, Field(max_length=MAX_SECRET_CHARS)], ...], Field(min_length=1, max_length=MAX_REPORTED)
    ]


def members(owner: str) -> str:
    """An organisation's members."""
    return f"{OWNERS}/{quote(owner, safe='{}')}/members"


def member(owner: str, user: str) -> str:
    """One member."""
    return f"{members(owner)}/{quote(user, safe='{}')}"
