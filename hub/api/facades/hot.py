"""Hot routes: predictions and blobs as plain ASGI, each step once, nothing built that is thrown away.

Laws: every answer has an ``X-Request-Id`` and appears in the metrics once, and in the log where it went wrong (others
only for who wants to debug); a body never takes more memory than its limit; whatever was not foreseen becomes a 500
problem, and its traceback goes to the log; who left is not computed for.
"""

import asyncio
import functools
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar
from uuid import uuid4

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from hub.api.front import Ask, Failed, Reply, ShortWay, Tell, Withdraw
from hub.api.middleware import SANE_ID, address_of, sent_path, too_large
from hub.api.problems import NO_ANSWER, problem_response
from hub.domain.errors import HubError
from hub.services.house import House
from hub.telemetry import metrics, timing, tracing
from hub.telemetry.series import Number, Spread

WATCH_AFTER_S = 0.02
TIMING = b"hub-timing"
_HEADERS = b"x-request-id: %b\r\n%bcontent-type: %b\r\ncontent-length: %d\r\n"
_PROCESS = uuid4().hex[:24]
_numbers = itertools.count(1)
_log = structlog.get_logger(__name__)
_plain_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


@dataclass(slots=True)  # not frozen: that takes three times as long to make
class Answer:
    """What goes back: a body, its type, and further headers."""

    body: bytes
    media_type: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()


class Exchange:
    """One request, as far as it has come."""

    __slots__ = ("_limit", "_receive", "_scope", "headers", "parts", "received")

    def __init__(self, scope: Scope, receive: Receive, limit: int) -> None:
        """Take over a request whose body may have ``limit`` bytes."""
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.parts: dict[str, str] = scope["path_params"]
        self.received = 0
        self._scope = scope
        self._receive = receive
        self._limit = limit

    def header(self, name: bytes) -> str | None:
        """A header's value; the last where there are several."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def address(self) -> str | None:
        """Where the request came from."""
        return address_of(self._scope)

    async def body(self) -> bytes:
        """The whole body as it was sent.

        Raises:
            TooLarge: It has more bytes than are taken, or says so.
            ClientDisconnect: The client left before its end.
        """
        announced = self.headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > self._limit:
            raise too_large(self._limit)
        pieces: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            piece = message.get("body", b"")
            self.received += len(piece)
            if self.received > self._limit:
                raise too_large(self._limit)
            pieces.append(piece)
            if not message.get("more_body", False):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def unless_left(self, work: Awaitable[_Result]) -> _Result:
        """Wait for work, which is cancelled where the client leaves; only what takes long is worth watching for it.

        Raises:
            ClientDisconnect: The client left.
        """
        loop = asyncio.get_running_loop()
        watchers: list[asyncio.Task[None]] = []
        ours = asyncio.current_task()
        assert ours is not None
        timer = loop.call_later(WATCH_AFTER_S, lambda: watchers.append(loop.create_task(self._watch(ours))))
        try:
            return await work
        except asyncio.CancelledError:
            if watchers and watchers[0].done() and not watchers[0].cancelled():
                ours.uncancel()
                raise ClientDisconnect from None
            raise
        finally:
            timer.cancel()
            for watcher in watchers:
                watcher.cancel()

    async def _watch(self, task: asyncio.Task[object]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        task.cancel()


Handler = Callable[[House, Exchange], Awaitable[Answer | Response]]
Start = Callable[[bytes, Callable[[Answer | HubError | None], None]], Withdraw | None]
Starter = Callable[[House, Mapping[bytes, bytes], Mapping[str, str]], Start | None]


def short_way(
    house: House,
    path: str,
    handler: Handler,
    *,
    method: str = "POST",
    has_error_key: bool = True,
    starter: Starter | None = None,
) -> ShortWay:
    """A hot route whose errors are answers, with the ``error`` key that clients of prediction protocols read."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        failed: Failed | None = scope["state"].get("failed") if "state" in scope else None
        began = time.perf_counter() if failed is None else failed.began
        exchange = Exchange(scope, receive, house.settings.request_max_bytes)
        request_id = exchange.header(b"x-request-id") or ""
        if not SANE_ID.fullmatch(request_id):
            request_id = f"{_PROCESS}{next(_numbers):08x}"
        metrics.REQUESTS_OPEN.inc()
        status = sent = 0
        traced = tracing.request(
            path, exchange.header(b"traceparent"), {"http.request.method": method, "http.route": path}
        )
        try:
            with traced:
                status = 200
                if failed is None:
                    answer = await _timed(house, exchange, handler, request_id)
                else:
                    await exchange.body()
                    answer = failed.error
                if isinstance(answer, HubError):
                    more = {"error": sentence(answer)} if has_error_key else {}
                    answer = problem_response(answer, request_id, **more)
                if isinstance(answer, Response):
                    status, sent = await _respond(answer, scope, receive, send, request_id)
                else:
                    sent = len(answer.body)
                    await _send(send, answer, request_id)
                tracing.note({"http.response.status_code": status})
        except ClientDisconnect:
            status = NO_ANSWER
        finally:
            metrics.REQUESTS_OPEN.dec()
            _record(scope, path, status, time.perf_counter() - began, exchange.received, sent, request_id)

    return ShortWay(path, app, method, None if starter is None else partial(_straight, house, path, starter))


