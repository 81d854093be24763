"""A wire with a meter: a TCP proxy on loopback that counts what passes, headers and all, in both directions.

It knows nothing of HTTP and changes no byte, so a presigned URL that names its address is still valid at the server
behind it. It costs time: nothing is timed through it.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_PIECE = 1 << 16


@dataclass(slots=True)
class Counted:
    """Bytes that passed: ``sent`` from whoever connects, ``received`` by them."""

    port: int
    sent: int = 0
    received: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, *, sent: int = 0, received: int = 0) -> None:
        """Add to the meter."""
        with self._lock:
            self.sent += sent
            self.received += received

    def reset(self) -> None:
        """Begin at zero."""
        with self._lock:
            self.sent = self.received = 0


@contextmanager
def counting(port: int) -> Iterator[Counted]:
    """A port that leads to ``port``."""
    listener = socket.create_server(("127.0.0.1", 0))
    meter = Counted(listener.getsockname()[1])
    thread = threading.Thread(target=_accept, args=(listener, port, meter))
    thread.start()
    try:
        yield meter
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _accept(listener: socket.socket, port: int, meter: Counted) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", port))
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for way in ((client, server, True), (server, client, False)):
                threading.Thread(target=_pass, args=(*way, meter), daemon=True).start()


def _pass(source: socket.socket, target: socket.socket, is_sent: bool, meter: Counted) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            meter.count(sent=len(piece) if is_sent else 0, received=0 if is_sent else len(piece))
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
    if not is_sent:
        for end in (source, target):
            end.close()
