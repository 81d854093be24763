"""A link: requests and replies over one stream to a worker, matched by id.

Laws: every ``call`` ends with a reply or an error; when the stream ends every call that waits is ``WorkerLost``; a
caller that gives up has its request cancelled, and one that the worker still computes ``grace_s`` after its deadline
makes the link call ``on_stuck`` once.
"""

import asyncio
import socket
from asyncio import Future, TimerHandle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from hub.domain.errors import HubError, WorkerLost
from hub.protocol.frames import Frame, Tensor, encode_frame
from hub.protocol.problems import from_problem
from hub.protocol.streams import FrameStream

_log = structlog.get_logger()


class Link:
    """The engine's end of a worker's stream; ``loaded`` has the bytes of each version that the worker holds."""

    def __init__(
        self,
        *,
        grace_s: float,
        on_stuck: Callable[[], None],
        on_news: Callable[[Mapping[str, Any]], None] = lambda _news: None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; ``connect`` makes it speak.

        Args:
            grace_s: How long a request may be computed past its deadline.
            on_stuck: Called where one is computed longer.
            on_news: Given what the worker tells without being asked.
            on_end: Called as soon as nothing will come any more.
        """
        self.loaded: dict[str, int] = {}
        self._stream = FrameStream(self._settle, self._end)
        self._grace_s = grace_s
        self._on_stuck = on_stuck
        self._on_news = on_news
        self._on_end = on_end
        self._next_id = 1
        self._waiting: dict[int, Future[Frame]] = {}
        self._overdue: dict[int, TimerHandle] = {}
        self._ended = asyncio.Event()

    async def connect(self, connected: socket.socket) -> None:
        """Speak over a socket."""
        await asyncio.get_running_loop().create_connection(lambda: self._stream, sock=connected)

    @property
    def in_flight(self) -> int:
        """Requests whose reply has not come, given up or not."""
        return len(self._waiting)

    @property
    def is_ended(self) -> bool:
        """Whether nothing will come any more."""
        return self._ended.is_set()

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
            TimeoutError: The deadline passed before the reply.
        """
        if self._ended.is_set():
            raise _lost()
        request_id = self._next_id
        self._next_id += 1
        buffers = encode_frame({**header, "id": request_id}, tensors)
        loop = asyncio.get_running_loop()
        reply: Future[Frame] = loop.create_future()
        self._waiting[request_id] = reply
        deadline = loop.call_at(deadline_at, _expire, reply)
        try:
            self._stream.send(buffers)
            frame = await reply
        except (asyncio.CancelledError, TimeoutError):
            self._give_up(request_id, deadline_at)
            raise
        finally:
            deadline.cancel()
        problem = frame.header.get("problem")
        if problem is not None:
            raise from_problem(problem["status"], problem)
        return frame

    async def drain(self) -> None:
        """Wait until nobody waits for a reply any more; for who sends no more calls."""
        while waiting := [reply for reply in self._waiting.values() if not reply.done()]:
            await asyncio.wait(waiting)

    def close(self) -> None:
        """End the stream and every call."""
        self._stream.close()
        self._end(None)

    def _end(self, trouble: Exception | None) -> None:
        if isinstance(trouble, HubError):
            _log.error("link.broken", detail=str(trouble))
        self._ended.set()
        for timer in self._overdue.values():
            timer.cancel()
        self._overdue.clear()
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(_lost())
        self._waiting.clear()
        self._on_end()

    def _settle(self, frames: list[Frame]) -> None:
        for frame in frames:
            request_id = frame.header.get("id", 0)
            if not request_id:
                self._on_news(frame.header)
                continue
            timer = self._overdue.pop(request_id, None)
            if timer is not None:
                timer.cancel()
            reply = self._waiting.pop(request_id, None)
            if reply is not None and not reply.done():
                reply.set_result(frame)

    def _give_up(self, request_id: int, deadline_at: float) -> None:
        if request_id not in self._waiting:
            return
        loop = asyncio.get_running_loop()
        self._stream.send(encode_frame({"op": "cancel", "id": request_id}))
        due = max(deadline_at, loop.time()) + self._grace_s
        self._overdue[request_id] = loop.call_at(due, self._report_stuck)

    def _report_stuck(self) -> None:
        _log.warning("worker.stuck", grace_s=self._grace_s)
        self._on_stuck()


def _expire(reply: Future[Frame]) -> None:
    if not reply.done():
        reply.set_exception(TimeoutError())


def _lost() -> WorkerLost:
    return WorkerLost("The worker died before it answered.", remedy="Send the request again.")
