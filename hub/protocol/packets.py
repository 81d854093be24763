"""Packets: small notes between two processes of one hub, with open files.

A packet is a line of JSON, then bytes as they are; it travels whole over a socket that keeps packets apart. Laws: they
arrive in order; what the socket does not take yet waits; a file that was sent is the receiver's, and closed here; no
process that the receiver starts inherits it (uvloop leaves open to those what is not marked).
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson

MAX_BYTES = 64 << 10
"""Bytes that may follow a packet's line."""
_MAX_PACKET_BYTES = MAX_BYTES + (64 << 10)
_MAX_FILES = 4
OnPacket = Callable[[dict[str, Any], bytes, list[int]], None]


def socketpair() -> tuple[socket.socket, socket.socket]:
    """Two ends that packets travel between."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Packets:
    """One end."""

    def __init__(self, connected: socket.socket, on_packet: OnPacket, on_end: Callable[[], None]) -> None:
        """Take packets from now on, in the running event loop.

        Args:
            connected: One end of ``socketpair``.
            on_packet: Given a packet's line, the bytes that follow, and its files.
            on_end: Called once, when the other end has gone.
        """
        connected.setblocking(False)
        self._socket = connected
        self._on_packet = on_packet
        self._on_end = on_end
        self._waiting: deque[tuple[bytes, list[int]]] = deque()
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connected, self._read)

    def send(self, line: Mapping[str, Any], data: bytes = b"", files: Sequence[int] = ()) -> None:
        """Send a packet; its files are closed here, sent or not."""
        if self._is_closed:
            _close(files)
            return
        self._waiting.append((orjson.dumps(line) + b"\n" + data, list(files)))
        if len(self._waiting) == 1:
            self._write()

    def close(self) -> None:
        """End it; nobody is told here."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        for _, files in self._waiting:
            _close(files)
        self._waiting.clear()

    def _write(self) -> None:
        while self._waiting:
            packet, files = self._waiting[0]
            try:
                socket.send_fds(self._socket, [packet], files)
            except BlockingIOError:
                self._loop.add_writer(self._socket, self._write)
                return
            except OSError:
                self._lose()
                return
            _close(files)
            self._waiting.popleft()
        self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            packet, files, _, _ = socket.recv_fds(self._socket, _MAX_PACKET_BYTES, _MAX_FILES)
        except BlockingIOError:
            return
        except OSError:
            packet, files = b"", []
        if not packet:
            self._lose()
            return
        for file in files:
            os.set_inheritable(file, False)
        line, _, data = packet.partition(b"\n")
        self._on_packet(orjson.loads(line), data, list(files))

    def _lose(self) -> None:
        if not self._is_closed:
            self.close()
            self._on_end()


def _close(files: Sequence[int]) -> None:
    for file in files:
        with suppress(OSError):
            os.close(file)
