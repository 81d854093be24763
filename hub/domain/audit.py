"""The audit: who changed what, and what was refused.

Laws: an entry is written in the transaction of the change that it tells of, so neither is there without the other; it
is never changed, and outlives what it names; it is removed only with all that are older, once they are in a file, and
that is an entry too; it holds no secrets. Reading is not audited.

Where a request came from is the face's to know and nobody's to pass on: it says so once, with `asked_from`, and
whatever runs below it in that context has it from `origin`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict


class Action(StrEnum):
    """What can be done that changes something. Names are stable: people filter by them."""

    MODEL_CREATE = "model.create"
    MODEL_CARD = "model.card"
    MODEL_VISIBILITY = "model.visibility"
    MODEL_DELETE = "model.delete"
    VERSION_PUSH = "version.push"
    VERSION_READY = "version.ready"
    VERSION_REJECT = "version.reject"
    VERSION_YANK = "version.yank"
    VERSION_DELETE = "version.delete"
    VERSION_SUMMARIES = "version.summaries"
    ALIAS_SET = "alias.set"
    TOKEN_CREATE = "token.create"  # noqa: S105 - an action, not a secret
    TOKEN_REVOKE = "token.revoke"  # noqa: S105 - an action, not a secret
    VERSION_SIGN = "version.sign"
    KEY_ADD = "key.add"
    KEY_REVOKE = "key.revoke"
    KEY_REQUIRE = "key.require"
    QUOTA_SET = "quota.set"
    HUB_RESTORE = "hub.restore"
    TOKEN_REPORT = "token.report"  # noqa: S105 - an action, not a secret
    USER_CREATE = "user.create"
    USER_PASSWORD = "user.password"  # noqa: S105 - an action, not a secret
    USER_LINK = "user.link"
    USER_DISABLE = "user.disable"
    USER_ENABLE = "user.enable"
    ORGANISATION_CREATE = "organisation.create"
    MEMBER_SET = "member.set"
    MEMBER_REMOVE = "member.remove"
    SESSION_BEGIN = "session.begin"
    SESSION_END = "session.end"
    AUDIT_PRUNE = "audit.prune"


class Result(StrEnum):
    """How it ended. ``denied``: a known token asked for what its scope does not allow."""

    DONE = "done"
    DENIED = "denied"


class AuditEntry(BaseModel):
    """One thing that was done, or denied.

    Attributes:
        id: Grows from entry to entry.
        at: When.
        action: What.
        actor: The principal's name; ``hub`` without a token is the hub itself.
        token_id: The token that proved it; None for the hub itself and for people without a token.
        address: Where the request came from; None where none is behind it.
        object: What it was done to: a reference, or a token's or a push's id.
        result: How it ended.
        request_id: The request's id, as in the log; None where none is behind it.
        facts: What else is worth knowing, such as the version that an alias named before.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    at: datetime
    action: Action
    actor: str
    token_id: str | None
    address: str | None
    object: str
    result: Result
    request_id: str | None
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from; both None where no request is behind what happens."""

    request_id: str | None = None
    address: str | None = None


_NOWHERE = Origin()
_origin: ContextVar[Origin] = ContextVar("hub_origin", default=_NOWHERE)


def origin() -> Origin:
    """Where the request came from that is being answered in this context."""
    return _origin.get()


@contextmanager
def asked_from(source: Origin) -> Iterator[None]:
    """Say where what happens inside came from; threads and tasks that are started inside have it too."""
    token = _origin.set(source)
    try:
        yield
    finally:
        _origin.reset(token)
