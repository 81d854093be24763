"""Bytes from a connection into a file, moved by the kernel where it can, from servers that behave and that do not."""

import errno
import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hub.client import arriving
from hub.client.arriving import arrive
from hub.client.config import Connection
from hub.client.http import Http
from hub.domain.errors import DigestMismatch, HubUnreachable
from hub.domain.manifest import BlobRef, File
from hub.storage.assembly import Assembly

HALVES = (os.urandom(3 << 20), os.urandom(2 << 20))


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


FILE = File(
    path="variables",
    size=sum(map(len, HALVES)),
    digest=digest(b"".join(HALVES)),
    blobs=tuple(BlobRef(digest=digest(half), size=len(half)) for half in HALVES),
)
Answer = Callable[[socket.socket], None]


@contextmanager
def server(answer: Answer, accepted: list[socket.socket] | None = None, *, is_closing: bool = True) -> Iterator[Http]:
    """One connection at a time, each request answered by a function; a client of it."""
    accepted = [] if accepted is None else accepted
    listener = socket.create_server(("127.0.0.1", 0))

    def work() -> None:
        while True:
            try:
                connected, _ = listener.accept()
            except OSError:
                return
            accepted.append(connected)
            with connected:
                while request := connected.recv(65_536):
                    assert request.endswith(b"\r\n\r\n")
                    with suppress(OSError):
                        answer(connected)
                    if is_closing:
                        break

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        with Http(Connection(f"http://127.0.0.1:{listener.getsockname()[1]}", None)) as http:
            yield http
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def headers(length: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length


def whole(data: bytes) -> Answer:
    def answer(connected: socket.socket) -> None:
        connected.sendall(headers(len(data)) + data[:1000])
        time.sleep(0.05)
        connected.sendall(data[1000:])

    return answer


def fetch(http: Http, assembly: Assembly, half: bytes) -> int:
    count = 0
    with assembly.sink(digest(half)) as sink, http.download("/blob") as response:
        for came in arrive(response, sink):
            count += came
            assert sink.count == count
    return count


def test_bytes_come_whole_into_their_place(tmp_path: Path) -> None:
    assembly = Assembly([FILE], tmp_path)
    for half in reversed(HALVES):
        with server(whole(half)) as http:
            assert fetch(http, assembly, half) == len(half)
    assembly.check()
    assert (tmp_path / "variables").read_bytes() == b"".join(HALVES)


def test_a_connection_serves_again_after_its_body_was_moved(tmp_path: Path) -> None:
    accepted: list[socket.socket] = []
    left = list(HALVES)
    assembly = Assembly([FILE], tmp_path)
    with server(lambda connected: whole(left.pop(0))(connected), accepted, is_closing=False) as http:
        for half in HALVES:
            fetch(http, assembly, half)
    assembly.check()
    assert len(accepted) == 1


@pytest.mark.parametrize("side", ["connection", "file", "both"])
@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS])
def test_where_the_kernel_cannot_move_them_they_come_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str, code: int
) -> None:
    real = os.splice

    def splice(source: int, target: int, count: int, offset_dst: int | None = None) -> int:
        if side in ("both", "connection" if offset_dst is None else "file"):
            raise OSError(code, "no")
        return real(source, target, count) if offset_dst is None else real(source, target, count, offset_dst=offset_dst)

    monkeypatch.setattr(os, "splice", splice)
    assembly = Assembly([FILE], tmp_path)
    for half in HALVES:
        with server(whole(half)) as http:
            fetch(http, assembly, half)
    assembly.check()


def test_bytes_that_are_wrong_are_found_though_nobody_saw_them(tmp_path: Path) -> None:
    assembly = Assembly([FILE], tmp_path)
    wrong = bytes(len(HALVES[0]))
    with server(whole(wrong)) as http, assembly.sink(digest(HALVES[0])) as sink, http.download("/blob") as response:
        assert sum(arrive(response, sink)) == len(wrong)
    with server(whole(HALVES[1])) as http:
        fetch(http, assembly, HALVES[1])
    with pytest.raises(DigestMismatch):
        assembly.check()
    assert list(assembly.missing) == [digest(HALVES[0])]


def test_more_bytes_than_announced_are_refused(tmp_path: Path) -> None:
    assembly = Assembly([FILE], tmp_path)
    with server(whole(HALVES[0] + b"more")) as http, pytest.raises(DigestMismatch):
        fetch(http, assembly, HALVES[0])


@pytest.mark.parametrize("sent", [10, 2 << 20])
def test_a_connection_that_ends_early_leaves_what_came(tmp_path: Path, sent: int) -> None:
    def answer(connected: socket.socket) -> None:
        connected.sendall(headers(len(HALVES[0])) + HALVES[0][:sent])

    assembly = Assembly([FILE], tmp_path)

    def fetch_some(http: Http) -> None:
        with assembly.sink(digest(HALVES[0])) as sink:
            try:
                with http.download("/blob") as response:
                    list(arrive(response, sink))
            finally:
                assert sink.count == sent

    with server(answer) as http, pytest.raises(HubUnreachable):
        fetch_some(http)
    assert (tmp_path / "variables").read_bytes()[:sent] == HALVES[0][:sent]


def test_a_connection_that_falls_silent_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.client.http.READ_TIMEOUT_S", 0.3)
    silent = threading.Event()

    def answer(connected: socket.socket) -> None:
        connected.sendall(headers(len(HALVES[0])) + HALVES[0][: 1 << 20])
        silent.wait(20)

    assembly = Assembly([FILE], tmp_path)
    began = time.monotonic()
    with server(answer) as http:
        with pytest.raises(HubUnreachable):
            fetch(http, assembly, HALVES[0])
        silent.set()
    assert time.monotonic() - began < 10


def test_a_file_of_one_blob_is_seen_as_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "_splice", None)
    alone = FILE.model_copy(update={"size": len(HALVES[0]), "digest": digest(HALVES[0]), "blobs": FILE.blobs[:1]})
    assembly = Assembly([alone], tmp_path)
    with server(whole(HALVES[0])) as http:
        fetch(http, assembly, HALVES[0])
    assembly.check()
