"""Bytes of an answer on their way from the connection into a file.

Where nobody needs to see them they are moved inside the kernel (``splice``), which saves two copies and nearly all of
the work in Python: over plain HTTP, on Linux, for blobs of more than :data:`WORTH_BYTES`.

Law: what is told to have arrived lies in the file.
"""

import contextlib
import fcntl
import os
import select
import socket
from collections.abc import Iterator
from typing import Any

import urllib3
from urllib3 import exceptions as trouble

from hub.storage.assembly import CANNOT_SPLICE, Sink

WORTH_BYTES = 1 << 20
_PIECE_BYTES = 128 << 10  # small enough to be still in a core's cache on its way from the socket to the file
_PIPE_BYTES = 1 << 20  # the most that a process may ask for
_SMALLEST_PIPE_BYTES = 4 << 10


def arrive(response: urllib3.BaseHTTPResponse, sink: Sink) -> Iterator[int]:
    """Take a blob's bytes from where the sink has come; gives how many arrived, each time that some did.

    Raises:
        HTTPError: urllib3's: the connection broke, or nothing came for too long.
        DigestMismatch: More bytes came than the blob has.
        OSError: The disk is full or cannot be written.
    """
    skip = sink.count if response.status != 206 else 0  # who knows no ranges begins at the beginning
    connected = None if skip or sink.is_seen else _plain_socket(response)
    if connected is not None:
        yield sink.write(response.read1(_PIECE_BYTES))  # what was read with the headers; then nothing is left there
        yield from _splice(connected, response.length_remaining or 0, sink)
        _hand_back(response)
        return
    while piece := response.read(_PIECE_BYTES):
        fresh, skip = piece[skip:], max(0, skip - len(piece))
        yield sink.write(fresh)


def _hand_back(response: Any) -> None:
    """Let the connection be used again: its answer was taken to the end, though not by those who keep count of that."""
    response._fp.close()  # noqa: SLF001 - Python's own answer object, which would otherwise be thought unread
    response.release_conn()


def _plain_socket(response: Any) -> socket.socket | None:
    """The connection, where bytes can be moved from it; None where they cannot, or are too few."""
    connected = getattr(response.connection, "sock", None)
    is_plain = type(connected) is socket.socket and hasattr(os, "splice")
    return connected if is_plain and (response.length_remaining or 0) > WORTH_BYTES else None


def _splice(connected: socket.socket, left: int, sink: Sink) -> Iterator[int]:
    outlet, inlet = os.pipe()
    try:
        with contextlib.suppress(OSError):  # a smaller pipe will do
            fcntl.fcntl(inlet, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        while left:
            count = _into_pipe(connected, inlet, min(left, _PIPE_BYTES))
            sink.splice(outlet, count)
            left -= count
            yield count
    finally:
        os.close(outlet)
        os.close(inlet)


def _into_pipe(connected: socket.socket, inlet: int, most: int) -> int:
    timeout_s = connected.gettimeout()
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    while True:
        try:
            count = os.splice(connected.fileno(), inlet, most)
        except BlockingIOError:
            if not poll.poll(None if timeout_s is None else timeout_s * 1_000):
                raise trouble.ProtocolError(f"nothing came for {timeout_s:g} s") from None
        except OSError as error:
            if error.errno not in CANNOT_SPLICE:
                raise trouble.ProtocolError("the connection broke", error) from error
            return _by_hand(connected, inlet, min(most, _SMALLEST_PIPE_BYTES))
        else:
            return _more(count)


def _by_hand(connected: socket.socket, inlet: int, most: int) -> int:
    """What ``splice`` would do, for who has not got it."""
    try:
        piece = connected.recv(most)
    except OSError as error:
        raise trouble.ProtocolError("the connection broke", error) from error
    return os.write(inlet, piece) if _more(len(piece)) else 0


def _more(count: int) -> int:
    if not count:
        raise trouble.ProtocolError("the connection ended early")
    return count