def _straight(house: House, path: str, starter: Starter, scope: Scope) -> Ask | None:
    """The straight way of requests with one head: what goes wrong in it is answered by the other."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    if TIMING in headers or tracing.is_on():
        return None
    try:
        start = starter(house, headers, scope["path_params"])
    except Exception:  # noqa: BLE001 - the usual way runs into it as well, and answers
        return None
    if start is None:
        return None
    sent_id = headers.get(b"x-request-id", b"").decode("latin-1")
    own_id = sent_id if SANE_ID.fullmatch(sent_id) else None

    def ask(body: bytes, tell: Tell) -> Withdraw | None:
        began = time.perf_counter()

        def done(answer: Answer | HubError | None) -> None:
            metrics.REQUESTS_OPEN.dec()
            if not isinstance(answer, Answer):
                tell(None if answer is None else Failed(answer, began))
                return
            request_id = own_id or f"{_PROCESS}{next(_numbers):08x}"
            more = b"".join([b"%b: %b\r\n" % line for line in answer.headers])
            values = request_id.encode(), more, answer.media_type, len(answer.body)
            tell(Reply(_HEADERS % values, answer.body))
            seconds = time.perf_counter() - began
            _record(scope, path, 200, seconds, len(body), len(answer.body), request_id)

        try:
            given = start(body, done)
        except Exception:  # noqa: BLE001 - the usual way runs into it as well, and answers
            return None
        if given is None:
            return None
        metrics.REQUESTS_OPEN.inc()

        def withdrawn() -> None:
            given()
            metrics.REQUESTS_OPEN.dec()
            _record(scope, path, NO_ANSWER, time.perf_counter() - began, len(body), 0, "")

        return withdrawn

    return ask


async def _timed(house: House, exchange: Exchange, handler: Handler, request_id: str) -> Answer | Response | HubError:
    """The answer, with a ``Server-Timing`` header for who asks for one."""
    if TIMING not in exchange.headers:
        return await _answered(house, exchange, handler, request_id)
    with timing.asked() as times:
        answer = await _answered(house, exchange, handler, request_id)
    if not isinstance(answer, Answer):
        return answer
    return replace(answer, headers=[*answer.headers, (b"server-timing", times.header().encode())])


async def _answered(
    house: House, exchange: Exchange, handler: Handler, request_id: str
) -> Answer | Response | HubError:
    try:
        return await handler(house, exchange)
    except ClientDisconnect:
        raise
    except Exception as error:  # noqa: BLE001 - whatever was not foreseen is answered, and told to the log
        return foreseen(error, request_id)


def foreseen(error: Exception, request_id: str) -> HubError:
    """What to answer; an error that nobody foresaw is told to the log only."""
    if isinstance(error, HubError):
        return error
    _log.error("request.failed", request_id=request_id, exc_info=error)
    return HubError("The hub could not do this.", remedy="Its log says why, under the request's id.")


async def _respond(answer: Response, scope: Scope, receive: Receive, send: Send, request_id: str) -> tuple[int, int]:
    """Send an answer that sends itself, or the problem that it ran into before it began; gives status and bytes."""
    has_begun = False

    async def begin(message: Message) -> None:
        nonlocal has_begun
        has_begun = True
        await send(message)

    try:
        answer.headers["x-request-id"] = request_id
        await answer(scope, receive, begin)
    except ClientDisconnect:
        raise
    except Exception as error:
        if has_begun:
            raise
        answer = problem_response(foreseen(error, request_id), request_id)
        answer.headers["x-request-id"] = request_id
        await answer(scope, receive, send)
    return answer.status_code, int(answer.headers["content-length"])


def sentence(error: HubError) -> str:
    """An error in words, for the ``error`` key that clients of TensorFlow Serving and of the protocol read."""
    return f"{error.detail} {error.remedy}" if error.remedy else error.detail


async def _send(send: Send, answer: Answer, request_id: str) -> None:
    headers = [
        (b"x-request-id", request_id.encode("latin-1")),
        *answer.headers,
        (b"content-type", answer.media_type),
        (b"content-length", b"%d" % len(answer.body)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _record(scope: Scope, path: str, status: int, seconds: float, received: int, sent: int, request_id: str) -> None:
    counter, histogram = _series(scope["method"], path, status)
    counter.inc()
    histogram.observe(seconds)
    metrics.RECEIVED_BYTES.inc(received)
    metrics.SENT_BYTES.inc(sent)
    is_noise = status < 400
    if is_noise and not _plain_log.isEnabledFor(logging.DEBUG):
        return  # before the line is made: that takes longer than all the rest
    _log.log(
        logging.DEBUG if is_noise else logging.INFO,
        "request.answered",
        method=scope["method"],
        path=sent_path(scope),
        status=status,
        duration_ms=round(seconds * 1000, 1),
        received_bytes=received,
        sent_bytes=sent,
        request_id=request_id,
    )


@functools.cache
def _series(method: str, path: str, status: int) -> tuple[Number, Spread]:
    """The series to count in; finding them by their labels each time takes longer than counting."""
    return metrics.REQUESTS.labels(method, path, str(status)), metrics.REQUEST_SECONDS.labels(method, path)
