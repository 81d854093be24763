"""Frames over real sockets."""

import asyncio
import socket

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.domain.errors import InvalidTensor, TooLarge
from hub.protocol.frames import Frame, encode_frame, from_numpy
from hub.protocol.streams import FrameStream

MIB = 1 << 20


def receive(pieces: list[bytes], limit: int = 64 * MIB) -> tuple[list[Frame], Exception | None]:
    """What a stream hands over of bytes that arrive in these pieces."""

    async def run() -> tuple[list[Frame], Exception | None]:
        ours, theirs = socket.socketpair()
        frames: list[Frame] = []
        ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        await asyncio.get_running_loop().create_connection(
            lambda: FrameStream(frames.extend, ended.set_result, limit=limit), sock=theirs
        )
        ours.setblocking(False)
        for piece in pieces:
            try:
                await asyncio.get_running_loop().sock_sendall(ours, piece)
            except ConnectionError:
                break
            await asyncio.sleep(0)
        ours.close()
        return frames, await ended

    return asyncio.run(run())


def frame(number: int, size: int) -> bytes:
    return b"".join(encode_frame({}, [from_numpy("x", np.arange(size, dtype=np.uint8))], number=number))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 1_000, 100_000, 131_000, 262_000, 700_000]), max_size=6), st.data())
def test_frames_arrive_whole_and_in_order_however_they_are_cut(sizes: list[int], data: st.DataObject) -> None:
    sent = b"".join(frame(number, size) for number, size in enumerate(sizes))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    pieces = [sent[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    frames, trouble = receive([piece for piece in pieces if piece])
    assert trouble is None
    assert [found.number for found in frames] == list(range(len(sizes)))
    for found, size in zip(frames, sizes, strict=True):
        assert bytes(found.tensors[0].data) == np.arange(size, dtype=np.uint8).tobytes()


def test_frames_that_come_together_are_handed_over_together() -> None:
    handed: list[int] = []

    async def run() -> None:
        ours, theirs = socket.socketpair()
        done = asyncio.Event()
        await asyncio.get_running_loop().create_connection(
            lambda: FrameStream(lambda frames: handed.append(len(frames)), lambda _: done.set()), sock=theirs
        )
        ours.sendall(b"".join(frame(number, 10) for number in range(50)))
        ours.close()
        await done.wait()

    asyncio.run(run())
    assert handed == [50]


def test_a_frame_beyond_the_limit_ends_the_stream() -> None:
    frames, trouble = receive([frame(1, 10), frame(2, 2_000)], limit=1_000)
    assert [found.number for found in frames] == []  # it came with the one that ends the stream
    assert isinstance(trouble, TooLarge)


@pytest.mark.parametrize("nonsense", [bytes(8), b"\0\0\0\0\0\0\0\4\xff\xff\xff\xff"])
def test_what_is_no_frame_ends_the_stream(nonsense: bytes) -> None:
    frames, trouble = receive([nonsense])
    assert frames == []
    assert isinstance(trouble, InvalidTensor)
