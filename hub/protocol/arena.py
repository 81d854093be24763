"""An arena: memory that one process writes and another reads, where large tensors lie while their request is under way.

A frame says where they are instead of bringing them: they are copied once, into pages that were used before, and not
into the kernel and out of it in pieces. The first byte over a stream brings the arena's file.

Laws: what is lent is nobody else's until it is given back, which is after the whole answer, when nothing computes on it
any more; tensors begin where TensorFlow takes them without another copy; who reads can neither write nor shorten the
memory, and who writes never reads it.

Source: memfd_create(2), fcntl(2) on file seals.
"""

import asyncio
import fcntl
import mmap
import os
import socket
from bisect import insort
from collections.abc import Sequence
from contextlib import suppress

from hub.protocol.frames import Buffer, Tensor

ARENA_BYTES = 32 << 20
_LEAST_BYTES = 32 << 10
_ALIGNED_BYTES = 64  # of TensorFlow's tensors: EIGEN_MAX_ALIGN_BYTES
_FUTURE_WRITE = 0x10  # F_SEAL_FUTURE_WRITE, which Python 3.11 does not name
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | _FUTURE_WRITE | fcntl.F_SEAL_SEAL
_HELLO = b"+"


class Arena:
    """The writer's side. It takes memory as it is used first, and gives it back when it is gone itself."""

    def __init__(self, connected: socket.socket, size: int = ARENA_BYTES) -> None:
        """Have memory, and show it to the other end of a stream that nothing was sent over yet.

        Args:
            connected: This end of the stream.
            size: How many bytes to have.

        Raises:
            OSError: There is no such memory.
        """
        file = os.memfd_create("hub-tensors", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(file, size)
            self._memory = mmap.mmap(file, size)
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
            with suppress(ConnectionError):  # the stream tells of its end
                socket.send_fds(connected, [_HELLO], [file])
        finally:
            os.close(file)
        self._free = [(0, size)]

    def put(self, tensors: Sequence[Tensor]) -> "Lent | None":
        """Copy tensors in; None where they are small, or there is no room."""
        size = sum([_aligned(len(tensor.data)) for tensor in tensors])
        at = self._take(size) if size >= _LEAST_BYTES else None
        if at is None:
            return None
        places, end = [], at
        for tensor in tensors:
            places.append(end)
            self._memory[end : end + len(tensor.data)] = tensor.data
            end += _aligned(len(tensor.data))
        return Lent(at, size, places)

    def give_back(self, lent: "Lent") -> None:
        """Let others have what was lent."""
        begin, end = lent.at, lent.at + lent.size
        insort(self._free, (begin, end))
        at = self._free.index((begin, end))
        if at + 1 < len(self._free) and self._free[at + 1][0] == end:
            self._free[at : at + 2] = [(begin, self._free[at + 1][1])]
        if at and self._free[at - 1][1] == begin:
            self._free[at - 1 : at + 1] = [(self._free[at - 1][0], self._free[at][1])]

    def _take(self, size: int) -> int | None:
        """The first place that is large enough: the lower ones are used again and again, and stay in caches."""
        for position, (begin, end) in enumerate(self._free):
            if end - begin >= size:
                self._free[position : position + 1] = [(begin + size, end)] if end - begin > size else []
                return begin
        return None


class Lent:
    """What a request has of an arena: where it begins, how much it is, and where each tensor begins."""

    __slots__ = ("at", "places", "size")

    def __init__(self, at: int, size: int, places: Sequence[int]) -> None:
        """Note it."""
        self.at = at
        self.size = size
        self.places = places


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


def _aligned(size: int) -> int:
    return -(-size // _ALIGNED_BYTES) * _ALIGNED_BYTES
