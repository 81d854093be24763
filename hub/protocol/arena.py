"""An arena: memory that one process writes and another reads, where large tensors lie while their request is under way.

A frame says where they are instead of bringing them: they are copied once, into pages that were used before, and not
into the kernel and out of it in pieces. The first byte over a stream brings the arena's file.

Laws: what is lent is nobody else's until it is given back, which is after the whole answer, when nothing computes on it
any more; tensors begin where TensorFlow does not take them as they are but copies them, because some operations write
into what they are given (``InplaceAdd``); who reads can neither write nor shorten the memory, and who writes never
reads it. Where there is no such memory, all is sent.

Source: memfd_create(2), fcntl(2) on file seals.
"""

import asyncio
import fcntl
import mmap
import os
import socket
from bisect import bisect
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from hub.protocol.frames import Buffer, Tensor

ARENA_BYTES = 32 << 20
_LEAST_BYTES = 32 << 10
_ALIGNED_BYTES = 64  # of TensorFlow's tensors: EIGEN_MAX_ALIGN_BYTES
_BESIDE_BYTES = 8  # aligned for every element, but for no tensor, not even where they take 16
_FUTURE_WRITE = 0x10  # F_SEAL_FUTURE_WRITE, which Python 3.11 does not name
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | _FUTURE_WRITE | fcntl.F_SEAL_SEAL
_HELLO = b"+"
_log = structlog.get_logger()


@dataclass(slots=True)
class Lent:
    """What a request has of an arena: where it begins, how much it is, and where each tensor begins."""

    at: int
    size: int
    places: list[int]


class Arena:
    """The writer's side. It takes memory as it is used first, and gives it back when it is gone itself."""

    def __init__(self, connected: socket.socket, size: int = ARENA_BYTES) -> None:
        """Have memory, and show it to the other end of a stream that nothing was sent over yet.

        Args:
            connected: This end of the stream.
            size: How many bytes to have.
        """
        self._free: list[tuple[int, int]] = []
        self._memory: mmap.mmap | None = None
        try:
            file = os.memfd_create("hub-tensors", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError as error:
            self._show(connected, [], error)
            return
        try:
            os.ftruncate(file, size)
            memory = mmap.mmap(file, size)
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
        except OSError as error:
            self._show(connected, [], error)
        else:
            self._memory, self._free = memory, [(0, size)]
            self._show(connected, [file])
        finally:
            os.close(file)

    def _show(self, connected: socket.socket, files: list[int], trouble: OSError | None = None) -> None:
        if trouble is not None:
            _log.warning("arena.missing", trouble=str(trouble), consequence="Large tensors are sent, which is slower.")
        with suppress(ConnectionError):  # the stream tells of its end
            socket.send_fds(connected, [_HELLO], files)

    def close(self) -> None:
        """Let the memory go; nothing is put in any more."""
        self._free = []
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def put(self, tensors: Sequence[Tensor]) -> Lent | None:
        """Copy tensors in; None where they are small, or there is no room."""
        sizes = [len(tensor.data) for tensor in tensors]
        size = sum([_room(each) for each in sizes])
        at = self._take(size) if sum(sizes) >= _LEAST_BYTES else None
        if at is None or self._memory is None:
            return None
        places, end = [], at + _BESIDE_BYTES
        for tensor, each in zip(tensors, sizes, strict=True):
            places.append(end)
            self._memory[end : end + each] = tensor.data
            end += _room(each)
        return Lent(at, size, places)

    def give_back(self, lent: Lent) -> None:
        """Let others have what was lent."""
        begin, end = lent.at, lent.at + lent.size
        at = bisect(self._free, (begin, end))
        if at < len(self._free) and self._free[at][0] == end:
            end = self._free.pop(at)[1]
        if at and self._free[at - 1][1] == begin:
            at -= 1
            begin = self._free.pop(at)[0]
        self._free.insert(at, (begin, end))

    def _take(self, size: int) -> int | None:
        """The first place that is large enough: the lower ones are used again and again, and stay in caches."""
        for position, (begin, end) in enumerate(self._free):
            if end - begin >= size:
                self._free[position : position + 1] = [(begin + size, end)] if end - begin > size else []
                return begin
        return None


async def shown(connected: socket.socket) -> Buffer:
    """The memory that the other end of a stream shows first, to be read; nothing where that end has gone."""
    connected.setblocking(False)
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(connected, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(connected)
    try:
        _, files, _, _ = socket.recv_fds(connected, len(_HELLO), 1)
    except OSError:
        return b""
    for file in files:
        try:
            return memoryview(mmap.mmap(file, 0, prot=mmap.PROT_READ))
        finally:
            os.close(file)
    return b""


def _room(size: int) -> int:
    """What a tensor takes with what is left free before it."""
    return -(-(size + _BESIDE_BYTES) // _ALIGNED_BYTES) * _ALIGNED_BYTES
