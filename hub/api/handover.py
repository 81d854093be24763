"""Handing over: an outlet answers predictions, and gives every other connection to the hub, as if it had come there.

Several processes take connections at one address. What a connection's next request is for is seen in its first line;
where that is not the outlet's business, the connection itself is passed on, with the bytes that were read. It stays
where it went: the hub answers predictions as well. Laws: a connection is passed on between two requests only, when
nothing is under way and all answers are on their way; no byte is lost or read twice.

Source: unix(7), ``SCM_RIGHTS``.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any, cast

from starlette.types import Receive, Scope, Send
from uvicorn import Config, Server

from hub.api.connection import Connection
from hub.api.patience import Patience
from hub.api.problems import problem_response
from hub.domain.errors import NotAvailable

_SERVED = (b"POST /v1/", b"POST /v2/", b"GET /v1/", b"GET /v2/")
_HEADS = (b"POST /api/v1/models/", b"/heads:predict")
_WHOLE_LINE = 4_096
HandOver = Callable[[bytes, int], None]


def is_served(data: bytes) -> bool:
    """Whether an outlet answers the request that begins with these bytes; not where they do not tell."""
    if data.startswith(_SERVED):
        return True
    line = data[: data.find(b"\r\n", 0, _WHOLE_LINE) + 1]
    return line.startswith(_HEADS[0]) and line.partition(b" HTTP/")[0].partition(b"?")[0].endswith(_HEADS[1])


class OutletConnection(Connection):
    """A connection to an outlet."""

    def __init__(self, hand_over: HandOver, config: Config, *args: Any, **kwargs: Any) -> None:
        """Give what is not served here to ``hand_over``: the bytes that were read, and a descriptor that is its own."""
        super().__init__(config, *args, **kwargs)
        self._hand_over = hand_over

    def data_received(self, data: bytes) -> None:
        """See uvicorn; what is not for an outlet goes to the hub."""
        transport = cast(asyncio.Transport, self.transport)
        if not self.is_at_rest or transport.get_write_buffer_size() or is_served(data):
            super().data_received(data)
            return
        transport.pause_reading()
        self._hand_over(data, os.dup(transport.get_extra_info("socket").fileno()))
        transport.abort()  # closes this process's descriptor only


async def not_served(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that came before the answer to the one before it, so that it could not be handed over."""
    error = NotAvailable("This request was sent before the last was answered.", remedy="Send it again.")
    response = problem_response(error, None)
    response.headers["connection"] = "close"
    await response(scope, receive, send)


class _Adopted(Connection):
    """A connection that another process took and read from first."""

    def __init__(self, data: bytes, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._data = data

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.data_received(self._data)


async def adopt(server: Server, patience: Patience, data: bytes, file: int) -> None:
    """Answer a connection that was handed over: the bytes that were read of it, and its descriptor."""
    loop = asyncio.get_running_loop()
    connected = socket.socket(fileno=file)
    connected.setblocking(False)

    def connection() -> Connection:
        return _Adopted(data, server.config, server.server_state, server.lifespan.state, loop, patience=patience)

    await loop.connect_accepted_socket(connection, connected)
