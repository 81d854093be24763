"""Clients that read a byte a second: they get what they asked for, and nobody waits for them."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import pytest

from hub.domain.digests import digest_of
from hub.protocol import paths
from tests.integration.api.conftest import Hub, write_saved_model

pytestmark = pytest.mark.faults
LARGE = os.urandom(24 << 20)  # more than the system takes for a connection, at both of its ends
SLOW = 60  # more than there are threads, or connections to the object store
TRICKLE_S = 3


@pytest.fixture(params=["directory", "object store"])
def hub(request: pytest.FixtureRequest, start_hub: Callable[..., Hub]) -> Hub:
    """A hub through which all bytes go."""
    if request.param == "directory":
        return start_hub()
    return start_hub(storage_url=request.getfixturevalue("s3_url"), relay=True)


def ask(hub: Hub, path: str) -> socket.socket:
    """A connection that has asked, and takes little at once."""
    connected = socket.socket()
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connected.settimeout(60)
    place = urlsplit(hub.url)
    connected.connect((place.hostname, place.port))
    token = hub.admin.http.headers["authorization"]
    connected.sendall(f"GET {path} HTTP/1.1\r\nHost: hub\r\nAuthorization: {token}\r\n\r\n".encode())
    return connected


def rest(connected: socket.socket, size: int) -> Iterator[bytes]:
    """What is left of an answer whose body has a size."""
    while size > 0:
        piece = connected.recv(1 << 20)
        assert piece, f"{size} bytes never came"
        size -= len(piece)
        yield piece


def test_a_pull_at_a_trickle_holds_up_nobody_and_ends_whole(hub: Hub):
    hub.admin.push("acme/trunk", {"saved_model.pb": write_saved_model(), "assets/large": LARGE})
    path = paths.version_blob("acme/trunk", 1, digest_of(LARGE))
    stopped = threading.Event()
    with ExitStack() as kept:
        slow = [kept.enter_context(closing(ask(hub, path))) for _ in range(SLOW)]
        came = [b"" for _ in slow]

        def trickle() -> None:
            while not stopped.is_set():
                for number, connected in enumerate(slow):
                    came[number] += connected.recv(1)
                stopped.wait(1)

        trickling = threading.Thread(target=trickle)
        trickling.start()
        try:
            while min(map(len, came)) < TRICKLE_S:
                assert hub.admin.http.get(path).content == LARGE
                assert hub.admin.http.get("/readyz").is_success
                assert hub.admin.http.get(paths.MODELS).is_success
            made = hub.admin.push("acme/meanwhile", {"saved_model.pb": write_saved_model(producer="meanwhile")})
            assert made.version.state == "ready"
        finally:
            stopped.set()
            trickling.join()
        for connected, begun in zip(slow[:2], came, strict=False):
            while b"\r\n\r\n" not in begun:
                begun += connected.recv(1_000)
            head, _, body = begun.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert body + b"".join(rest(connected, len(LARGE) - len(body))) == LARGE
