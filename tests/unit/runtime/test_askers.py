"""Who asks a worker: streams that come in through a door, one after another, and some that never quite do."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import uvloop

from hub.protocol.arena import Arena
from hub.protocol.frames import Frame
from hub.protocol.streams import FrameStream
from hub.runtime.askers import ENGINE, Askers


class Worker:
    """Askers with an engine's stream, and a door."""

    def __init__(self) -> None:
        self.askers = Askers(lambda _stream, _frames: None, lambda _stream: None)
        self.told: list[Frame] = []
        self.door, self.inside = socket.socketpair()
        self.askers.open(self.inside, dict)

    async def begin(self) -> FrameStream:
        """Connect the engine; gives its end."""
        ours, theirs = socket.socketpair()
        stream = FrameStream(self.told.extend, lambda _trouble: None)
        Arena(ours, 64 << 10)
        await asyncio.get_running_loop().create_connection(lambda: stream, sock=ours)
        await self.askers.admit(theirs, dict)
        return stream

    def pass_in(self) -> socket.socket:
        """Somebody's end of a stream that is passed in."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self.door, [b"+"], [theirs.fileno()])
        return ours

    @property
    def is_settled(self) -> bool:
        return any("settled" in frame.header for frame in self.told)


def in_both_loops(work: Callable[[Worker], Awaitable[None]]) -> None:
    async def run() -> None:
        worker = Worker()
        stream = await worker.begin()
        try:
            await asyncio.wait_for(work(worker), 10)
        finally:
            stream.close()
            worker.door.close()
            await turns()
            worker.inside.close()

    for factory in (asyncio.new_event_loop, uvloop.new_event_loop):
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(run())


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0.001)


def test_who_waits_is_seen_and_who_is_still_connecting_is_no_trouble() -> None:
    async def work(worker: Worker) -> None:
        others = []
        for _ in range(10):
            other = worker.pass_in()
            others.append(other)
            Arena(other, 64 << 10)
            for _ in range(5):
                assert not worker.askers.are_waiting()
                await asyncio.sleep(0)
        await turns()
        others[3].send(b"x")
        assert worker.askers.are_waiting()
        for other in others:
            other.close()

    in_both_loops(work)


def test_who_is_told_something_while_connecting_hears_the_greeting_first_and_all_that_follows() -> None:
    async def work(worker: Worker) -> None:
        others = []
        for _ in range(10):
            other = worker.pass_in()
            told: list[Frame] = []
            stream = FrameStream(told.extend, lambda _trouble: None)
            others.append((stream, told))
            Arena(other, 64 << 10)
            await asyncio.get_running_loop().create_connection(lambda stream=stream: stream, sock=other)
            for _ in range(5):
                worker.askers.tell_all({"news": 1})
                await asyncio.sleep(0)
        await turns()
        worker.askers.tell_all({"news": 2})
        await turns()
        for stream, told in others:
            assert "stream" in told[0].header
            assert told[-1].header == {"news": 2}
            stream.close()

    in_both_loops(work)


def test_who_goes_at_any_time_is_forgotten() -> None:
    async def work(worker: Worker) -> None:
        for pause in range(12):
            other = worker.pass_in()
            Arena(other, 64 << 10)
            for _ in range(pause):
                await asyncio.sleep(0)
            other.close()
        await turns()
        worker.askers.settle(ENGINE << 48 | 7)
        await turns()
        assert worker.is_settled

    in_both_loops(work)


def test_it_is_settled_once_all_have_ended_those_on_the_way_in_as_well() -> None:
    async def work(worker: Worker) -> None:
        silent, other = worker.pass_in(), worker.pass_in()
        worker.askers.settle(ENGINE << 48 | 7)
        await turns()
        assert not worker.is_settled
        silent.close()
        await turns()
        assert not worker.is_settled
        Arena(other, 64 << 10)
        await turns()
        assert not worker.is_settled
        other.close()
        await turns()
        assert worker.is_settled

    in_both_loops(work)


def test_with_nobody_else_it_is_settled_at_once() -> None:
    async def work(worker: Worker) -> None:
        worker.askers.settle(ENGINE << 48 | 7)
        await turns()
        assert worker.is_settled

    in_both_loops(work)
