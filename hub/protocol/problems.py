"""Problems: errors as they travel, RFC 9457 ``application/problem+json``.

Law: ``from_problem(to_problem(e))`` has ``e``'s class, detail, remedy and facts, so that ``except VersionNotFound``
works the same in a service, a test and a user's notebook.
"""

from collections.abc import Mapping
from typing import Any

from hub.domain import errors
from hub.domain.errors import HubError

CONTENT_TYPE = "application/problem+json"
_BY_STATUS: dict[int, type[HubError]] = {
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.TooLarge,
    422: errors.Invalid,
    429: errors.Overloaded,
    503: errors.NotAvailable,
    504: errors.DeadlineExceeded,
    507: errors.StorageFull,
}
RETRY_AFTER_S = {429: 1, 503: 2}


def _tree(kind: type[HubError]) -> dict[str, type[HubError]]:
    found = {kind.code: kind}
    for child in kind.__subclasses__():
        found |= _tree(child)
    return found


BY_CODE = _tree(HubError)


def to_problem(error: HubError, *, request_id: str | None = None) -> dict[str, Any]:
    """The body of a problem answer. ``type`` is a stable URN made of the code."""
    problem: dict[str, Any] = {
        "type": f"urn:trunkhub:problem:{error.code}",
        "title": error.code.replace("-", " ").capitalize(),
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
    }
    if error.remedy:
        problem["remedy"] = error.remedy
    if error.facts:
        problem["facts"] = error.facts
    if request_id:
        problem["request_id"] = request_id
    return problem


def from_problem(status: int, problem: Mapping[str, Any] | None) -> HubError:
    """The error a problem stands for; falls back to the status where the code is unknown."""
    body = problem or {}
    kind = BY_CODE.get(str(body.get("code"))) or _BY_STATUS.get(status, HubError)
    detail = str(body.get("detail") or f"The hub answered {status}.")
    facts = body.get("facts")
    error = kind(detail, remedy=body.get("remedy"))
    error.facts = dict(facts) if isinstance(facts, Mapping) else {}
    return error
