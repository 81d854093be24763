"""What is sent again, and what is not."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hub.client.config import Connection
from hub.client.http import ATTEMPTS, MAX_WAIT_S, Http, backoff_s
from hub.domain.errors import HubUnreachable, NotAvailable, VersionNotFound

PROBLEM = b'{"code": "version-not-found", "detail": "acme/echo has no version 9.", "remedy": "List them."}'


class _Scripted(BaseHTTPRequestHandler):
    """Answers with the next status of a script; the last one stays."""

    script: list[int]
    bodies: list[bytes]

    def _answer(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        status = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        body = PROBLEM if status == 404 else b"{}"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the base class chose the names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server:
    """A web server that answers as a script says."""

    def __init__(self) -> None:
        self.script: list[int] = [200]
        self.bodies: list[bytes] = []
        handler = type("Handler", (_Scripted,), {"script": self.script, "bodies": self.bodies})
        self.server = HTTPServer(("127.0.0.1", 0), handler)
        self.connection = Connection(f"http://127.0.0.1:{self.server.server_port}")


@pytest.fixture
def server() -> Iterator[Server]:
    scripted = Server()
    thread = threading.Thread(target=scripted.server.serve_forever)
    thread.start()
    yield scripted
    scripted.server.shutdown()
    thread.join()
    scripted.server.server_close()


@pytest.fixture
def http(server: Server) -> Iterator[Http]:
    with Http(server.connection) as http:
        yield http


def test_a_problem_is_raised_as_the_error_it_stands_for(server: Server, http: Http):
    server.script[:] = [404]
    with pytest.raises(VersionNotFound, match="no version 9") as caught:
        http.request("GET", "/x")
    assert caught.value.remedy == "List them."
    assert len(server.bodies) == 1


def test_a_busy_hub_is_asked_again_where_that_is_safe(server: Server, http: Http):
    server.script[:] = [503, 429, 200]
    assert http.request("GET", "/x").status == 200
    assert len(server.bodies) == 3


def test_what_may_not_be_repeated_is_sent_once(server: Server, http: Http):
    server.script[:] = [503, 200]
    with pytest.raises(NotAvailable):
        http.request("POST", "/x", body=b"{}")
    assert len(server.bodies) == 1


def test_an_upload_is_one_attempt(server: Server, http: Http):
    server.script[:] = [503, 204]
    with pytest.raises(NotAvailable):
        http.upload("/x", iter([b"by", b"tes"]), 5)
    http.upload("/x", iter([b"by", b"tes"]), 5)
    assert server.bodies == [b"bytes", b"bytes"]


def test_a_slow_line_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    """What is sent takes as long as it takes; only connecting has the short time-out."""
    monkeypatch.setattr("hub.client.http.CONNECT_TIMEOUT_S", 0.3)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)

    received = 0

    def receive_slowly() -> None:
        nonlocal received
        line, _ = listener.accept()
        with line:
            time.sleep(1.0)
            while piece := line.recv(1 << 20):
                received += len(piece)
                if b"end" in piece[-10:]:
                    break
            line.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    receiver = threading.Thread(target=receive_slowly)
    receiver.start()
    body = bytes(16 << 20) + b"end"
    with Http(Connection(f"http://127.0.0.1:{listener.getsockname()[1]}")) as http:
        http.upload("/x", iter([body]), len(body))
    receiver.join()
    listener.close()
    assert received > len(body)


def test_a_hub_that_stays_busy_is_given_up(server: Server, http: Http):
    server.script[:] = [503]
    with pytest.raises(NotAvailable):
        http.request("GET", "/x")
    assert len(server.bodies) == ATTEMPTS


def test_no_answer_names_the_hub_and_what_to_do(server: Server):
    server.server.server_close()
    with Http(server.connection) as http, pytest.raises(HubUnreachable, match="No answer") as caught:
        http.request("GET", "/x")
    assert server.connection.url in caught.value.detail
    assert "refused" in caught.value.detail
    assert "hub serve" in str(caught.value.remedy)


def test_waiting_grows_with_every_failure_and_has_an_end():
    assert all(0 < backoff_s(attempt) <= MAX_WAIT_S for attempt in range(40))
    assert backoff_s(0) < backoff_s(3)
