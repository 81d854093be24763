"""A hub whose predictions are answered by several processes, at one address."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import pytest

from hub import Client
from hub.domain.errors import HubError
from tests.e2e.conftest import RunningHub

pytestmark = pytest.mark.slow
PROCESSES = 3
INFER = "/v2/models/acme/doubler/infer"
ASKED = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]})


@pytest.fixture(scope="module")
def hub(
    start_hub: Callable[..., AbstractContextManager[RunningHub]],
    tiny_models: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningHub]:
    """A hub of three API processes with a model."""
    with start_hub(tmp_path_factory.mktemp("hub"), environment={"HUB_API_PROCESSES": str(PROCESSES)}) as hub:
        pushed = hub.cli("push", str(tiny_models / "doubler"), "acme/doubler")
        assert pushed.returncode == 0, pushed.stderr
        yield hub


def connect(hub: RunningHub, timeout: float = 60) -> HTTPConnection:
    place = urlsplit(hub.url)
    assert place.hostname is not None
    return HTTPConnection(place.hostname, place.port, timeout=timeout)


def predict(connection: HTTPConnection) -> list[float]:
    connection.request("POST", INFER, ASKED, {"content-type": "application/json"})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    assert answer.status == 200, body
    return next(output["data"] for output in body["outputs"] if output["name"] == "doubled")


def outlets(hub: RunningHub) -> set[int]:
    """Process ids of the outlets."""
    children = Path(f"/proc/{hub.pid}/task/{hub.pid}/children").read_text().split()
    return {int(pid) for pid in children if b"hub.outlet" in Path(f"/proc/{pid}/cmdline").read_bytes()}


@contextmanager
def spread(hub: RunningHub) -> Iterator[list[HTTPConnection]]:
    """Connections that have been answered, to each of the processes at least one: made until that is so."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        with ExitStack() as stack:
            connections = [stack.enter_context(closing(connect(hub))) for _ in range(16)]
            with ThreadPoolExecutor(len(connections)) as pool:
                assert list(pool.map(predict, connections)) == [[2.0, 4.0]] * len(connections)
            if len({owner(hub, connection) for connection in connections} - {0}) == PROCESSES:
                yield connections
                return
    pytest.fail("some process answered nobody")


def owner(hub: RunningHub, connection: HTTPConnection) -> int:
    """Which process holds the other end; 0 where none does any more."""
    port = connection.sock.getsockname()[1]
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    inodes = {f"socket:[{fields[9]}]" for fields in lines if int(fields[2].partition(":")[2], 16) == port}
    return next((pid for pid in (hub.pid, *outlets(hub)) if inodes & set(_files(pid))), 0)


def _files(pid: int) -> Iterator[str]:
    for file in Path(f"/proc/{pid}/fd").iterdir():
        try:
            yield str(file.readlink())
        except OSError:
            continue  # closed meanwhile


def test_every_process_answers_and_all_that_they_count_is_told_together(hub: RunningHub) -> None:
    def counted() -> float:
        text = urlopen(f"{hub.url}/metrics", timeout=30).read().decode()
        name = 'hub_predictions_answered_total{outcome="answered",protocol="oip"}'
        return sum(float(line.split()[1]) for line in text.splitlines() if line.startswith(name))

    with spread(hub) as connections:
        before = counted()
        assert before >= len(connections)
        for connection in connections:
            assert predict(connection) == [2.0, 4.0]
        assert counted() == before + len(connections)


def test_a_connection_may_ask_for_anything_in_any_order(hub: RunningHub) -> None:
    with spread(hub) as connections:
        for connection in connections:
            for path in ("/v2", "/", "/v1/models/acme/doubler", "/api/v1/models", "/nothing/there/at/all"):
                assert predict(connection) == [2.0, 4.0]
                connection.request("GET", path)
                answer = connection.getresponse()
                assert answer.status == (404 if "nothing" in path else 200)
                assert answer.read()


