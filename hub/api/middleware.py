"""Middleware: what happens to every request. Plain ASGI: Starlette's base class costs a quarter millisecond each time.

Laws: every answer has an ``X-Request-Id`` and appears in the access log (probes and polls that went well only for who
wants to debug) and the metrics once; a body longer than its
limit is refused, announced or not; whatever was not foreseen becomes a 500 problem, and its traceback goes to the log.
"""

import logging
import re
import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.api.problems import problem_response
from hub.domain.audit import Origin, asked_from
from hub.domain.errors import HubError, TooLarge
from hub.domain.manifest import BLOB_BYTES
from hub.protocol import paths
from hub.telemetry import metrics

MAX_JSON_BYTES = 16 << 20
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BLOB_PATH = re.compile(rf"{paths.PUSHES}/[^/]+/blobs/[^/]+")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Exchange:
    """One request and its answer, as far as they have come."""

    request_id: str
    limit: int
    began: float
    status: int = 0
    received: int = 0
    sent: int = 0


class Observed:
    """Gives each request an id, bounds its body, logs and counts it, and catches what nobody else did."""

    def __init__(self, app: ASGIApp, *, request_max_bytes: int) -> None:
        """Wrap ``app``; ``request_max_bytes`` bounds bodies outside the hub's own API."""
        self.app = app
        self.request_max_bytes = request_max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(_request_id(scope), self._limit(scope["path"]), time.perf_counter())
        scope.setdefault("state", {})["request_id"] = exchange.request_id
        structlog.contextvars.bind_contextvars(request_id=exchange.request_id)
        metrics.REQUESTS_OPEN.inc()
        try:
            await self._answer(scope, receive, send, exchange)
        finally:
            metrics.REQUESTS_OPEN.dec()
            _record(scope, exchange)
            structlog.contextvars.unbind_contextvars("request_id")

    async def _answer(self, scope: Scope, receive: Receive, send: Send, exchange: _Exchange) -> None:
        counted = _counting(receive, exchange)
        stamped = _stamping(send, exchange)
        try:
            _check_announced(scope, exchange)
            with asked_from(Origin(exchange.request_id, address_of(scope))):
                await self.app(scope, counted, stamped)
        except Exception as error:
            if not isinstance(error, HubError):
                _log.exception("request.failed", method=scope["method"], path=sent_path(scope))
                error = HubError("The hub could not do this.", remedy="Its log says why, under the request's id.")
            if exchange.status:
                raise
            await problem_response(error, exchange.request_id)(scope, counted, stamped)

    def _limit(self, path: str) -> int:
        if _BLOB_PATH.fullmatch(path):
            return BLOB_BYTES
        return MAX_JSON_BYTES if path.startswith(paths.API) else self.request_max_bytes


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _request_id(scope: Scope) -> str:
    sent = _header(scope, b"x-request-id")
    return sent if SANE_ID.fullmatch(sent) else uuid4().hex


def address_of(scope: Scope) -> str | None:
    """Where a request came from; behind a proxy that is trusted, where that says."""
    client = scope.get("client")
    return client[0] if client else None


def _check_announced(scope: Scope, exchange: _Exchange) -> None:
    announced = _header(scope, b"content-length")
    if announced.isdecimal() and int(announced) > exchange.limit:
        raise too_large(exchange.limit)


def too_large(limit: int) -> TooLarge:
    """The error for a body that is longer than its limit."""
    return TooLarge(f"The body is longer than the {limit} bytes that are taken here.", limit_bytes=limit)


def _counting(receive: Receive, exchange: _Exchange) -> Receive:
    async def counted() -> Message:
        message = await receive()
        exchange.received += len(message.get("body", b""))
        if exchange.received > exchange.limit:
            raise too_large(exchange.limit)
        return message

    return counted


def _stamping(send: Send, exchange: _Exchange) -> Send:
    async def stamped(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            headers = [(key, value) for key, value in message.get("headers", []) if key.lower() != b"x-request-id"]
            message = {**message, "headers": [*headers, (b"x-request-id", exchange.request_id.encode())]}
        exchange.sent += len(message.get("body", b"")) + message.get("count", 0)
        await send(message)

    return stamped


def _route(scope: Scope) -> str:
    """The template of the route that answered: never the path, of which there are too many."""
    route: Any = scope.get("route")  # FastAPI says which; Starlette's own routes are known by their endpoint
    if route is not None:
        return str(route.path)
    endpoint: Any = scope.get("endpoint")
    routes: Any = getattr(scope.get("app"), "routes", ())
    found = (
        route.path for route in routes if endpoint in (getattr(route, "endpoint", None), getattr(route, "app", None))
    )
    return next(found, "nothing") if endpoint is not None else "nothing"


def sent_path(scope: Scope) -> str:
    """The path as it was sent, percent-encoded: decoded it could hold line breaks and forge log lines."""
    return str(scope["raw_path"].decode("ascii", "backslashreplace"))


def _record(scope: Scope, exchange: _Exchange) -> None:
    seconds = time.perf_counter() - exchange.began
    method, route = scope["method"] if scope["method"] in _METHODS else "other", _route(scope)
    metrics.REQUESTS.labels(method, route, str(exchange.status)).inc()
    metrics.REQUEST_SECONDS.labels(method, route).observe(seconds)
    metrics.RECEIVED_BYTES.inc(exchange.received)
    metrics.SENT_BYTES.inc(exchange.sent)
    is_noise = exchange.status < 400 and (scope["path"] in _QUIET or b"wait_s=" in scope["query_string"])
    _log.log(
        logging.DEBUG if is_noise else logging.INFO,
        "request.answered",
        method=method,
        path=sent_path(scope),
        status=exchange.status,
        duration_ms=round(seconds * 1000, 1),
        received_bytes=exchange.received,
        sent_bytes=exchange.sent,
    )
