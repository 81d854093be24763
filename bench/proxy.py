"""A TCP proxy that counts: what passes between clients and a server, headers and all, in both directions.

It knows nothing of HTTP and changes no byte, so a presigned URL that names its address is still valid at the server
behind it. It costs time: nothing is timed through it.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_PIECE = 1 << 18


@dataclass(slots=True)
class Counter:
    """Bytes that clients sent and received since the last `reset`."""

    sent: int = 0
    received: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *, sent: int = 0, received: int = 0) -> None:
        """Count more."""
        with self._turn:
            self.sent += sent
            self.received += received

    def reset(self) -> None:
        """Begin anew."""
        with self._turn:
            self.sent = self.received = 0


@contextmanager
def counting(port: int) -> Iterator[tuple[int, Counter]]:
    """Forward to a port on loopback; gives the port to talk to instead, and the counter."""
    counter = Counter()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        threading.Thread(target=_accept, args=(listener, port, counter), daemon=True).start()
        yield listener.getsockname()[1], counter
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, port: int, counter: Counter) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", port))
            except OSError:
                client.close()
                continue
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_pump, args=(client, server, counter, True), daemon=True).start()
            threading.Thread(target=_pump, args=(server, client, counter, False), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, counter: Counter, is_sent: bool) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            counter.add(sent=len(piece) if is_sent else 0, received=0 if is_sent else len(piece))
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
