"""gRPC: a port beside the HTTP one, where each method is a function of bytes.

Laws: as over HTTP, a call is counted once, what was not foreseen goes to the log, and who left is not computed for; an
error's status is the one that gRPC's clients retry by, its text the problem's sentence, and the trailing metadata
``hub-code`` its stable code. The token is the ``authorization`` metadata. Who connects or calls and then does nothing
is not waited for; gRPC's clients connect again by themselves.

Source: gRPC "Status codes and their use in gRPC"; ``grpc/impl/channel_arg_names.h``; proposal A9 (ages of connections).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

import grpc
import structlog

from hub.api.facades.exchange import caller
from hub.api.facades.hot import sentence
from hub.domain.access import Principal, Scope
from hub.domain.errors import HubError, InvalidRequest, TooSlow
from hub.services.house import House
from hub.telemetry import metrics, tracing

CODE_KEY = "hub-code"
_LARGE_METADATA_BYTES = 16 << 10
_STATUS = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_log = structlog.get_logger(__name__)
Context = grpc.aio.ServicerContext


@dataclass(frozen=True, slots=True)
class RpcPatience:
    """What a connection takes of a client before it is ended.

    Attributes:
        greeting_s: Longest until both sides have said that they speak HTTP/2.
        idle_s: Longest without a call.
        message_s: Longest from the beginning of a call until its message is there.
        silence_s: Time without a byte after which a client with a call is asked whether it is there.
        echo_s: Longest until it says so.
        age_s: Longest at all: an answer that nobody reads ends with its connection.
        finish_s: How long calls that are under way then may go on.
    """

    greeting_s: float = 30.0
    idle_s: float = 300.0
    message_s: float = 120.0
    silence_s: float = 60.0
    echo_s: float = 20.0
    age_s: float = 1_800.0
    finish_s: float = 300.0

    def options(self) -> list[tuple[str, int]]:
        """As the server's options, which count in milliseconds."""
        limits = {
            "grpc.server_handshake_timeout_ms": self.greeting_s,
            "grpc.max_connection_idle_ms": self.idle_s,
            "grpc.keepalive_time_ms": self.silence_s,
            "grpc.keepalive_timeout_ms": self.echo_s,
            "grpc.max_connection_age_ms": self.age_s,
            "grpc.max_connection_age_grace_ms": self.finish_s,
        }
        return [(name, round(seconds * 1_000)) for name, seconds in limits.items()]


_PATIENCE = RpcPatience()


class Call:
    """One call, as far as its metadata tell."""

    __slots__ = ("_context", "_house", "_until")

    def __init__(self, house: House, context: Context) -> None:
        """Look at a call."""
        self._house = house
        self._context = context
        self._until = time.monotonic() + house.settings.predict_deadline_s

    async def caller(self) -> Principal:
        """Who asks.

        Raises:
            Unauthorized: A token was sent that this hub does not accept, or none where one is needed.
            Forbidden: The token does not allow predicting.
            Overloaded: Too many tokens that the hub does not know have come from the same address.
        """
        principal = await caller(self._house, self.sent("authorization"), self._address)
        principal.require(Scope.READ)
        return principal

    def sent(self, key: str) -> str | None:
        """The metadata of that name; the first where there are several."""
        found = (value for name, value in self._context.invocation_metadata() or () if name == key)
        value = next(found, None)
        return value if isinstance(value, str) else None

    def _address(self) -> str:
        """Where it comes from; gRPC says ``ipv4:127.0.0.1:80`` or ``ipv6:%5B::1%5D:80``."""
        place = self._context.peer().partition(":")[2].rpartition(":")[0]
        return unquote(place).strip("[]")

    def deadline_s(self) -> float:
        """How long predictions may still take: the hub's limit for a call, or less where the caller waits less."""
        left = self._until - time.monotonic()
        waits = self._context.time_remaining()
        return max(0.001, left if waits is None else min(left, waits))


Method = Callable[[House, Call, bytes], Awaitable[bytes]]


class _Methods(grpc.GenericRpcHandler):
    """Finds the handler of a method by its full name."""

    def __init__(self, house: House, methods: Mapping[str, Method], message_s: float) -> None:
        # On the wire one message is a stream of one; here it is one that can be waited for with an end.
        self._handlers = {
            name: grpc.stream_unary_rpc_method_handler(_answering(house, name, method, message_s))
            for name, method in methods.items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._handlers.get(handler_call_details.method)


def _answering(
    house: House, name: str, method: Method, message_s: float
) -> Callable[[AsyncIterator[bytes], Context], Awaitable[bytes]]:
    async def answer(_requests: AsyncIterator[bytes], context: Context) -> bytes:
        began = time.perf_counter()
        code = grpc.StatusCode.CANCELLED
        try:
            request = await _message(context, message_s)
            began = time.perf_counter()
            call = Call(house, context)
            with tracing.request(name, call.sent("traceparent"), {"rpc.system": "grpc", "rpc.method": name}):
                response = await method(house, call, request)
        except HubError as error:
            code = await _refuse(context, error)
            return b""
        except asyncio.CancelledError:
            raise
        except Exception:  # noqa: BLE001 - whatever was not foreseen is answered, and told to the log
            _log.exception("call.failed", method=name)
            code = await _refuse(context, HubError("The hub could not do this.", remedy="Its log says why."))
            return b""
        else:
            code = grpc.StatusCode.OK
            return response
        finally:
            metrics.CALLS.labels(name, code.name).inc()
            metrics.CALL_SECONDS.labels(name).observe(time.perf_counter() - began)

    return answer


async def _message(context: Context, within_s: float) -> bytes:
    """A call's one message.

    Raises:
        TooSlow: It does not come.
        InvalidRequest: There is none.
    """
    try:
        async with asyncio.timeout(within_s):
            message = await context.read()
    except TimeoutError as error:
        detail = f"The call's message took longer than {within_s:g} s."
        raise TooSlow(detail, remedy="Send it at once, or over a faster line.") from error
    if not isinstance(message, bytes):
        raise InvalidRequest("The call has no message.", remedy="Send one.")
    return message


async def _refuse(context: Context, error: HubError) -> grpc.StatusCode:
    if error.inside:
        _log.error("call.refused", code=error.code, detail=error.detail, inside=error.inside)
    code = _STATUS.get(error.status, grpc.StatusCode.INTERNAL)
    context.set_code(code)
    context.set_details(sentence(error))
    context.set_trailing_metadata(((CODE_KEY, error.code),))
    return code


def rpc_server(house: House, methods: Mapping[str, Method], patience: RpcPatience = _PATIENCE) -> grpc.aio.Server:
    """A server of these methods that has no port yet. Must be called on the event loop that will run it."""
    settings = house.settings
    return grpc.aio.server(
        handlers=(_Methods(house, methods, patience.message_s),),
        maximum_concurrent_rpcs=settings.requests_in_flight,
        options=(
            *patience.options(),
            ("grpc.max_concurrent_streams", settings.share_in_flight),  # of one connection
            ("grpc.max_receive_message_length", settings.request_max_bytes),
            ("grpc.max_send_message_length", -1),  # what an answer may have is the settings' and told by name
            ("grpc.max_metadata_size", _LARGE_METADATA_BYTES),
            ("grpc.so_reuseport", 0),  # or a second hub would take half of the calls
        ),
    )
