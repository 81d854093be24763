"""One HTTP connection: uvicorn's, which also sends parts of files without reading them.

The application asks for that with ASGI's zero copy send extension (``http.response.zerocopysend``), offered where the
bytes go to a plain socket; a file then moves inside the kernel, at the speed of nginx's.

Laws: what was sent before is on its way before a file's bytes are; a client that reads slowly holds no thread; the
file stays the caller's, and must stay open until the message is taken.

Source: ASGI's documentation, extensions, "Zero Copy Send"; sendfile(2).
"""

import os
import select
from asyncio import Future
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

ZERO_COPY = "http.response.zerocopysend"
_PIECE_BYTES = 2 << 20
_PATIENCE_MS = 5
# Moving bytes keeps a core busy: more threads than cores only take turns, which costs a third of the rate.
_senders = ThreadPoolExecutor(max(2, os.cpu_count() or 1), thread_name_prefix="send-file")


class Connection(HttpToolsProtocol):
    """A connection whose requests know the zero copy send extension."""

    def on_headers_complete(self) -> None:
        """Start what answers the request."""
        super().on_headers_complete()
        if self.scheme == "http":
            self.scope["extensions"] = {ZERO_COPY: {}}
            self.cycle.send = partial(self._send, self.cycle, self.cycle.send)  # type: ignore[method-assign]

    async def _send(self, cycle: RequestResponseCycle, send: Callable[..., Any], message: Any) -> None:
        if message["type"] != ZERO_COPY:
            await send(message)
            return
        offset, count = message.get("offset", 0), message["count"]
        if not cycle.disconnected and cycle.scope["method"] != "HEAD":
            await self._send_file(message["file"].fileno(), offset, count)
        cycle.expected_content_length -= count
        if not message.get("more_body", False):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_file(self, file: int, offset: int, count: int) -> None:
        """Move bytes from a file to the socket.

        Raises:
            OSError: The client has left, or the file cannot be read.
            EOFError: The file is shorter.
        """
        self.transport.set_write_buffer_limits(high=0)
        await self.flow.drain()
        if self.transport.is_closing():
            raise ConnectionResetError
        # A descriptor of our own: the loop lets nobody wait for one that it uses itself, and may close that one.
        socket = os.dup(self.transport.get_extra_info("socket").fileno())
        try:
            end = offset + count
            while offset < end:
                offset += await self.loop.run_in_executor(_senders, _move, socket, file, offset, end - offset)
                if offset < end:
                    await self._writable(socket)
        finally:
            os.close(socket)
            if not self.transport.is_closing():
                self.transport.set_write_buffer_limits()

    async def _writable(self, socket: int) -> None:
        ready: Future[None] = self.loop.create_future()
        self.loop.add_writer(socket, _settle, ready)
        try:
            await ready
        finally:
            self.loop.remove_writer(socket)


def _settle(ready: Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _move(socket: int, file: int, offset: int, count: int) -> int:
    """Send what the socket takes, waiting a moment where it takes nothing; gives how much that was.

    Raises:
        EOFError: The file ends before.
    """
    poll, moved = select.poll(), 0
    poll.register(socket, select.POLLOUT)
    while moved < count:
        try:
            now = os.sendfile(socket, file, offset + moved, min(_PIECE_BYTES, count - moved))
        except BlockingIOError:
            if not poll.poll(_PATIENCE_MS):
                break
            continue
        if not now:
            raise EOFError(f"A file of {offset + moved} bytes was to have {offset + count}.")
        moved += now
    return moved
