"""Clients that drip, stall or flood, seen from their end of the connection; the limits are those of tests."""

import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from urllib.parse import urlsplit

import pytest

from hub.api.connection import Connection
from hub.api.patience import Patience, patience_of
from hub.domain.digests import digest_of
from hub.protocol import paths
from hub.settings import Settings
from tests.integration.api.conftest import Hub, Landlord
from tests.integration.api.test_api_bytes import push_in_blobs

SHORT = Patience(
    look_every_s=0.05, idle_s=0.5, head_s=0.25, body_s=0.25, body_rate=2_000, reading_s=0.25, connections=5
)
TOKENS = f"POST {paths.TOKENS} HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def landlord(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Landlord]:
    landlord = Landlord(tmp_path_factory.mktemp("patience"), connection=partial(Connection, patience=SHORT))
    yield landlord
    landlord.stop()


@pytest.fixture(scope="module")
def hub(landlord: Landlord) -> Hub:
    return landlord.start()


@pytest.fixture
def connect(hub: Hub) -> Callable[..., closing[socket.socket]]:
    place = urlsplit(hub.url)

    def connect(address: str = "127.0.0.1") -> closing[socket.socket]:
        return closing(socket.create_connection((place.hostname, place.port), 5, (address, 0)))

    return connect


def drip(connected: socket.socket, piece: bytes) -> None:
    """Send a little again and again, until the other side answers or leaves."""
    connected.settimeout(0.02)
    while True:
        try:
            connected.sendall(piece)
            if connected.recv(1, socket.MSG_PEEK) is not None:
                break
        except TimeoutError:
            continue
        except OSError:
            break
    connected.settimeout(5)


def left(landlord: Landlord) -> None:
    """Wait until the hub has no connection any more."""
    server, _, _ = landlord.running[-1]
    until = time.monotonic() + 10
    while server.server_state.connections and time.monotonic() < until:
        time.sleep(0.02)
    assert not server.server_state.connections


def rest(connected: socket.socket) -> bytes:
    """All that still comes."""
    came = b""
    try:
        while piece := connected.recv(1 << 16):
            came += piece
    except ConnectionResetError:  # it was closed while we were sending
        pass
    return came


def problem(came: bytes, status: int) -> dict[str, object]:
    head, _, body = came.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), came
    assert b"connection: close" in head
    found = json.loads(body)
    assert (found["status"], bool(found["detail"]), bool(found["remedy"])) == (status, True, True)
    return found


def test_who_says_nothing_is_left(connect):
    with connect() as connected:
        assert rest(connected) == b""
    with connect() as connected:
        drip(connected, b"\r\n")
        assert rest(connected) == b""


def test_a_dripping_head_is_told_that_it_is_too_slow(connect):
    with connect() as connected:
        connected.sendall(b"GET /healthz HTTP/1.1\r\n")
        drip(connected, b"x: y\r\n")
        assert problem(rest(connected), 408)["code"] == "too-slow"


def test_a_dripping_body_is_told_that_it_is_too_slow(connect):
    with connect() as connected:
        connected.sendall(f"{TOKENS}Content-Length: 5000\r\n\r\n".encode())
        drip(connected, b" ")
        assert problem(rest(connected), 408)["code"] == "too-slow"
    with connect() as connected:
        connected.sendall(f"{TOKENS}Transfer-Encoding: chunked\r\n\r\n".encode())
        drip(connected, b"1\r\n \r\n")
        assert problem(rest(connected), 408)["code"] == "too-slow"


def test_a_dripping_prediction_is_told_that_it_is_too_slow(connect):
    with connect() as connected:
        connected.sendall(b"POST /v2/models/acme/cats/infer HTTP/1.1\r\nHost: hub\r\nContent-Length: 5000\r\n\r\n")
        drip(connected, b" ")
        assert problem(rest(connected), 408)["code"] == "too-slow"


def test_a_body_that_comes_steadily_is_waited_for_longer_than_a_stalled_one(connect):
    with connect() as connected:
        connected.sendall(f"{TOKENS}Connection: close\r\nContent-Length: 6000\r\n\r\n".encode())
        for _ in range(12):
            connected.sendall(b" " * 500)
            time.sleep(SHORT.body_s / 5)
        assert rest(connected).startswith(b"HTTP/1.1 422 ")


def test_who_was_answered_before_the_end_of_a_body_need_not_send_it_for_ever(connect):
    with connect() as connected:
        connected.sendall(f"{TOKENS}Content-Length: {1 << 40}\r\n\r\n".encode())
        drip(connected, b" ")
        came = rest(connected)
    assert came.startswith(b"HTTP/1.1 413 ")
    assert came.count(b"HTTP/1.1 ") == 1


def test_a_head_without_end_is_refused(connect):
    begun = b"GET /healthz HTTP/1.1\r\nx: "
    with connect() as connected:
        connected.sendall(begun + b"y" * (SHORT.head_bytes - len(begun) + 1))
        assert problem(rest(connected), 431)["code"] == "too-large"


def test_trailers_without_end_are_refused(hub, connect):
    with connect() as connected:
        connected.sendall(f"{TOKENS}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n".encode())
        drip(connected, b"x: y\r\n" * 2_000)
        rest(connected)
    assert hub.nobody.http.get("/healthz").status_code == 200


def test_who_reads_nothing_is_left(hub, landlord, connect, saved_model):
    large = random.Random(3).randbytes(9 << 20)
    push_in_blobs(hub.admin, {"saved_model.pb": saved_model(), "assets/large": large}, len(large))
    token = hub.admin.http.headers["authorization"]
    for path in (paths.version_blob("acme/half", 1, digest_of(large)), paths.OPENAPI):
        with connect() as connected:
            connected.sendall(f"GET {path} HTTP/1.1\r\nHost: hub\r\nAuthorization: {token}\r\n\r\n".encode() * 200)
            connected.recv(1)
            left(landlord)


def test_connections_beyond_the_most_are_told_to_come_back(landlord, hub, connect):
    left(landlord)
    with ExitStack() as kept:
        for _ in range(SHORT.connections):
            kept.enter_context(connect())
        with connect() as connected:
            came = rest(connected)
    assert problem(came, 503)["code"] == "not-available"
    assert b"retry-after: " in came


def test_one_address_never_has_all_connections_but_for_a_proxy_that_is_trusted(landlord, connect):
    left(landlord)
    with ExitStack() as kept:
        for _ in range(SHORT.share):
            kept.enter_context(connect("127.0.0.2"))
        with connect("127.0.0.2") as connected:
            came = rest(connected)
        for _ in range(SHORT.share + 1):
            kept.enter_context(connect())
        with connect("127.0.0.3") as connected:
            assert problem(rest(connected), 503)
    assert problem(came, 429)["code"] == "overloaded"
    assert b"retry-after: " in came


def test_what_one_address_may_have_is_a_setting():
    assert patience_of(Settings(connections_per_address=7)).share == 7
    assert patience_of(Settings()).share == patience_of(Settings()).connections // 2
