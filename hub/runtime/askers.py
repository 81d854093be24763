"""Askers: the processes that ask a worker, each over a stream of its own. The engine that started it is the first.

A request is known in the worker by one number, of the stream and of the request on it. Laws: what one asks, and what it
is answered, is nobody else's; an answer for who has gone is dropped; only the engine passes streams in.
"""

import asyncio
import select
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from hub.protocol.arena import shown
from hub.protocol.frames import Buffer, Frame, encode_frame
from hub.protocol.streams import FrameStream

ENGINE = 0
"""The number of the engine's stream."""
_ID_BITS = 48
_AT_ONCE = 16
_log = structlog.get_logger()
Hello = Callable[[], dict[str, Any]]


def number_of(stream: int, frame: Frame) -> int:
    """What a request on a stream is known by."""
    return stream << _ID_BITS | frame.number


def stream_of(number: int) -> int:
    """The stream that a request came over."""
    return number >> _ID_BITS


def id_of(number: int) -> int:
    """What a request is called on its own stream."""
    return number & ((1 << _ID_BITS) - 1)


class Askers:
    """Every stream by its number."""

    def __init__(self, on_frames: Callable[[int, list[Frame]], None], on_end: Callable[[int], None]) -> None:
        """Tell of what arrives, and of streams that have ended, with their numbers."""
        self._on_frames = on_frames
        self._on_end = on_end
        self._streams: dict[int, FrameStream] = {}
        self._so_far = 0
        self._settling: list[int] = []
        self._admitting: set[asyncio.Task[None]] = set()
        self._look_at_door: Callable[[], bool] = lambda: False

    async def admit(self, connected: socket.socket, hello: Hello) -> None:
        """Listen to one more, whose first frame is what ``hello`` says, and its number."""
        number = self._so_far
        self._so_far += 1
        try:
            memory = await shown(connected)
            stream = FrameStream(partial(self._on_frames, number), partial(self._end, number), memory=memory)
            self._streams[number] = stream
            # Before any news, which may come while it connects.
            self.tell(number << _ID_BITS, {**hello(), "stream": number})
            await asyncio.get_running_loop().create_connection(lambda: stream, sock=connected)
        except BaseException:
            self._streams.pop(number, None)
            connected.close()
            raise

    def open(self, door: socket.socket, hello: Hello) -> None:
        """Admit who is passed in through a socket from now on."""
        door.setblocking(False)
        self._look_at_door = partial(self._enter, door, hello)
        asyncio.get_running_loop().add_reader(door, self._look_at_door)

    def settle(self, number: int) -> None:
        """Answer a request once nobody but the engine is connected, nor on the way in."""
        while self._look_at_door():
            pass
        self._settling.append(number)
        self._look_settled()

    def send(self, stream: int, buffers: Sequence[Buffer]) -> None:
        """Send frames over a stream that may have ended."""
        if stream in self._streams:
            self._streams[stream].send(buffers)

    def tell(self, number: int, facts: Mapping[str, Any]) -> None:
        """Answer a request with facts."""
        self.send(stream_of(number), encode_frame(facts, number=id_of(number)))

    def tell_all(self, news: Mapping[str, Any]) -> None:
        """Tell everybody something that nobody asked."""
        for stream in self._streams:
            self.tell(stream << _ID_BITS, news)

    def are_waiting(self) -> bool:
        """Whether somebody has sent what was not taken yet."""
        poll = select.poll()
        for stream in self._streams.values():
            if (file := stream.fileno()) >= 0:
                poll.register(file, select.POLLIN)
        return bool(poll.poll(0))

    def _enter(self, door: socket.socket, hello: Hello) -> bool:
        """Admit who was passed in; whether somebody was."""
        try:
            _, passed, _, _ = socket.recv_fds(door, 1, _AT_ONCE)
        except BlockingIOError:
            return False
        except OSError:
            passed = []
        if not passed:
            asyncio.get_running_loop().remove_reader(door)  # the engine has gone, and its stream with it
        for file in passed:
            task = asyncio.create_task(self.admit(socket.socket(fileno=file), hello))
            self._admitting.add(task)
            task.add_done_callback(self._admitted)
        return bool(passed)

    def _admitted(self, task: asyncio.Task[None]) -> None:
        self._admitting.discard(task)
        if not task.cancelled() and (trouble := task.exception()) is not None:
            _log.warning("stream.not_admitted", trouble=repr(trouble))
        self._look_settled()

    def _end(self, stream: int, trouble: Exception | None) -> None:
        _log.info("stream.ended", number=stream, trouble=repr(trouble) if trouble else None)
        del self._streams[stream]
        self._on_end(stream)
        self._look_settled()

    def _look_settled(self) -> None:
        if len(self._streams) == 1 and not self._admitting:
            while self._settling:
                self.tell(self._settling.pop(), {"settled": True})
