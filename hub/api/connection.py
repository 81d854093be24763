"""One HTTP connection: uvicorn's, which also sends parts of files without reading them, and answers from a callback.

A prediction that a worker can be asked at once needs no task, no messages between server and application, and no timer
to look after the client: a quarter of what it costs. What that takes is in `hub.api.front.ShortWay`; whatever is not so
simple goes the usual way, with the body that came. A client that predicts again and again sends the same head, byte for
byte: one that was answered so before is known, and neither it nor its body is parsed again.

Files are asked for with ASGI's zero copy send extension (``http.response.zerocopysend``), offered where the bytes go to
a plain socket; a file then moves inside the kernel, at the speed of nginx's.

Laws: what was sent before is on its way before a file's bytes are; a client that reads slowly holds no thread; a
thread's descriptors are its own, and live as long as it uses them, whatever becomes of the request; to who left, as
with uvicorn's own messages, nothing is sent and nothing is wrong.

Source: ASGI's documentation, extensions, "Zero Copy Send"; sendfile(2).
"""

import asyncio
import functools
import os
import select
import time
from asyncio import Future
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from starlette.types import Scope
from uvicorn import Config
from uvicorn._types import ASGI3Application, HTTPScope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from hub.api.front import Ask, Failed, Front, KnownHead, Reply, Withdraw
from hub.api.patience import PatientConnection

ZERO_COPY = "http.response.zerocopysend"
_PIECE_BYTES = 2 << 20
_TURN_BYTES = 16 << 20
_PATIENCE_S = 0.005
_MODEST_BYTES = 1 << 20
_MODEST_DIGITS = 7
_HEAD_END = b"\r\n\r\n"
_MOST_HEAD_BYTES = 2_048
# Moving bytes keeps a core busy: more threads than cores only take turns, which costs a third of the rate.
_senders = ThreadPoolExecutor(max(2, os.cpu_count() or 1), thread_name_prefix="send-file")


