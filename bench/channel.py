"""Measures the way of a tensor to a worker: ``python -m bench.channel``.

A request's tensor goes to another process, which looks at every byte and says so: in a frame over a Unix socket, and
through the memory that a hub shares with its workers. What is measured is the median time from the bytes of a request's
body to the answer, in turns.
"""

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import time

import numpy as np
import uvloop

from hub.protocol.arena import Arena, shown
from hub.protocol.frames import Buffer, Frame, Tensor, encode_frame, to_numpy
from hub.protocol.streams import FrameStream

_SIZES = (32 << 10, 110 << 10, 602 << 10, 4_800 << 10)
_ROUNDS = 5


class _End:
    """One end: what arrives is given to whoever waits for it."""

    def __init__(self, memory: Buffer = b"") -> None:
        self.stream = FrameStream(self._take, lambda _trouble: None, memory=memory)
        self._arrived: asyncio.Queue[Frame] = asyncio.Queue()

    async def connect(self, connected: socket.socket) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self.stream, sock=connected)

    async def next(self) -> Frame:
        return await self._arrived.get()

    def _take(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._arrived.put_nowait(frame)


async def _look(connected: socket.socket) -> None:
    """The worker's end."""
    end = _End(await shown(connected))
    await end.connect(connected)
    while (frame := await end.next()).tensors:
        end.stream.send(encode_frame({"sum": float(to_numpy(frame.tensors[0]).sum())}))


def _worker(connected: socket.socket) -> None:
    uvloop.run(_look(connected))


async def _measure(connected: socket.socket, calls: int) -> None:
    end, arena = _End(), Arena(connected)
    await end.connect(connected)

    async def over_socket(tensors: list[Tensor]) -> None:
        end.stream.send(encode_frame({}, tensors))
        await end.next()

    async def through_memory(tensors: list[Tensor]) -> None:
        lent = arena.put(tensors)
        end.stream.send(encode_frame({}, tensors, places=None if lent is None else lent.places))
        await end.next()
        if lent is not None:
            arena.give_back(lent)

    print(f"{'bytes':>10} {'socket ms':>10} {'shared ms':>10} {'shared ÷ socket':>16}")
    for size in _SIZES:
        tensors = [Tensor("x", "float32", (size // 4,), np.ones(size // 4, np.float32).tobytes())]
        times: dict[str, list[float]] = {"socket": [], "shared": []}
        for _ in range(_ROUNDS):
            for name, way in (("socket", over_socket), ("shared", through_memory)):
                taken = []
                for _ in range(calls):
                    began = time.perf_counter()
                    await way(tensors)
                    taken.append(time.perf_counter() - began)
                times[name].append(statistics.median(taken) * 1e3)
        ratio = statistics.median(b / a for a, b in zip(times["socket"], times["shared"], strict=True))
        middle = {name: statistics.median(each) for name, each in times.items()}
        print(f"{size:>10,} {middle['socket']:>10.3f} {middle['shared']:>10.3f} {ratio:>16.2f}", flush=True)
    end.stream.send(encode_frame({}))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="bench.channel", description=__doc__)
    parser.add_argument("--calls", type=int, default=200, help="in each turn")
    given = parser.parse_args()
    ours, theirs = socket.socketpair()
    started = multiprocessing.get_context("fork").Process(target=_worker, args=(theirs,))
    started.start()
    theirs.close()
    uvloop.run(_measure(ours, given.calls))
    started.join()


if __name__ == "__main__":
    main()
