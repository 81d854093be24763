"""Measures the way of a tensor to a worker: ``python -m bench.channel``.

A request's tensor goes to another process, which looks at every byte and says so: over the Unix socket and in the
frames that a hub uses, and through shared memory whose place a frame tells. What is measured is the median time from
the bytes of a request's body to the answer, in turns.
"""

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import time
from multiprocessing.shared_memory import SharedMemory

import numpy as np
import uvloop

from hub.protocol.frames import Frame, Tensor, encode_frame, to_numpy
from hub.protocol.streams import FrameStream

_SIZES = (4 << 10, 110 << 10, 602 << 10, 4_800 << 10)
_ROUNDS = 5


class _End:
    """One end: what arrives is given to whoever waits for it."""

    def __init__(self) -> None:
        self.stream = FrameStream(self._take, lambda _trouble: None)
        self._arrived: asyncio.Queue[Frame] = asyncio.Queue()

    async def connect(self, connected: socket.socket) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self.stream, sock=connected)

    async def next(self) -> Frame:
        return await self._arrived.get()

    def _take(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._arrived.put_nowait(frame)


async def _look(connected: socket.socket, memory: SharedMemory) -> None:
    """The worker's end."""
    end = _End()
    await end.connect(connected)
    while True:
        frame = await end.next()
        size = frame.header.get("shared")
        if size == 0:
            return
        seen = to_numpy(frame.tensors[0]) if size is None else np.frombuffer(memory.buf[:size], np.float32)
        end.stream.send(encode_frame({"sum": float(seen.sum())}))


def _worker(connected: socket.socket, name: str) -> None:
    memory = SharedMemory(name)
    uvloop.run(_look(connected, memory))


async def _measure(connected: socket.socket, memory: SharedMemory, calls: int) -> None:
    end = _End()
    await end.connect(connected)

    async def over_socket(body: bytes) -> None:
        end.stream.send(encode_frame({}, [Tensor("x", "float32", (len(body) // 4,), body)]))
        await end.next()

    async def through_memory(body: bytes) -> None:
        memory.buf[: len(body)] = body
        end.stream.send(encode_frame({"shared": len(body)}))
        await end.next()

    print(f"{'bytes':>10} {'socket ms':>10} {'shared ms':>10} {'shared ÷ socket':>16}")
    for size in _SIZES:
        body = np.ones(size // 4, np.float32).tobytes()
        times: dict[str, list[float]] = {"socket": [], "shared": []}
        for _ in range(_ROUNDS):
            for name, way in (("socket", over_socket), ("shared", through_memory)):
                taken = []
                for _ in range(calls):
                    began = time.perf_counter()
                    await way(body)
                    taken.append(time.perf_counter() - began)
                times[name].append(statistics.median(taken) * 1e3)
        ratio = statistics.median(b / a for a, b in zip(times["socket"], times["shared"], strict=True))
        middle = {name: statistics.median(each) for name, each in times.items()}
        print(f"{size:>10,} {middle['socket']:>10.3f} {middle['shared']:>10.3f} {ratio:>16.2f}", flush=True)
    end.stream.send(encode_frame({"shared": 0}))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="bench.channel", description=__doc__)
    parser.add_argument("--calls", type=int, default=200, help="in each turn")
    given = parser.parse_args()
    ours, theirs = socket.socketpair()
    memory = SharedMemory(create=True, size=max(_SIZES))
    started = multiprocessing.get_context("fork").Process(target=_worker, args=(theirs, memory.name))
    started.start()
    theirs.close()
    try:
        uvloop.run(_measure(ours, memory, given.calls))
        started.join()
    finally:
        memory.close()
        memory.unlink()


if __name__ == "__main__":
    main()
