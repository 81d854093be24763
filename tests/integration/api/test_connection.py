"""Blobs that move from file to socket inside the kernel, seen from the other end of the connection."""

import os
import random
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hub.domain.digests import digest_of
from hub.protocol import paths
from hub.storage.blobs.filesystem import FilesystemBlobStore
from hub.storage.blobs.layout import path_of
from tests.integration.api.test_api_bytes import push_in_blobs

NAME = "acme/half"
BLOB_BYTES = 9 << 20
MORE_THAN_THREADS = 2 * (os.cpu_count() or 1) + 6


@pytest.fixture
def large() -> bytes:
    return random.Random(3).randbytes(2 * BLOB_BYTES + 77)


@pytest.fixture
def url(hub, saved_model, large) -> str:
    """The path of the large file's first blob, in a hub that has it."""
    push_in_blobs(hub.admin, {"saved_model.pb": saved_model(), "assets/large": large}, BLOB_BYTES)
    return paths.version_blob(NAME, 1, digest_of(large[:BLOB_BYTES]))


@pytest.fixture
def ask(hub) -> Callable[..., socket.socket]:
    """Sends requests for paths over a new connection that takes in little by itself."""
    place = urlsplit(hub.url)

    def ask(*wanted: str) -> socket.socket:
        connected = socket.socket()
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        connected.settimeout(20)
        connected.connect((place.hostname, place.port))
        token = hub.admin.http.headers["authorization"]
        for path in wanted:
            connected.sendall(f"GET {path} HTTP/1.1\r\nHost: hub\r\nAuthorization: {token}\r\n\r\n".encode())
        return connected

    return ask


def answer(connected: socket.socket) -> tuple[bytes, bytes]:
    """One answer's head and body; both shorter where the connection ends early."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        if not (byte := connected.recv(1)):
            return head, b""
        head += byte
    (left,) = [int(line.split()[1]) for line in head.splitlines() if line.lower().startswith(b"content-length")]
    body = bytearray()
    while len(body) < left and (piece := connected.recv(min(1 << 20, left - len(body)))):
        body += piece
    return head, bytes(body)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_any_part_comes_out_whole(hub, url, large):
    blob, client = large[:BLOB_BYTES], hub.admin.http
    assert client.get(url).content == blob
    for first, last in ((0, BLOB_BYTES - 1), (1, BLOB_BYTES - 2), (4 << 20, 8 << 20), (BLOB_BYTES - 300_000, 1 << 30)):
        part = client.get(url, headers={"Range": f"bytes={first}-{last}"})
        assert (part.status_code, part.content) == (206, blob[first : last + 1])
    file = paths.version_file(NAME, 1, "assets/large")
    assert client.get(file).content == large
    part = client.get(file, headers={"Range": f"bytes={BLOB_BYTES - 400_000}-{2 * BLOB_BYTES + 5}"})
    assert part.content == large[BLOB_BYTES - 400_000 : 2 * BLOB_BYTES + 6]


def test_answers_on_one_connection_keep_their_order(ask, url, large):
    with ask(url, "/healthz", url, url) as connected:
        bodies = [answer(connected)[1] for _ in range(4)]
    assert bodies[0] == bodies[2] == bodies[3] == large[:BLOB_BYTES]
    assert b"alive" in bodies[1]


def test_clients_that_read_nothing_hold_nobody_up(hub, ask, url, large):
    slow = [ask(url) for _ in range(MORE_THAN_THREADS)]
    time.sleep(0.2)
    assert hub.admin.http.get(url).content == large[:BLOB_BYTES]
    assert hub.admin.http.get("/healthz").status_code == 200
    for connected in slow:
        with connected:
            assert answer(connected)[1] == large[:BLOB_BYTES]


def test_clients_that_leave_in_the_middle_leave_nothing_behind(hub, ask, url, large):
    hub.admin.http.get(url)
    before = descriptors()
    for _ in range(MORE_THAN_THREADS):
        with ask(url) as connected:
            assert connected.recv(1000).startswith(b"HTTP/1.1 200")
    until = time.monotonic() + 10
    while descriptors() > before and time.monotonic() < until:
        time.sleep(0.05)
    assert descriptors() <= before
    assert hub.admin.http.get(url).content == large[:BLOB_BYTES]


def test_a_file_that_lost_its_end_ends_the_connection(hub, ask, url, large):
    place = Path(hub.house.settings.data_path) / "blobs" / path_of(digest_of(large[:BLOB_BYTES]))
    place.chmod(0o644)
    os.truncate(place, 5 << 20)
    with ask(url) as connected:
        head, body = answer(connected)
        assert head.startswith(b"HTTP/1.1 200")
        assert body == large[: 5 << 20]
        assert connected.recv(1) == b""
    place.unlink()
    assert hub.admin.problem("GET", url, 502)["code"] == "blob-lost"


def test_a_blob_is_only_got(hub, url):
    for method in ("HEAD", "POST", "DELETE"):
        assert hub.admin.http.request(method, url).status_code == 405
    for number in ("0", "x", "1e3", "9999999999"):
        wrong = url.replace("/versions/1/", f"/versions/{number}/")
        assert hub.admin.problem("GET", wrong, 422)["code"] == "invalid-request"


def test_who_is_cut_off_in_the_middle_harms_no_file_that_is_opened_next(
    landlord, hub, ask, url, large, tmp_path, monkeypatch
):
    """A descriptor is a number: a thread that goes on with one that was closed would write into another file."""
    hub.admin.http.get(url)
    really = os.sendfile

    def late(*arguments: int) -> int:
        time.sleep(0.4)
        return really(*arguments)

    monkeypatch.setattr(os, "sendfile", late)
    connected = ask(url)
    time.sleep(0.2)
    server, _, _ = landlord.running[-1]
    for task in list(server.server_state.tasks):
        task.get_loop().call_soon_threadsafe(task.cancel)
    time.sleep(0.1)
    victims = {tmp_path / str(number): bytes([number]) * 1000 for number in range(8)}
    with ExitStack() as opened:
        for path, content in victims.items():
            path.write_bytes(content)
            opened.enter_context(path.open("r+b"))
        time.sleep(0.6)
    assert {path: path.read_bytes() for path in victims} == victims
    connected.close()
    monkeypatch.undo()
    assert hub.admin.http.get(url).content == large[:BLOB_BYTES]


def test_what_nobody_foresaw_before_an_answer_begins_is_a_problem(hub, url, monkeypatch):
    def fail(_store: object, _digest: str) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(FilesystemBlobStore, "open_file", fail)
    answer = hub.admin.http.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text
