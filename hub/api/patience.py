"""Patience: what a connection takes of a client before it is given up, in time and in bytes that are nothing yet.

uvicorn waits for ever for the first request of a connection, for the end of a request's head and for its body, and for
who reads no answer. Here each connection is looked at once a second; what the client owes by then is what counts.

Laws: only a client that has to send or to read is given up, never one that waits for the hub; what is slow but goes on,
goes on; who is given up before an answer began is told so (408, 429, 431, 503), others lose the connection; a request
that comes whole costs no clock and no timer. One address never has all connections, but for a proxy that is trusted to
tell whose they are: behind it are many.
"""

import json
import resource
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import structlog
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from hub.domain.errors import HubError, NotAvailable, Overloaded, TooLarge, TooSlow
from hub.protocol.problems import CONTENT_TYPE, RETRY_AFTER_S, to_problem
from hub.settings import Settings

_MOST_CONNECTIONS = 4_096
_HEAD_TOO_LARGE = 431
_NOWHERE: Any = deque(maxlen=0)
_log = structlog.get_logger(__name__)


def _most_connections() -> int:
    """As many as leave a process descriptors for its own files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(_MOST_CONNECTIONS, files * 3 // 4) if files != resource.RLIM_INFINITY else _MOST_CONNECTIONS


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of a connection.

    Attributes:
        look_every_s: Time between two looks at it.
        idle_s: Longest without a request.
        head_s: Longest from a request's first byte to the end of its head.
        body_s: How far a body may fall behind ``body_rate``; what came faster before does not count for more.
        body_rate: Bytes a second.
        reading_s: Longest that a client takes none of an answer that is there for it.
        head_bytes: Longest head that comes in pieces; as much between two pieces of a body that is not body.
        connections: Most at once in this process.
        of_address: Most of those from one address; None for half of them.
    """

    look_every_s: float = 1.0
    idle_s: float = 60.0
    head_s: float = 30.0
    body_s: float = 30.0
    body_rate: int = 1_024
    reading_s: float = 60.0
    head_bytes: int = 64 << 10
    connections: int = field(default_factory=_most_connections)
    of_address: int | None = None

    @property
    def share(self) -> int:
        """Most connections at once from one address."""
        return self.of_address or max(1, self.connections // 2)


def patience_of(settings: Settings) -> Patience:
    """The limits of a hub's connections."""
    return Patience(of_address=settings.connections_per_address)


class PatientConnection(HttpToolsProtocol):
    """uvicorn's connection with an end to waiting."""

    def __init__(self, config: Config, *args: Any, patience: Patience | None = None, **kwargs: Any) -> None:
        """Wait as long as ``patience`` says."""
        super().__init__(config, *args, **kwargs)
        self.patience = patience or Patience()
        self.is_between = True
        self.taken_bytes = 0
        self.is_blocked = False
        self.came_bytes = 0
        self._framing_bytes = 0
        self._owed_s = 0.0
        self._unread_s = 0.0
        self._seen_bytes = 0
        self._seen_unread = (0, 0)
        self._looking: Any = None

    def connection_made(self, transport: Any) -> None:
        """See uvicorn; one connection too many is told to come back."""
        super().connection_made(transport)
        self._looking = self.loop.call_later(self.patience.look_every_s, self._look)
        if len(self.connections) > self.patience.connections:
            full = NotAvailable("The hub has as many connections as it takes.", remedy="Try again in a few seconds.")
            self._give_up(full, full.status)
        elif len(self.connections) > self.patience.share and self._is_one_of_too_many():
            many = Overloaded(
                f"There are {self.patience.share} connections from your address already.",
                remedy="Close some, or try again in a few seconds.",
            )
            self._give_up(many, many.status)

    def connection_lost(self, exc: Exception | None) -> None:
        """See uvicorn."""
        self._looking.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See uvicorn; bytes that neither end a head nor are body add up."""
        came = self.came_bytes
        super().data_received(data)
        if self.is_between or self.came_bytes != came:
            self._framing_bytes = 0
            return
        self._framing_bytes += len(data)
        if self._framing_bytes > self.patience.head_bytes:
            detail = f"The request's head is longer than the {self.patience.head_bytes} bytes that are taken."
            self._give_up(TooLarge(detail, remedy="Send fewer or shorter headers."), _HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        """See uvicorn."""
        self.is_between = False
        self._owed_s = 0.0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """See uvicorn; headers that come after a body are of no use to anybody here."""
        self._owed_s = 0.0
        super().on_headers_complete()
        self.headers = _NOWHERE

    def on_body(self, body: bytes) -> None:
        """See uvicorn."""
        self.came_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """See uvicorn."""
        self.is_between = True
        self._owed_s = 0.0
        super().on_message_complete()

    def _look(self) -> None:
        """Give up who owes too long; what is counted are looks, because a loop that was busy is no client's fault."""
        self._looking = self.loop.call_later(self.patience.look_every_s, self._look)
        if self._reads_nothing():
            _log.info("connection.given_up", reason="The client reads nothing.", client=self._address())
            self.transport.abort()
        elif not self.transport.is_closing():
            self._look_for_request()

    def _look_for_request(self) -> None:
        patience = self.patience
        is_answered = self.cycle is None or self.cycle.response_complete
        is_in_head = not self.is_between and (self.cycle is None or self.cycle.scope is not self.scope)
        if is_in_head or self.is_between:
            if not is_answered:
                return
            self._owed_s += patience.look_every_s
            if is_in_head and self._owed_s >= patience.head_s:
                late = TooSlow(f"The request's head took longer than {patience.head_s:g} s.", remedy="Send it at once.")
                self._give_up(late, late.status)
            elif self._owed_s >= patience.idle_s:
                self.transport.close()
        elif not self.flow.read_paused and not self.cycle.waiting_for_100_continue:
            came, self._seen_bytes = self.came_bytes - self._seen_bytes, self.came_bytes
            self._owed_s = max(0.0, self._owed_s - came / patience.body_rate) + patience.look_every_s
            if self._owed_s >= patience.body_s:
                detail = f"The request's body came slower than {patience.body_rate} bytes a second."
                self._give_up(TooSlow(detail, remedy="Try again over a faster line."), TooSlow.status)

    def _is_one_of_too_many(self) -> bool:
        """Whether its address has more than its share; counted only where somebody could have."""
        address, proxies = self._address(), getattr(self.config.loaded_app, "trusted_hosts", ())
        if address is None or address in proxies:
            return False
        clients = [getattr(each, "client", None) for each in self.connections]
        return sum(client is not None and client[0] == address for client in clients) > self.patience.share

    def _reads_nothing(self) -> bool:
        unread = self.transport.get_write_buffer_size(), self.taken_bytes
        if unread == self._seen_unread and (unread[0] or self.is_blocked):
            self._unread_s += self.patience.look_every_s
        else:
            self._unread_s = 0.0
        self._seen_unread = unread
        return self._unread_s >= self.patience.reading_s

    def _give_up(self, error: HubError, status: int) -> None:
        """End the connection; with an answer where none has begun."""
        if self.transport.is_closing():
            return
        _log.info("connection.given_up", reason=error.detail, client=self._address())
        cycle = self.cycle
        is_under_way = cycle is not None and not cycle.response_complete
        if cycle is None or (not cycle.response_started if cycle.scope is self.scope else not is_under_way):
            self.transport.write(_answer(error, status))
        if is_under_way:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _address(self) -> str | None:
        return self.client[0] if self.client else None


def _answer(error: HubError, status: int) -> bytes:
    body = json.dumps(to_problem(error) | {"status": status}).encode()
    lines = [f"content-type: {CONTENT_TYPE}", f"content-length: {len(body)}", "connection: close"]
    if status in RETRY_AFTER_S:
        lines.append(f"retry-after: {RETRY_AFTER_S[status]}")
    return STATUS_LINE[status] + "\r\n".join([*lines, "", ""]).encode() + body
