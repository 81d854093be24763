"""Requests and replies over one stream, against a worker made of a few lines."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
import uvloop

from hub.domain.errors import InvalidTensor, ModelFailed, WorkerLost
from hub.engine.inquest import Death
from hub.engine.link import Link
from hub.protocol.arena import Arena, shown
from hub.protocol.frames import Frame, decode_frame, encode_frame, from_numpy
from hub.protocol.problems import to_problem
from hub.protocol.streams import FrameStream

Answer = Callable[[Frame], dict | None]


async def nobody_knows() -> Death | None:
    return None


def talk(
    answer: Answer,
    ask: Callable[[Link, list[dict], list[str]], Awaitable[None]],
    inquest: Callable[[], Awaitable[Death | None]] = nobody_knows,
) -> None:
    """Run ``ask`` against a worker that answers each frame with what ``answer`` gives (None: nothing)."""

    async def run() -> None:
        ours, theirs = socket.socketpair()
        worker_reader, worker_writer = await asyncio.open_connection(sock=theirs)
        seen: list[dict] = []
        stuck: list[str] = []
        link = Link(grace_s=0.05, on_stuck=lambda: stuck.append("stuck"), inquest=inquest)
        await link.connect(ours)

        async def work() -> None:
            while True:
                size = int.from_bytes(await worker_reader.readexactly(8), "big")
                frame = decode_frame(await worker_reader.readexactly(size))
                seen.append(frame.header)
                reply = answer(frame)
                if reply == {"end": True}:
                    worker_writer.close()
                    return
                if reply is not None:
                    worker_writer.writelines(encode_frame(reply, number=frame.number))

        working, listening = asyncio.create_task(work()), asyncio.create_task(link.listen())
        await ask(link, seen, stuck)
        link.close()
        await listening
        worker_writer.close()
        await asyncio.gather(working, return_exceptions=True)

    asyncio.run(run())


def soon(seconds: float = 60) -> float:
    return asyncio.get_running_loop().time() + seconds


def test_every_call_gets_the_reply_with_its_id() -> None:
    async def ask(link: Link, _seen: list[dict], _stuck: list[str]) -> None:
        replies = await asyncio.gather(*(link.call({"value": value}, (), soon()) for value in range(5)))
        assert [reply.header["twice"] for reply in replies] == [0, 2, 4, 6, 8]
        assert link.in_flight == 0

    talk(lambda frame: {"twice": frame.header["value"] * 2}, ask)


def test_a_problem_is_raised_as_the_error_it_was() -> None:
    async def ask(link: Link, _seen: list[dict], _stuck: list[str]) -> None:
        with pytest.raises(InvalidTensor, match="too short") as caught:
            await link.call({}, (), soon())
        assert caught.value.remedy == "Send more."

    problem = to_problem(InvalidTensor("It is too short.", remedy="Send more."))
    talk(lambda _: {"problem": problem}, ask)


def test_when_the_stream_ends_every_call_is_lost_and_so_are_later_ones() -> None:
    async def ask(link: Link, _seen: list[dict], _stuck: list[str]) -> None:
        answers = await asyncio.gather(*(link.call({}, (), soon()) for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [WorkerLost] * 3
        with pytest.raises(WorkerLost):
            await link.call({}, (), soon())

    talk(lambda _: {"end": True}, ask)


def test_the_request_that_the_worker_died_of_is_the_models_failure_and_the_others_are_lost() -> None:
    async def know() -> Death:
        return Death(1, "was killed by SIGABRT", request=2)

    async def ask(link: Link, _seen: list[dict], _stuck: list[str]) -> None:
        answers = await asyncio.gather(*(link.call({}, (), soon()) for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [WorkerLost, ModelFailed, WorkerLost]
        assert "SIGABRT" in str(answers[1])

    talk(lambda frame: {"end": True} if frame.number == 3 else None, ask, know)


def test_who_gives_up_while_it_is_found_out_what_a_worker_died_of_is_told_nothing_more() -> None:
    known = asyncio.Event()

    async def know() -> None:
        await known.wait()

    async def ask(link: Link, _seen: list[dict], stuck: list[str]) -> None:
        told: list[object] = []
        withdrawn, late = link.start({}, (), soon(), told.append), asyncio.ensure_future(link.call({}, (), soon(0.1)))
        await link.listen()
        link.withdraw(withdrawn)
        with pytest.raises(TimeoutError):
            await late
        known.set()
        await asyncio.sleep(0.1)
        assert (told, stuck, link.in_flight) == ([], [], 0)

    talk(lambda frame: {"end": True} if frame.number == 2 else None, ask, know)


def test_a_request_given_up_is_cancelled_and_not_stuck_when_the_worker_lets_go() -> None:
    async def ask(link: Link, seen: list[dict], stuck: list[str]) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await link.call({"op": "infer"}, (), soon(0.05))
        await asyncio.sleep(0.3)
        assert [header["op"] for header in seen] == ["infer", "cancel"]
        assert stuck == []
        assert link.in_flight == 0

    talk(lambda frame: {"cancelled": True} if frame.header["op"] == "cancel" else None, ask)


def test_a_worker_that_computes_past_deadline_and_grace_is_stuck() -> None:
    async def ask(link: Link, _seen: list[dict], stuck: list[str]) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await link.call({"op": "infer"}, (), soon(0.05))
        assert stuck == []
        await asyncio.sleep(0.3)
        assert stuck == ["stuck"]

    talk(lambda _: None, ask)


def test_who_gives_up_before_the_deadline_does_not_make_the_worker_stuck() -> None:
    async def ask(link: Link, _seen: list[dict], stuck: list[str]) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await link.call({"op": "infer"}, (), soon(3600))
        await asyncio.sleep(0.3)
        assert stuck == []

    talk(lambda _: None, ask)


def test_large_tensors_lie_in_the_arena_until_the_answer_comes_even_if_nobody_wants_it() -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair()
        arena = Arena(ours, 128 << 10)
        memory = await shown(theirs)
        worker: list[Frame] = []
        stream = FrameStream(worker.extend, lambda _: None, memory=memory)
        await asyncio.get_running_loop().create_connection(lambda: stream, sock=theirs)
        link = Link(grace_s=60, on_stuck=lambda: None)
        await link.connect(ours, arena)
        large = [from_numpy("x", np.arange(100_000, dtype=np.uint8))]

        async def asked(seconds: float) -> bytes:
            reply = await link.call({"op": "infer"}, large, soon(seconds))
            return bytes(reply.tensors[0].data)

        calls = [asyncio.create_task(asked(60)), asyncio.create_task(asked(0.01))]
        await asyncio.wait(calls[1:])
        assert isinstance(calls[1].exception(), TimeoutError)
        first, second, cancel = worker
        assert (cancel.header["op"], cancel.number) == ("cancel", second.number)
        assert [bytes(each.tensors[0].data) for each in (first, second)] == [bytes(large[0].data)] * 2
        assert arena.put(large) is None  # the first lies there; the second found no room and was sent
        stream.send(encode_frame({}, first.tensors, number=first.number))
        assert await calls[0] == bytes(large[0].data)
        given_up = asyncio.create_task(asked(0.01))
        await asyncio.wait([given_up])
        assert arena.put(large) is None
        stream.send(encode_frame({"cancelled": True}, number=worker[3].number))
        last = asyncio.create_task(link.call({}, (), soon()))
        await asyncio.sleep(0)
        stream.send(encode_frame({}, number=worker[3].number + 1))
        await last
        assert arena.put(large) is not None
        link.close()
        stream.close()

    asyncio.run(run())


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.0001])
def test_a_deadline_that_is_as_good_as_over_is_told_in_the_loop_of_a_hub(seconds: float) -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair()
        link = Link(grace_s=60, on_stuck=lambda: None)
        await link.connect(ours)
        call = asyncio.create_task(link.call({}, (), soon(seconds)))
        await asyncio.wait([call], timeout=10)
        assert call.done()
        assert isinstance(call.exception(), TimeoutError)
        link.close()
        theirs.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def test_what_cannot_be_sent_leaves_nothing_in_the_arena_and_an_ended_link_has_none() -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair()
        arena = Arena(ours, 128 << 10)
        link = Link(grace_s=60, on_stuck=lambda: None)
        await link.connect(ours, arena)
        large = [from_numpy("x", np.arange(100_000, dtype=np.uint8))]
        for _ in range(3):
            with pytest.raises(TypeError):
                link.start({"op": object()}, large, soon(), lambda _: None)
        assert arena.put(large) is not None
        link.close()
        assert arena.put(large) is None
        theirs.close()

    asyncio.run(run())