def test_a_long_body_reaches_the_hub_whole_wherever_it_came_in(hub: RunningHub) -> None:
    tokens = {"authorization": f"Bearer {hub.token}", "content-type": "application/json"}
    body = json.dumps({"name": "x" * 700_000, "scope": "read"})
    with spread(hub) as connections:
        for connection in connections:
            connection.request("POST", "/api/v1/tokens", body, tokens)
            answer = connection.getresponse()
            told = json.loads(answer.read())
            assert answer.status == 422, told
            assert "name" in told["detail"]


def test_requests_that_wait_in_line_are_answered_or_sent_again(hub: RunningHub) -> None:
    place = urlsplit(hub.url)
    head = (
        f"POST {INFER} HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\ncontent-length: {len(ASKED)}\r\n\r\n"
    )
    one = (head + ASKED).encode()
    for _ in range(16):
        with socket.create_connection((place.hostname, place.port), 60) as raw:
            raw.sendall(one + one + b"GET /healthz HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n")
            said = b"".join(iter(lambda: raw.recv(65_536), b""))
        assert said.count(b"HTTP/1.1 200 OK") >= 2
        assert said.count(b"HTTP/1.1 200 OK") == 3 or b"Send it again" in said


def test_an_answer_that_is_not_read_yet_is_read_whole_before_the_next(hub: RunningHub) -> None:
    place, rows = urlsplit(hub.url), 2_000_000
    x = {"name": "x", "shape": [rows, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8 * rows}}
    head = json.dumps({"inputs": [x], "outputs": [{"name": "doubled", "parameters": {"binary_data": True}}]}).encode()
    sent = (
        f"POST {INFER} HTTP/1.1\r\nhost: hub\r\ncontent-type: application/octet-stream\r\n"
        f"inference-header-content-length: {len(head)}\r\ncontent-length: {len(head) + 8 * rows}\r\n\r\n"
    ).encode()
    for _ in range(6):
        with socket.create_connection((place.hostname, place.port), 60) as raw:
            raw.sendall(sent + head + np.ones((rows, 2), "<f4").tobytes())
            time.sleep(0.5)  # the answer is on its way, and does not fit into what the sockets hold
            raw.sendall(b"GET /api/v1/models HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n")
            said = b"".join(iter(lambda: raw.recv(65_536), b""))
        lines, _, rest = said.partition(b"\r\n\r\n")
        size = int(lines.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r")[0])
        assert b" 200 " in lines, said[:600]
        assert rest[size - 8 * rows : size] == np.full((rows, 2), 2, "<f4").tobytes()
        assert rest[size:].startswith(b"HTTP/1.1 ")


def test_killed_outlets_come_back_and_nobody_fails_who_asks_again(hub: RunningHub) -> None:
    failed: list[HubError] = []
    rows = np.ones((1, 2), np.float32)

    def ask(client: Client) -> int:
        answered = 0
        while time.monotonic() < until:
            try:
                assert client.predict("acme/doubler", {"x": rows})["doubled"].tolist() == [[2.0, 2.0]]
                answered += 1
            except HubError as error:
                failed.append(error)
        return answered

    with spread(hub):
        before = outlets(hub)
    assert len(before) == PROCESSES - 1
    until = time.monotonic() + 4
    clients = [Client(hub.url, hub.token) for _ in range(6)]
    with ThreadPoolExecutor(len(clients)) as pool:
        asking = [pool.submit(ask, client) for client in clients]
        time.sleep(0.5)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        assert all(future.result() > 0 for future in asking)
    for client in clients:
        client.close()
    assert failed == []
    with spread(hub):
        pass
    assert len(outlets(hub)) == PROCESSES - 1
    assert not outlets(hub) & before


def test_outlets_go_on_while_the_hubs_own_process_is_busy(hub: RunningHub) -> None:
    with spread(hub) as connections:
        others = [connection for connection in connections if owner(hub, connection) != hub.pid]
        os.kill(hub.pid, signal.SIGSTOP)
        try:
            assert [predict(connection) for connection in others] == [[2.0, 4.0]] * len(others)
        finally:
            os.kill(hub.pid, signal.SIGCONT)
        assert [predict(connection) for connection in connections] == [[2.0, 4.0]] * len(connections)
