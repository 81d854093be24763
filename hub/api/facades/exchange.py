"""One exchange of a prediction facade: who asks, the body within its limits, the deadline, and errors as they answer.

What is asked seldom is a plain Starlette endpoint; predictions are hot routes, see ``hub.api.facades.hot``.

Laws: a body never takes more memory than the limit, compressed or not; work on a large body never blocks the event
loop; an error is a problem (RFC 9457) that also has the ``error`` key which TensorFlow Serving's and the Open Inference
Protocol's clients read.
"""

import asyncio
import functools
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.api.facades.hot import Exchange, sentence
from hub.api.problems import problem_response
from hub.api.unpacking import is_packed, unpacked
from hub.domain.access import Principal
from hub.domain.audit import Origin, asked_from, origin
from hub.domain.errors import HubError, InvalidRequest, TooLarge
from hub.domain.names import Reference, parse_reference
from hub.domain.signatures import Signature
from hub.protocol.codecs.json_text import write_json
from hub.protocol.frames import Tensor
from hub.services.house import House
from hub.services.servables import Servable
from hub.telemetry import metrics
from hub.telemetry.series import Number, Spread

DEADLINE_HEADER = "Hub-Deadline-Ms"
DEADLINE = DEADLINE_HEADER.lower().encode()
JSON = "application/json"
LARGE_BYTES = 1 << 20  # less is done before a thread has the interpreter: a fifth less work for 500 KB of JSON
Handler = Callable[[House, Request], Awaitable[Response]]
_Result = TypeVar("_Result")


class Call(Protocol):
    """What every codec makes of a request: the signature it means, and inputs that fit it."""

    @property
    def signature(self) -> Signature:
        """The signature to run."""
        ...

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Its inputs, in the signature's order."""
        ...


def route(house: House, method: str, path: str, handler: Handler) -> Route:
    """A route whose errors are answers."""

    async def endpoint(request: Request) -> Response:
        return await _answered(house, request, handler)

    return Route(path, endpoint, methods=[method])


async def only_post(_request: Request) -> Response:
    """What stands where a hot route is, for those who do not POST; a path of fewer words would match otherwise.

    Raises:
        HTTPException: Always.
    """
    raise HTTPException(405, headers={"Allow": "POST"})


async def _answered(house: House, request: Request, handler: Handler) -> Response:
    try:
        return await handler(house, request)
    except HubError as error:
        return problem_response(error, getattr(request.state, "request_id", None), error=sentence(error))


@functools.lru_cache(4_096)
def reference(text: str) -> Reference:
    """What a reference says; the same few are asked for again and again.

    Raises:
        InvalidName: It is none.
    """
    return parse_reference(text)


async def caller(
    house: House, authorization: str | None, address: Callable[[], str | None] = lambda: origin().address
) -> Principal:
    """Who asks, by the header of that name. Looking a token up may read the database, so that happens in a thread.

    Args:
        house: The services.
        authorization: The header.
        address: Tells where the request came from; asked only where the token is looked up.

    Raises:
        Unauthorized: A token was sent that this hub does not accept.
        Overloaded: Too many that it does not know have come from the same address.
    """
    principal = house.access.at_hand(authorization)
    if principal is not None:
        return principal
    with asked_from(Origin(address=address())):
        return await asyncio.to_thread(house.access.authenticate, authorization)


async def read_body(house: House, exchange: Exchange) -> bytes:
    """The whole body, decompressed where it was sent with gzip or deflate.

    Raises:
        TooLarge: It has more bytes than the hub takes.
        InvalidRequest: It is compressed in another way, or broken.
    """
    body = await exchange.body()
    encoding = exchange.header(b"content-encoding")
    if encoding is None or not is_packed(encoding):
        return body
    return await off_loop(len(body), decompress, body, house.settings.request_max_bytes)


def decompress(body: bytes, limit: int) -> bytes:
    """Undo gzip or deflate.

    Raises:
        TooLarge: It would become more than ``limit`` bytes.
        InvalidRequest: It is not whole gzip or deflate.
    """
    pieces, size = [], 0
    for piece in unpacked([body]):
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body has more than the {limit} bytes this hub takes.",
        remedy="Send smaller batches, or binary tensors.",
        limit_bytes=limit,
    )


def deadline_s(house: House, asked: str | None) -> float:
    """How long the prediction may take: the hub's limit, or less where the caller asks for less, by the header.

    Raises:
        InvalidRequest: The header is not a positive number.
    """
    limit = house.settings.predict_deadline_s
    if asked is None:
        return limit
    try:
        asked_ms = float(asked)
    except ValueError:
        asked_ms = math.nan
    if not asked_ms > 0:
        raise InvalidRequest(f"{DEADLINE_HEADER} is {asked[:40]!r}.", remedy="Send a positive number of milliseconds.")
    return min(limit, asked_ms / 1000)


async def infer(
    house: House,
    protocol: str,
    exchange: Exchange,
    principal: Principal,
    servable: Servable,
    call: Call,
    *,
    priority: int = 0,
    timeout_s: float | None = None,
) -> list[Tensor]:
    """Run a decoded call."""
    limit_s = min(deadline_s(house, exchange.header(DEADLINE)), timeout_s or math.inf)
    work = house.predictions.predict(principal, servable, call.signature.name, call.tensors, limit_s, priority)
    return await measured(protocol, exchange.unless_left(work))


async def measured(protocol: str, work: Awaitable[_Result]) -> _Result:
    """Wait for a prediction, and count it by outcome: ``answered``, ``cancelled``, or the code of its error."""
    started = time.perf_counter()
    outcome = "cancelled"
    try:
        result = await work
        outcome = "answered"
    except HubError as error:
        outcome = error.code
        raise
    finally:
        count(protocol, outcome, started)
    return result


def count(protocol: str, outcome: str, started: float) -> None:
    """Count a prediction that began at ``started``."""
    counter, histogram = _series(protocol, outcome)
    counter.inc()
    histogram.observe(time.perf_counter() - started)


@functools.cache
def _series(protocol: str, outcome: str) -> tuple[Number, Spread]:
    return metrics.PREDICTIONS.labels(protocol, outcome), metrics.PREDICTION_SECONDS.labels(protocol)


async def off_loop(size_bytes: int, work: Callable[..., _Result], *arguments: Any) -> _Result:
    """Do ``work``, in a thread where it is about so many bytes that others would notice the wait."""
    if size_bytes < LARGE_BYTES:
        return work(*arguments)
    return await asyncio.to_thread(work, *arguments)


def json_answer(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(write_json(value), status_code=status, media_type=JSON)
