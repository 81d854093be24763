"""Streams: frames over a socket, many at a time.

What arrives in one piece is handed over in one piece, so that requests that came together can be computed together.
Laws: small frames are copied out of one buffer that is used again, a large one is received straight into its own bytes;
a frame beyond the limit, or bytes that are no frame, end the stream; its end is told once.
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import cast

from hub.domain.errors import HubError, InvalidTensor, TooLarge
from hub.protocol.frames import MAX_FRAME_BYTES, Buffer, Frame, decode_frame

_LENGTH = struct.Struct(">Q")
_SHARED_BYTES = 256 << 10
_MOST_SHARED = (_SHARED_BYTES >> 1) - _LENGTH.size  # what fits wherever it begins in the first half
OnFrames = Callable[[list[Frame]], None]
OnEnd = Callable[[Exception | None], None]


class FrameStream(asyncio.BufferedProtocol):
    """One end of a stream of frames."""

    def __init__(
        self, on_frames: OnFrames, on_end: OnEnd, *, memory: Buffer = b"", limit: int = MAX_FRAME_BYTES
    ) -> None:
        """Speak once connected.

        Args:
            on_frames: Given what arrived, from the event loop.
            on_end: Told when nothing more will: None, or what was wrong.
            memory: Where tensors are that do not come with their frames.
            limit: Bytes of the largest frame that is taken.
        """
        self._on_frames = on_frames
        self._on_end = on_end
        self._memory = memory
        self._limit = limit
        self._shared = memoryview(bytearray(_SHARED_BYTES))
        self._begin = self._end = 0
        self._large: memoryview | None = None
        self._filled = 0
        self._transport: asyncio.Transport | None = None
        self._trouble: Exception | None = None
        self._waiting: list[Buffer] = []
        self._loop = asyncio.get_running_loop()

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Send frames, together with what else is sent in this turn of the event loop, or before it is connected.

        What the socket does not take yet waits in memory. Nothing is sent once the stream has ended.
        """
        if not self._waiting and self._transport is not None:
            self._loop.call_soon(self._flush)
        self._waiting += buffers

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(waiting)

    def close(self) -> None:
        """End the stream."""
        if self._transport is not None:
            self._transport.abort()

    def fileno(self) -> int:
        """The socket's number; -1 where there is none."""
        return -1 if self._transport is None else self._transport.get_extra_info("socket").fileno()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self._transport = cast(asyncio.Transport, transport)
        if self._waiting:
            self._loop.call_soon(self._flush)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._transport = None
        self._on_end(self._trouble or exc)

    def get_buffer(self, sizehint: int) -> memoryview:
        """See `asyncio.BufferedProtocol`."""
        del sizehint
        return self._large[self._filled :] if self._large is not None else self._shared[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol`."""
        try:
            frames = self._arrived(nbytes)
        except HubError as error:
            self._trouble = error
            self.close()
            return
        if frames:
            self._on_frames(frames)

    def _arrived(self, count: int) -> list[Frame]:
        if self._large is None:
            self._end += count
            return self._cut()
        self._filled += count
        if self._filled < len(self._large):
            return []
        whole, self._large = self._large, None
        return [decode_frame(whole, self._memory)]

    def _cut(self) -> list[Frame]:
        frames = []
        while self._end - self._begin >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._shared, self._begin)
            if size > self._limit:
                detail = f"A message of {size} bytes is more than the {self._limit} that are taken."
                raise TooLarge(detail, limit_bytes=self._limit)
            if not size:
                raise InvalidTensor("A frame is empty.")
            at = self._begin + _LENGTH.size
            if at + size > self._end:
                if size > _MOST_SHARED:
                    self._grow(at, size)
                break
            frames.append(decode_frame(bytes(self._shared[at : at + size]), self._memory))
            self._begin = at + size
        self._make_room()
        return frames

    def _grow(self, at: int, size: int) -> None:
        """Receive the rest of a frame into bytes of its own."""
        self._large = memoryview(bytearray(size))
        self._filled = self._end - at
        self._large[: self._filled] = self._shared[at : self._end]
        self._begin = self._end

    def _make_room(self) -> None:
        if self._begin == self._end:
            self._begin = self._end = 0
        elif self._begin > _SHARED_BYTES >> 1:
            left = bytes(self._shared[self._begin : self._end])
            self._shared[: len(left)] = left
            self._begin, self._end = 0, len(left)
