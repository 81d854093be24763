"""Problems: every error leaves the API as RFC 9457 ``application/problem+json``, FastAPI's own among them.

Law: an answer never repeats what was sent as a secret, never shows a traceback, and always has the request's id.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from hub.domain.errors import HubError, InvalidRequest, NotFound, TooLarge, Unauthorized
from hub.protocol.problems import CONTENT_TYPE, RETRY_AFTER_S, to_problem

MAX_SHOWN = 10
_NOT_JSON = "json_invalid"
NO_ANSWER = 499  # nginx' number for a client that left; nobody reads it but the access log
_log = structlog.get_logger(__name__)


def install(app: Starlette) -> None:
    """Make ``app`` answer with problems."""
    app.add_exception_handler(HubError, _hub_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _client_left)


def problem_response(error: HubError, request_id: str | None, /, **more: str) -> Response:
    """The answer that stands for an error; ``more`` are keys that a facade's clients look for."""
    if error.inside:
        _log.error("request.refused", code=error.code, detail=error.detail, inside=error.inside)
    return _response({**to_problem(error, request_id=request_id), **more}, _headers(error))


def _headers(error: HubError) -> dict[str, str]:
    if "retry_after_s" in error.facts:
        return {"Retry-After": str(error.facts["retry_after_s"])}
    if error.status in RETRY_AFTER_S:
        return {"Retry-After": str(RETRY_AFTER_S[error.status])}
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    return {}


def _response(problem: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    # Not orjson: a detail may quote text that is no valid Unicode, which escapes can still carry.
    return Response(json.dumps(problem, default=str), problem["status"], dict(headers), CONTENT_TYPE)


def _request_id(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)


def _hub_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HubError)
    return problem_response(error, _request_id(request))


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_response(_described(error.errors()), _request_id(request))


def _described(errors: Sequence[Mapping[str, Any]]) -> InvalidRequest:
    """Name the fields that are wrong; what was sent in them stays out of the answer."""
    fields = [{"field": _place(item), "reason": _reason(item)} for item in errors[:MAX_SHOWN]]
    first = fields[0]
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    detail = f"{first['field']}: {first['reason']}{more}."
    return InvalidRequest(detail, remedy="See the API's description at /api/v1/openapi.json.", fields=fields)


def _place(item: Mapping[str, Any]) -> str:
    if item["type"] == _NOT_JSON:
        return "body"
    return ".".join(str(part) for part in item["loc"])[:200]


def _reason(item: Mapping[str, Any]) -> str:
    if item["type"] == _NOT_JSON:
        return f"The JSON breaks off at character {item['loc'][-1]}: {item.get('ctx', {}).get('error', '')}"
    return str(item["msg"]).removeprefix("Value error, ").rstrip(".")


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    cause = error.__cause__
    if isinstance(cause, HubError):  # raised while FastAPI read the body
        return problem_response(cause, _request_id(request))
    if isinstance(cause, ClientDisconnect):
        return _client_left(request, cause)
    path = request.url.path[:200]
    if error.status_code == 404:
        return problem_response(NotFound(f"There is nothing at {path}."), _request_id(request))
    if error.status_code == 405:
        problem = to_problem(
            InvalidRequest(f"{request.method} is not answered at {path}."), request_id=_request_id(request)
        )
        return _response(problem | {"status": 405, "code": "method-not-allowed"}, error.headers or {})
    if error.status_code == 413:
        return problem_response(TooLarge(str(error.detail)), _request_id(request))
    return problem_response(InvalidRequest(f"{error.detail}."), _request_id(request))


def _client_left(_request: Request, _error: Exception) -> Response:
    return Response(status_code=NO_ANSWER)
