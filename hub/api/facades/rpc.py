"""gRPC: a port beside the HTTP one, where each method is a function of bytes.

Laws: as over HTTP, a call is counted once, what was not foreseen goes to the log, and who left is not computed for; an
error's status is the one that gRPC's clients retry by, its text the problem's sentence, and the trailing metadata
``hub-code`` its stable code. The token is the ``authorization`` metadata.

Source: gRPC "Status codes and their use in gRPC".
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import grpc
import structlog

from hub.api.facades.exchange import caller
from hub.api.facades.hot import sentence
from hub.domain.access import Principal, Scope
from hub.domain.errors import HubError
from hub.services.house import House
from hub.telemetry import metrics, tracing

CODE_KEY = "hub-code"
_LARGE_METADATA_BYTES = 16 << 10
_STATUS = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_log = structlog.get_logger(__name__)
Context = grpc.aio.ServicerContext


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
        """
        principal = await caller(self._house, self.sent("authorization"))
        principal.require(Scope.READ)
        return principal

    def sent(self, key: str) -> str | None:
        """The metadata of that name; the first where there are several."""
        found = (value for name, value in self._context.invocation_metadata() or () if name == key)
        value = next(found, None)
        return value if isinstance(value, str) else None

    def deadline_s(self) -> float:
        """How long predictions may still take: the hub's limit for a call, or less where the caller waits less."""
        left = self._until - time.monotonic()
        waits = self._context.time_remaining()
        return max(0.001, left if waits is None else min(left, waits))


Method = Callable[[House, Call, bytes], Awaitable[bytes]]


class _Methods(grpc.GenericRpcHandler):
    """Finds the handler of a method by its full name."""

    def __init__(self, house: House, methods: Mapping[str, Method]) -> None:
        self._handlers = {
            name: grpc.unary_unary_rpc_method_handler(_answering(house, name, method))
            for name, method in methods.items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._handlers.get(handler_call_details.method)


def _answering(house: House, name: str, method: Method) -> Callable[[bytes, Context], Awaitable[bytes]]:
    async def answer(request: bytes, context: Context) -> bytes:
        began = time.perf_counter()
        code = grpc.StatusCode.CANCELLED
        call = Call(house, context)
        try:
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


async def _refuse(context: Context, error: HubError) -> grpc.StatusCode:
    if error.inside:
        _log.error("call.refused", code=error.code, detail=error.detail, inside=error.inside)
    code = _STATUS.get(error.status, grpc.StatusCode.INTERNAL)
    context.set_code(code)
    context.set_details(sentence(error))
    context.set_trailing_metadata(((CODE_KEY, error.code),))
    return code


def rpc_server(house: House, methods: Mapping[str, Method]) -> grpc.aio.Server:
    """A server of these methods that has no port yet. Must be called on the event loop that will run it."""
    limit = house.settings.request_max_bytes
    return grpc.aio.server(
        handlers=(_Methods(house, methods),),
        maximum_concurrent_rpcs=house.settings.requests_in_flight,
        options=(
            ("grpc.max_receive_message_length", limit),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", _LARGE_METADATA_BYTES),
            ("grpc.so_reuseport", 0),  # or a second hub would take half of the calls
        ),
    )
