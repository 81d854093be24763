"""One HTTP connection: uvicorn's, which also sends parts of files without reading them.

The application asks for that with ASGI's zero copy send extension (``http.response.zerocopysend``), offered where the
bytes go to a plain socket; a file then moves inside the kernel, at the speed of nginx's.

Laws: what was sent before is on its way before a file's bytes are; a client that reads slowly holds no thread; a
thread's descriptors are its own, and live as long as it uses them, whatever becomes of the request; to who left, as
with uvicorn's own messages, nothing is sent and nothing is wrong.

Source: ASGI's documentation, extensions, "Zero Copy Send"; sendfile(2).
"""

import asyncio
import os
import select
import time
from asyncio import Future
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

ZERO_COPY = "http.response.zerocopysend"
_PIECE_BYTES = 2 << 20
_TURN_BYTES = 16 << 20
_PATIENCE_S = 0.005
# Moving bytes keeps a core busy: more threads than cores only take turns, which costs a third of the rate.
_senders = ThreadPoolExecutor(max(2, os.cpu_count() or 1), thread_name_prefix="send-file")


class Connection(HttpToolsProtocol):
    """A connection whose requests know the zero copy send extension."""

    def on_headers_complete(self) -> None:
        """Start what answers the request."""
        super().on_headers_complete()
        if self.scheme == "http":
            self.scope["extensions"] = {ZERO_COPY: {}}
            self.cycle.send = partial(_send, self, self.cycle, self.cycle.send)  # type: ignore[method-assign]

    async def send_file(self, file: int, offset: int, count: int) -> None:
        """Move bytes from a file to the socket; once the client has left, to nobody.

        Raises:
            OSError: The file cannot be read.
            EOFError: The file is shorter.
        """
        self.transport.set_write_buffer_limits(high=0)
        await self.flow.drain()
        if self.transport.is_closing():
            return
        # Of our own, because the loop lets nobody wait for a descriptor that it uses itself, and may close that one.
        moving = _Moving(os.dup(self.transport.get_extra_info("socket").fileno()), os.dup(file))
        turn = None
        try:
            end = offset + count
            while offset < end:
                turn = _senders.submit(moving.turn, offset, min(_TURN_BYTES, end - offset))
                moved = await asyncio.wrap_future(turn)
                offset += moved
                if offset < end and moved < _TURN_BYTES:
                    await self._writable(moving.socket)
        except (BrokenPipeError, ConnectionResetError):
            self.transport.abort()
        finally:
            moving.is_stopped = True
            if turn is None:
                moving.close()
            else:
                turn.add_done_callback(lambda _turn: moving.close())
            if not self.transport.is_closing():
                self.transport.set_write_buffer_limits()

    async def _writable(self, socket: int) -> None:
        ready: Future[None] = self.loop.create_future()
        self.loop.add_writer(socket, _settle, ready)
        try:
            await ready
        finally:
            self.loop.remove_writer(socket)


async def _send(connection: Connection, cycle: RequestResponseCycle, send: Callable[..., Any], message: Any) -> None:
    if message["type"] == ZERO_COPY:
        if not cycle.disconnected and cycle.scope["method"] != "HEAD":
            await connection.send_file(message["file"].fileno(), message.get("offset", 0), message["count"])
        cycle.expected_content_length -= message["count"]
        if message.get("more_body", False):
            return
        message = {"type": "http.response.body", "body": b"", "more_body": False}
    await send(message)
    if cycle.response_complete:
        vars(cycle).pop("send", None)  # it holds the cycle, which the collector would have to find


def _settle(ready: Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


@dataclass(slots=True)
class _Moving:
    """Two descriptors, and whether bytes are still wanted from one to the other."""

    socket: int
    file: int
    is_stopped: bool = False

    def close(self) -> None:
        os.close(self.socket)
        os.close(self.file)

    def turn(self, offset: int, count: int) -> int:
        """Send what the socket takes, waiting a moment in all where it takes nothing; gives how much that was.

        Raises:
            EOFError: The file ends before.
        """
        poll, moved, patience_s = select.poll(), 0, _PATIENCE_S
        poll.register(self.socket, select.POLLOUT)
        while moved < count and not self.is_stopped:
            try:
                now = os.sendfile(self.socket, self.file, offset + moved, min(_PIECE_BYTES, count - moved))
            except BlockingIOError:
                began = time.monotonic()
                if patience_s <= 0 or not poll.poll(patience_s * 1_000):
                    break
                patience_s -= time.monotonic() - began
                continue
            if not now:
                raise EOFError(f"A file of {offset + moved} bytes was to have {offset + count}.")
            moved += now
        return moved
