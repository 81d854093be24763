"""A link: requests and replies over one stream to a worker, matched by id.

Laws: every ``call`` ends with a reply or an error; when the stream ends every call that waits is ``WorkerLost``, except
what the worker died of, where that is known: it is ``ModelFailed``; a caller that gives up has its request
cancelled, and one that the worker still computes ``grace_s`` after its deadline makes the link call ``on_stuck`` once.
"""

import asyncio
import socket
from asyncio import Future, Handle
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from hub.domain.errors import HubError
from hub.engine.inquest import Death, verdict
from hub.protocol.arena import Arena, Lent
from hub.protocol.frames import Frame, Tensor, encode_frame
from hub.protocol.problems import from_problem
from hub.protocol.streams import FrameStream

Told = Frame | HubError | TimeoutError
_log = structlog.get_logger()


@dataclass(slots=True)
class _Waiting:
    """Who waits for a reply: nobody any more where ``tell`` is None."""

    tell: Callable[[Told], None] | None
    deadline: Handle
    deadline_at: float
    header: Mapping[str, Any]
    lent: Lent | None


async def _unknown() -> Death | None:
    return None


class Link:
    """The engine's end of a worker's stream; ``loaded`` has the bytes of each version that the worker holds."""

    def __init__(
        self,
        *,
        grace_s: float,
        on_stuck: Callable[[], None],
        on_news: Callable[[Mapping[str, Any]], None] = lambda _news: None,
        on_end: Callable[[], None] = lambda: None,
        inquest: Callable[[], Awaitable[Death | None]] = _unknown,
        device: str = "",
    ) -> None:
        """Prepare; ``connect`` makes it speak.

        Args:
            grace_s: How long a request may be computed past its deadline.
            on_stuck: Called where one is computed longer.
            on_news: Given what the worker tells without being asked.
            on_end: Called as soon as nothing will come any more.
            inquest: Tells then, soon, what the worker died of, where the stream was not closed here.
            device: What the worker computes on.
        """
        self.device = device
        self.loaded: dict[str, int] = {}
        self._stream = FrameStream(self._take, self._end)
        self._arena: Arena | None = None
        self._grace_s = grace_s
        self._on_stuck = on_stuck
        self._on_news = on_news
        self._on_end = on_end
        self._inquest = inquest
        self._telling: asyncio.Task[None] | None = None
        self._number = 0
        self._next_id = 1
        self._waiting: dict[int, _Waiting] = {}
        self._told: list[Future[None]] = []
        self._overdue: dict[int, Handle] = {}
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def connect(self, connected: socket.socket, arena: Arena | None = None) -> None:
        """Speak over a socket; large tensors lie in the arena that was shown over it, if one was."""
        self._arena = arena
        await asyncio.get_running_loop().create_connection(lambda: self._stream, sock=connected)

    @property
    def in_flight(self) -> int:
        """Requests whose reply has not come, given up or not."""
        return len(self._waiting)

    @property
    def is_ended(self) -> bool:
        """Whether nothing will come any more."""
        return self._ended.is_set()

    @property
    def now(self) -> float:
        """The loop's time; asking for the running loop instead would ask the system for the process as well."""
        return self._loop.time()

    async def listen(self) -> None:
        """Wait until the stream ends; then every call that waits is lost."""
        await self._ended.wait()

    async def call(self, header: Mapping[str, Any], tensors: Sequence[Tensor], deadline_at: float) -> Frame:
        """Send a request and wait for its reply.

        Args:
            header: What to do.
            tensors: Sent as they are.
            deadline_at: The loop's time after which the caller no longer wants the reply.

        Raises:
            HubError: The problem that the worker answered with.
            WorkerLost: The stream ended before the reply.
            ModelFailed: It ended because of this request.
            TimeoutError: The deadline passed before the reply.
        """
        reply: Future[Frame] = asyncio.get_running_loop().create_future()
        request_id = self.start(header, tensors, deadline_at, partial(_settle, reply))
        try:
            return await reply
        except asyncio.CancelledError:
            self.withdraw(request_id)
            raise

    def start(
        self, header: Mapping[str, Any], tensors: Sequence[Tensor], deadline_at: float, tell: Callable[[Told], None]
    ) -> int:
        """Send a request; ``tell`` is given its reply, or what ``call`` would raise, once.

        Returns:
            The number to withdraw it by.

        Raises:
            WorkerLost: The stream has ended.
        """
        if self._ended.is_set():
            raise verdict(None, self._number, 0, header)
        request_id = self._next_id
        lent = self._arena.put(tensors) if self._arena else None
        try:
            buffers = encode_frame(header, tensors, number=request_id, places=None if lent is None else lent.places)
        except BaseException:
            self._give_back(lent)
            raise
        self._next_id += 1
        deadline = self._loop.call_at(deadline_at, self._expire, request_id)
        self._waiting[request_id] = _Waiting(tell, deadline, deadline_at, header, lent)
        self._stream.send(buffers)
        return request_id

    def withdraw(self, request_id: int) -> None:
        """Want a reply no more: nobody is told."""
        waiting = self._waiting.get(request_id)
        if waiting is not None and waiting.tell is not None:
            self._give_up(request_id, waiting)

    async def drain(self) -> None:
        """Wait until nobody waits for a reply any more; for who sends no more calls."""
        while any(waiting.tell is not None for waiting in self._waiting.values()):
            told = self._loop.create_future()
            self._told.append(told)
            await told

    def close(self) -> None:
        """End the stream and every call."""
        self._stream.close()
        if not self.is_ended:
            self._finish()
            self._tell_lost(None)

    def _end(self, trouble: Exception | None) -> None:
        if isinstance(trouble, HubError):
            _log.error("link.broken", detail=str(trouble))
        if not self.is_ended:
            self._finish()
            self._telling = self._loop.create_task(self._tell_why())

    def _finish(self) -> None:
        self._ended.set()
        for timer in self._overdue.values():
            timer.cancel()
        self._overdue.clear()
        if self._arena is not None:
            self._arena.close()
        self._on_end()

    async def _tell_why(self) -> None:
        if self._waiting:
            self._tell_lost(await self._inquest())

    def _tell_lost(self, death: Death | None) -> None:
        waiting, self._waiting = self._waiting, {}
        for request_id, one in waiting.items():
            one.deadline.cancel()
            if one.tell is not None:
                one.tell(verdict(death, self._number, request_id, one.header))
        self._wake()

    def _take(self, frames: list[Frame]) -> None:
        for frame in frames:
            request_id = frame.number
            if not request_id:
                self.loaded = frame.header.get("resident", self.loaded)
                self._number = frame.header.get("stream", self._number)
                self._on_news(frame.header)
                continue
            timer = self._overdue.pop(request_id, None)
            if timer is not None:
                timer.cancel()
            waiting = self._waiting.pop(request_id, None)
            if waiting is not None:
                self._give_back(waiting.lent)
            if waiting is not None and waiting.tell is not None:
                waiting.deadline.cancel()
                problem = frame.header.get("problem")
                waiting.tell(frame if problem is None else from_problem(problem["status"], problem))
        self._wake()

    def _give_back(self, lent: Lent | None) -> None:
        if lent is not None and self._arena is not None:
            self._arena.give_back(lent)

    def _wake(self) -> None:
        """Let who drains look again."""
        told, self._told = self._told, []
        for future in told:
            if not future.done():
                future.set_result(None)

    def _expire(self, request_id: int) -> None:
        waiting = self._waiting[request_id]
        tell = waiting.tell
        self._give_up(request_id, waiting)
        if tell is not None:
            tell(TimeoutError())

    def _give_up(self, request_id: int, waiting: _Waiting) -> None:
        waiting.tell = None
        waiting.deadline.cancel()
        if not self.is_ended:
            self._stream.send(encode_frame({"op": "cancel"}, number=request_id))
            due = max(waiting.deadline_at, self._loop.time()) + self._grace_s
            self._overdue[request_id] = self._loop.call_at(due, self._report_stuck)
        self._wake()

    def _report_stuck(self) -> None:
        _log.warning("worker.stuck", grace_s=self._grace_s)
        self._on_stuck()


def _settle(reply: Future[Frame], told: Told) -> None:
    if reply.done():
        return
    if isinstance(told, Exception):
        reply.set_exception(told)
    else:
        reply.set_result(told)