class Connection(PatientConnection):
    """A connection whose requests know the zero copy send extension, and that answers some without a task."""

    def __init__(self, config: Config, *args: Any, **kwargs: Any) -> None:
        """Answer what ``config.app`` answers, straight where it can be: see `hub.api.front.ShortWay`."""
        super().__init__(config, *args, **kwargs)
        self._front = config.app if isinstance(config.app, Front) else None
        self._held: tuple[Ask, ASGI3Application] | None = None
        self._pieces: list[bytes] = []
        self._withdraw: Withdraw | None = None
        self._first, self._run_bytes = b"", 0
        self._head: bytes | None = None
        self._arriving: _Arriving | None = None

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is under way, so that what comes next begins a request."""
        is_answered = self.cycle is None or self.cycle.response_complete
        return self.is_between and is_answered and not self.pipeline and self._arriving is None

    def data_received(self, data: bytes) -> None:
        """See uvicorn; a request whose head is known is not parsed, unless more comes than that, or it comes slowly."""
        if self._arriving is not None:
            self._arrive(self._arriving, data)
            return
        if not self.is_at_rest:
            self._run_bytes += len(data)
            super().data_received(data)
            return
        known = self._known(data)
        if known is None:
            self._first, self._run_bytes = data, len(data)
            super().data_received(data)
            return
        self._unset_keepalive_if_required()
        if len(data) == known.head_bytes + known.body_bytes:
            self._answer_known(known, data[known.head_bytes :])
        else:
            self._arriving = _Arriving(known)
            self._arrive(self._arriving, data)

    def _arrive(self, arriving: "_Arriving", data: bytes) -> None:
        missing = arriving.add(data)
        if missing < 0:
            self._parse()
        elif not missing:
            self._arriving = None
            self._answer_known(arriving.known, arriving.body())

    def _answer_known(self, known: KnownHead, body: bytes) -> None:
        self._owed_s = 0.0
        self.cycle = cast(RequestResponseCycle, _Brief(known.scope, self.server_state.default_headers))
        self._answer(self.cycle, known.ask, body, cast(ASGI3Application, self.app), None)

    def _known(self, data: bytes) -> KnownHead | None:
        if self._front is None or self.scheme != "http" or self.flow.write_paused or self.transport.is_closing():
            return None
        return self._front.heads.get(data[: data.find(_HEAD_END, 0, _MOST_HEAD_BYTES) + len(_HEAD_END)])

    def _parse(self) -> None:
        """Give what arrives of a request whose head is known to the parser after all."""
        arriving, self._arriving = self._arriving, None
        if arriving is not None:
            self._first = b""
            super().data_received(b"".join(arriving.pieces))

    def _look(self) -> None:
        """See `PatientConnection`, which has to know of a body that comes slowly."""
        self._parse()
        super()._look()

    def shutdown(self) -> None:
        """See uvicorn; a request that has begun is one that is answered."""
        self._parse()
        super().shutdown()

    def on_message_begin(self) -> None:
        """See uvicorn; what came first begins with the head of the first request that it holds."""
        first, self._first = self._first, b""
        end = first.find(_HEAD_END, 0, _MOST_HEAD_BYTES) + len(_HEAD_END)
        self._head = first[:end] if end >= len(_HEAD_END) else None
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start what answers the request."""
        super().on_headers_complete()
        if self.scheme == "http" and self.scope["method"] != "POST":
            self.scope["extensions"] = {ZERO_COPY: {}}
            self.cycle.send = partial(_send, self, self.cycle, self.cycle.send)  # type: ignore[method-assign]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """See uvicorn; what may be answered straight is held until its body is there, unless that waited in line."""
        ask = self._front.straight(cast(Scope, cycle.scope)) if self._front is not None else None
        has_begun = cycle is not self.cycle or cycle.body or not cycle.more_body
        if ask is None or has_begun or not _is_modest(cycle):
            super()._start_asgi_task(cycle, app)
        else:
            self._held = ask, app

    def on_body(self, body: bytes) -> None:
        """See uvicorn."""
        if self._held is None:
            super().on_body(body)
        else:
            self.came_bytes += len(body)
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """See uvicorn; a body that was held is handed over now."""
        super().on_message_complete()
        if self._held is None:
            return
        (ask, app), self._held = self._held, None
        pieces, self._pieces = self._pieces, []
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self.flow.write_paused:
            self._go_usual_way(self.cycle, body, app)
        else:
            is_alone = self._head is not None and self._run_bytes == len(self._head) + len(body)
            self._answer(self.cycle, ask, body, app, self._head if is_alone else None)

    def _answer(
        self, cycle: RequestResponseCycle, ask: Ask, body: bytes, app: ASGI3Application, head: bytes | None
    ) -> None:
        """Answer straight, or the usual way; remember the head of what was answered straight, where one is given."""

        def tell(told: Reply | Failed | None) -> None:
            self._withdraw = None
            if not isinstance(told, Reply):
                self._go_usual_way(cycle, body, app, told)
                return
            if head is not None and cycle.keep_alive and self._front is not None and self.scheme == "http":
                self._front.remember(head, cast(Scope, cycle.scope), ask, len(body))
            self._reply(cycle, told)

        withdraw = ask(body, tell)
        if withdraw is None:
            self._go_usual_way(cycle, body, app)
        else:
            self._withdraw = withdraw

    def _go_usual_way(
        self, cycle: RequestResponseCycle, body: bytes, app: ASGI3Application, failed: Failed | None = None
    ) -> None:
        if isinstance(cycle, _Brief):
            is_newest = self.cycle is cycle
            own = {"server": self.server, "client": self.client, "state": self.app_state.copy()}
            cycle = RequestResponseCycle(
                scope=cast(HTTPScope, {**cycle.scope, **own}),
                transport=self.transport,
                flow=self.flow,
                logger=self.logger,
                access_logger=self.access_logger,
                access_log=self.access_log,
                default_headers=cycle.default_headers,
                message_event=asyncio.Event(),
                expect_100_continue=False,
                keep_alive=cycle.keep_alive,
                on_response=self.on_response_complete,
            )
            cycle.more_body = False
            cycle.message_event.set()
            self.cycle = cycle if is_newest else self.cycle
        if failed is not None:
            cycle.scope["state"]["failed"] = failed
        cycle.body += body
        super()._start_asgi_task(cycle, app)

    def _reply(self, cycle: RequestResponseCycle, reply: Reply) -> None:
        default = _lines(tuple(cycle.default_headers))
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(b"".join([STATUS_LINE[200], default, reply.headers, end, reply.body]))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """See uvicorn; who left is not computed for."""
        withdraw, self._withdraw = self._withdraw, None
        if withdraw is not None:
            withdraw()
        self._held = self._arriving = None
        super().connection_lost(exc)

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
                self.taken_bytes += moved
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
        self.is_blocked = True
        try:
            await ready
        finally:
            self.is_blocked = False
            self.loop.remove_writer(socket)


class _Arriving:
    """A request whose head is known, which the first piece begins with, and what came of it."""

    __slots__ = ("_missing", "known", "pieces")

    def __init__(self, known: KnownHead) -> None:
        self.known = known
        self.pieces: list[bytes] = []
        self._missing = known.head_bytes + known.body_bytes

    def add(self, data: bytes) -> int:
        """How many bytes are missing still; less than 0 where there are more."""
        self.pieces.append(data)
        self._missing -= len(data)
        return self._missing

    def body(self) -> bytes:
        """All but the head; to be asked once nothing is missing."""
        return b"".join([memoryview(self.pieces[0])[self.known.head_bytes :], *self.pieces[1:]])


class _Brief:
    """What of uvicorn's cycle a request takes that is answered straight, without having been parsed."""

    __slots__ = ("default_headers", "disconnected", "keep_alive", "response_complete", "response_started", "scope")
    message_event = asyncio.Event()  # nobody waits for it

    def __init__(self, scope: Scope, default_headers: list[tuple[bytes, bytes]]) -> None:
        self.scope = scope
        self.default_headers = default_headers
        self.keep_alive = True
        self.disconnected = self.response_started = self.response_complete = False


@functools.lru_cache(4)
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Header lines as they are sent; the same for a second."""
    return b"".join([b"%b: %b\r\n" % line for line in headers])


def _is_modest(cycle: RequestResponseCycle) -> bool:
    """Whether a request says beforehand that its body is small enough to be taken as fast as it comes."""
    if cycle.waiting_for_100_continue:
        return False
    announced = next((value for name, value in cycle.scope["headers"] if name == b"content-length"), b"")
    return announced.isdigit() and len(announced) <= _MODEST_DIGITS and int(announced) <= _MODEST_BYTES


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
