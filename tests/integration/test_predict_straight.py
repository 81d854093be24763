"""Predictions that are answered where they are parsed: the second of two equal binary requests goes that way."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hub.api.patience import Patience
from hub.domain.errors import ModelFailed, WorkerLost
from hub.domain.versions import Version
from tests.support.arrays_hub import X_TO_Y, Hub, half_plus_two, raising, running_hub

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def half(hub: Hub) -> Version:
    version = hub.add("acme/half", [X_TO_Y], half_plus_two)
    for _ in range(2):  # the version is loaded and the header known after the first
        assert ask(hub, request("acme/half", 1.0))[0] == 200
    return version


def request(model: str, value: float, *lines: str, rows: int = 1) -> bytes:
    x = {"name": "x", "datatype": "FP32", "shape": [rows, 1], "parameters": {"binary_data_size": 4 * rows}}
    head = json.dumps({"inputs": [x], "parameters": {"binary_data_output": True}}).encode()
    body = head + np.full(rows, value, "<f4").tobytes()
    sent = [
        f"POST /v2/models/{model}/infer HTTP/1.1",
        "Host: hub",
        f"Content-Length: {len(body)}",
        f"Inference-Header-Content-Length: {len(head)}",
        *lines,
    ]
    return "\r\n".join(sent).encode() + b"\r\n\r\n" + body


@contextmanager
def connected(hub: Hub) -> Iterator[socket.socket]:
    place = urlsplit(hub.url)
    with closing(socket.create_connection((place.hostname, place.port), timeout=20)) as connection:
        yield connection


def read(connection: socket.socket, left: bytearray) -> tuple[int, dict[str, str], bytes]:
    """One answer; what came after it stays in ``left``."""
    while b"\r\n\r\n" not in left:
        left += connection.recv(65536) or pytest.fail("the connection ended")
    head, _, rest = bytes(left).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    size = int(headers["content-length"])
    while len(rest) < size:
        rest += connection.recv(65536) or pytest.fail("the connection ended")
    left[:] = rest[size:]
    return int(status.split()[1]), headers, rest[:size]


def ask(hub: Hub, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    with connected(hub) as connection:
        connection.sendall(sent)
        return read(connection, bytearray())


def number(body: bytes) -> float:
    return float(np.frombuffer(body[-4:], "<f4")[0])


def counted(hub: Hub, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(hub.get("/metrics").text)
    samples = (sample for family in families for sample in family.samples if sample.name == name)
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def test_it_answers_as_the_usual_way_does(hub: Hub, half: Version) -> None:
    before = hub.engine.straight
    straight = ask(hub, request("acme/half", 3.0))
    assert hub.engine.straight == before + 1
    with connected(hub) as connection:
        connection.sendall(request("acme/half", 3.0, "Expect: 100-continue"))
        told = b"HTTP/1.1 100 Continue\r\n\r\n"
        assert connection.recv(len(told)) == told
        usual = read(connection, bytearray())
    assert hub.engine.straight == before + 1
    assert number(straight[2]) == 3.5
    assert (usual[0], set(usual[1]), usual[2]) == (straight[0], set(straight[1]), straight[2])


def test_the_request_id_is_the_senders_where_it_is_sane(hub: Hub, half: Version) -> None:
    assert ask(hub, request("acme/half", 1, "X-Request-Id: mine-7"))[1]["x-request-id"] == "mine-7"
    forged = ask(hub, request("acme/half", 1, "X-Request-Id: a b\tc"))[1]["x-request-id"]
    assert len(forged) == 32


def test_requests_sent_together_are_answered_in_order(hub: Hub, half: Version) -> None:
    unknown = request("acme/nothing", 1)
    empty = b"POST /v2/models/acme/half/infer HTTP/1.1\r\nHost: hub\r\nContent-Length: 0\r\n\r\n"
    with connected(hub) as connection:
        connection.sendall(
            b"".join([request("acme/half", 2), request("acme/half", 4), unknown, empty, request("acme/half", 6)])
        )
        left = bytearray()
        answers = [read(connection, left) for _ in range(5)]
    assert [answer[0] for answer in answers] == [200, 200, 404, 422, 200]
    assert [number(answers[at][2]) for at in (0, 1, 4)] == [3.0, 4.0, 5.0]


def test_who_sends_one_head_again_is_answered_the_same_whatever_comes_between(hub: Hub, half: Version) -> None:
    unknown, ready = request("acme/nothing", 1), b"GET /v2/health/live HTTP/1.1\r\nHost: hub\r\n\r\n"
    with connected(hub) as connection:
        left, told = bytearray(), []
        for value in range(3):
            for sent, status in ((request("acme/half", value), 200), (unknown, 404), (ready, 200)):
                connection.sendall(sent)
                answer = read(connection, left)
                assert answer[0] == status
                told += [number(answer[2])] if sent.startswith(b"POST /v2/models/acme/half") else []
        assert told == [2.0, 2.5, 3.0]
        connection.sendall(request("acme/half", 6)[:-2])  # the head is known, the body is not here whole
        time.sleep(0.05)
        connection.sendall(request("acme/half", 6)[-2:] + request("acme/half", 8))
        assert [number(read(connection, left)[2]) for _ in range(2)] == [5.0, 6.0]


def test_a_long_head_is_parsed_each_time_and_a_body_may_look_like_the_end_of_a_head(hub: Hub, half: Version) -> None:
    hub.front.heads.clear()
    like_an_end = float(np.frombuffer(b"\r\n\r\n", "<f4")[0])
    for sent in (request("acme/half", 1, f"X-Long: {'a' * 4_000}"), request("acme/half", like_an_end)):
        for _ in range(3):
            assert ask(hub, sent)[0] == 200
    (head,) = hub.front.heads
    assert head.endswith(b"\r\n\r\n")
    assert head.count(b"\r\n") == 5


def test_a_known_head_is_no_way_around_its_token_or_its_model(hub: Hub) -> None:
    hub.add("acme/hidden", [X_TO_Y], half_plus_two, is_private=True)
    sent = request("acme/hidden", 1, f"Authorization: Bearer {hub.secret}")
    with connected(hub) as connection:
        left = bytearray()
        for _ in range(3):
            connection.sendall(sent)
            assert read(connection, left)[0] == 200
        connection.sendall(request("acme/hidden", 1))
        assert read(connection, left)[0] == 404
        hub.house.access.known.forget()
        connection.sendall(sent.replace(hub.secret.encode(), hub.secret.swapcase().encode()))
        assert read(connection, left)[0] == 401


def test_what_a_known_head_runs_into_is_answered_in_its_turn(hub: Hub) -> None:
    fails = threading.Event()

    def sometimes(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return raising(ModelFailed("It divides by zero."))(inputs) if fails.is_set() else half_plus_two(inputs)

    hub.add("acme/sometimes", [X_TO_Y], sometimes)
    with connected(hub) as connection:
        left = bytearray()
        for _ in range(3):
            connection.sendall(request("acme/sometimes", 1))
            assert read(connection, left)[0] == 200
        fails.set()
        connection.sendall(request("acme/sometimes", 1))
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: hub\r\n\r\n")
        assert [read(connection, left)[0] for _ in range(2)] == [422, 200]
        fails.clear()
        connection.sendall(request("acme/sometimes", 1))
        assert number(read(connection, left)[2]) == 2.5


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("/v1/models/acme/half:predict", {"instances": [[3.0], [4.0]]}, {"predictions": [[3.5], [4.0]]}),
        ("/v1/models/acme/half:predict", {"inputs": {"x": [[5.0]]}}, {"outputs": [[4.5]]}),
    ],
)
def test_json_is_answered_straight_as_well(
    hub: Hub, half: Version, path: str, body: dict[str, object], answer: dict[str, object]
) -> None:
    text = json.dumps(body).encode()
    sent = f"POST {path} HTTP/1.1\r\nHost: hub\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text
    before = hub.engine.straight
    for _ in range(3):
        status, headers, told = ask(hub, sent)
        assert (status, headers["content-type"], json.loads(told)) == (200, "application/json", answer)
    assert hub.engine.straight == before + 3


def test_a_long_answer_in_json_is_written_beside_others(hub: Hub) -> None:
    rows = 40_000
    hub.add("acme/long", [X_TO_Y], lambda inputs: {"y": np.repeat(inputs["x"], rows, axis=0)})
    x = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [0.5]}
    text = json.dumps({"inputs": [x]}).encode()
    head = f"POST /v2/models/acme/long/infer HTTP/1.1\r\nHost: hub\r\nContent-Length: {len(text)}\r\n\r\n"
    for _ in range(3):
        status, _, told = ask(hub, head.encode() + text)
        output = json.loads(told)["outputs"][0]
        assert (status, output["shape"], set(output["data"])) == (200, [rows, 1], {0.5})


def test_a_body_may_come_byte_by_byte(hub: Hub, half: Version) -> None:
    sent = request("acme/half", 8)
    with connected(hub) as connection:
        for at in range(len(sent)):
            connection.sendall(sent[at : at + 1])
        assert number(read(connection, bytearray())[2]) == 6.0


def test_a_large_body_comes_in_pieces_and_its_head_is_parsed_once(hub: Hub, half: Version) -> None:
    rows = 200_000
    hub.front.heads.clear()
    with connected(hub) as connection:
        left = bytearray()
        for value in range(4):
            sent = request("acme/half", value, rows=rows)
            for at in range(0, len(sent), 150_000):
                connection.sendall(sent[at : at + 150_000])
                time.sleep(0.005)
            status, _, body = read(connection, left)
            assert (status, number(body)) == (200, value / 2 + 2)
            assert np.all(np.frombuffer(body[-4 * rows :], "<f4") == value / 2 + 2)
        head = sent[: sent.index(b"\r\n\r\n") + 4]
        assert list(hub.front.heads) == [head]
        # More than the body came: the next request begins within the last piece.
        connection.sendall(sent[:-2])
        time.sleep(0.05)
        connection.sendall(sent[-2:] + request("acme/half", 6) + request("acme/nothing", 6))
        assert [read(connection, left)[0] for _ in range(3)] == [200, 200, 404]


def test_a_body_that_comes_slowly_is_looked_after_as_any_other(tmp_path: Path) -> None:
    short = Patience(look_every_s=0.05, idle_s=30, body_s=0.4, body_rate=2_000)
    with running_hub(tmp_path, short) as hub:
        hub.add("acme/half", [X_TO_Y], half_plus_two)
        sent = request("acme/half", 5, rows=1_000)
        for _ in range(2):
            ask(hub, sent)
        assert hub.front.heads
        with connected(hub) as connection:
            left = bytearray()
            for _ in range(2):
                connection.sendall(sent[:3_000])
                time.sleep(0.2)
                connection.sendall(sent[3_000:])
                assert number(read(connection, left)[2]) == 4.5
            connection.sendall(sent[:-1])
            assert read(connection, left)[0] == 408


def test_a_known_head_may_leave_its_body_behind(hub: Hub, half: Version) -> None:
    sent = request("acme/half", 1, rows=1_000)
    ask(hub, sent)
    open_before = counted(hub, "hub_requests_open_count")
    with connected(hub) as connection:
        connection.sendall(sent[:-1])
        time.sleep(0.05)
    assert ask(hub, sent)[0] == 200
    assert counted(hub, "hub_requests_open_count") == open_before


def test_a_head_that_ends_otherwise_is_not_taken_for_a_longer_one(hub: Hub, half: Version) -> None:
    """Its lines end without carriage returns, so that what looks like the end of a head is in its body."""
    hub.front.heads.clear()
    like_an_end = float(np.frombuffer(b"\r\n\r\n", "<f4")[0])
    head, _, body = request("acme/half", like_an_end).partition(b"\r\n\r\n")
    sent = head.replace(b"\r\n", b"\n") + b"\n\n" + body
    ask(hub, sent)
    assert not hub.front.heads


def test_it_is_counted_once_with_its_bytes(hub: Hub, half: Version) -> None:
    route = {"route": "/v2/models/{owner}/{name}/infer", "status": "200"}
    names = ("hub_requests_handled_total", "hub_predictions_answered_total", "hub_requests_received_bytes_total")
    labels = (route, {"protocol": "oip", "outcome": "answered"}, {})
    before = [counted(hub, name, **label) for name, label in zip(names, labels, strict=True)]
    sent = request("acme/half", 1)
    ask(hub, sent)
    after = [counted(hub, name, **label) for name, label in zip(names, labels, strict=True)]
    body = len(sent.partition(b"\r\n\r\n")[2])
    assert [late - early for early, late in zip(before, after, strict=True)] == [1, 1, body]
    assert counted(hub, "hub_requests_open_count") == 1  # who asks for it


@pytest.mark.parametrize("error", [ModelFailed("It divides by zero."), WorkerLost("The worker died.")])
def test_an_error_is_a_problem_and_counted_once(hub: Hub, error: ModelFailed | WorkerLost) -> None:
    name = f"acme/{error.code}"
    hub.add(name, [X_TO_Y], raising(error))
    sent = request(name, 1)
    ask(hub, sent)
    calls = len(hub.engine.deadlines_s)
    before = counted(hub, "hub_predictions_answered_total", outcome=error.code)
    status, headers, body = ask(hub, sent)
    assert (status, headers["content-type"]) == (error.status, "application/problem+json")
    assert json.loads(body)["code"] == error.code
    assert error.detail in json.loads(body)["error"]
    assert counted(hub, "hub_predictions_answered_total", outcome=error.code) == before + 1
    assert len(hub.engine.deadlines_s) == calls + 1, "it was computed again"


def test_a_wrong_token_is_refused_and_a_revoked_one_at_once(hub: Hub, half: Version) -> None:
    line = f"Authorization: Bearer {hub.secret}"
    assert [ask(hub, request("acme/half", 1, line))[0] for _ in range(2)] == [200, 200]
    hub.house.access.known.forget()
    assert ask(hub, request("acme/half", 1, line[:-1]))[0] == 401


def test_the_deadline_is_the_senders(hub: Hub, half: Version) -> None:
    assert ask(hub, request("acme/half", 1, "Hub-Deadline-Ms: 1500"))[0] == 200
    assert hub.engine.deadlines_s[-1] == 1.5
    assert ask(hub, request("acme/half", 1, "Hub-Deadline-Ms: soon"))[0] == 422


def test_who_leaves_is_counted_as_cancelled_and_leaves_nothing_open(hub: Hub) -> None:
    may_go = threading.Event()
    first = threading.Event()

    def slow(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if first.is_set():
            may_go.wait(20)
        return half_plus_two(inputs)

    hub.add("acme/slow", [X_TO_Y], slow)
    ask(hub, request("acme/slow", 1))
    first.set()
    before = counted(hub, "hub_predictions_answered_total", outcome="cancelled")
    try:
        with connected(hub) as connection:
            connection.sendall(request("acme/slow", 1))
            while counted(hub, "hub_requests_open_count") < 2:
                time.sleep(0.01)
        give_up = time.monotonic() + 10
        while counted(hub, "hub_predictions_answered_total", outcome="cancelled") == before:
            assert time.monotonic() < give_up
            time.sleep(0.01)
    finally:
        may_go.set()
    assert counted(hub, "hub_requests_open_count") == 1


def test_a_hub_that_stops_answers_what_is_under_way_and_closes(tmp_path_factory: pytest.TempPathFactory) -> None:
    entered, may_go = threading.Event(), threading.Event()
    calls: list[int] = []

    def slow(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        calls.append(1)
        if len(calls) > 1:
            entered.set()
            may_go.wait(20)
        return half_plus_two(inputs)

    with running_hub(tmp_path_factory.mktemp("stopping")) as hub:
        hub.add("acme/slow", [X_TO_Y], slow)
        ask(hub, request("acme/slow", 1))
        connection = socket.create_connection((urlsplit(hub.url).hostname, urlsplit(hub.url).port), timeout=20)
        connection.sendall(request("acme/slow", 2))
        assert entered.wait(20)
        threading.Timer(0.5, may_go.set).start()
    with closing(connection):
        status, headers, body = read(connection, bytearray())
        assert (status, headers.get("connection"), number(body)) == (200, "close", 3.0)
        assert connection.recv(1) == b""


def test_a_hub_that_stops_answers_a_known_head_whose_body_is_on_its_way(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with running_hub(tmp_path_factory.mktemp("stopping")) as hub:
        hub.add("acme/half", [X_TO_Y], half_plus_two)
        sent = request("acme/half", 2)
        for _ in range(2):
            ask(hub, sent)
        assert hub.front.heads
        connection = socket.create_connection((urlsplit(hub.url).hostname, urlsplit(hub.url).port), timeout=20)
        connection.sendall(sent[:-1])
        time.sleep(0.05)
        threading.Timer(0.5, connection.sendall, [sent[-1:]]).start()
    with closing(connection):
        status, headers, body = read(connection, bytearray())
        assert (status, headers.get("connection"), number(body)) == (200, "close", 3.0)
