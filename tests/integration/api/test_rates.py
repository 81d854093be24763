"""Callers who ask too much at once, through a real hub."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx2
import pytest

from hub.domain.access import Scope
from hub.protocol import paths
from hub.protocol.people import REPORT
from tests.support.arrays_hub import X_TO_Y, Hub, half_plus_two, running_hub

MOST = 3
INPUTS = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1.0]}]}
INFER = "/v2/models/acme/slow/infer"


def test_who_changes_too_much_is_told_when_to_come_back(start_hub):
    hub = start_hub(rate_per_s=0.01, rate_burst=MOST, anonymous="read")
    admin = hub.caller(Scope.WRITE)
    wanted = [admin.http.post(paths.PUSHES, json={}) for _ in range(MOST)]
    assert {answer.status_code for answer in wanted} == {422}
    refused = admin.http.post(paths.PUSHES, json={})
    assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
    assert 0 < int(refused.headers["retry-after"]) <= 100
    assert admin.http.get(paths.MODELS).status_code == 200, "reading is not counted"
    assert hub.caller(Scope.WRITE).http.post(paths.PUSHES, json={}).status_code == 422, (
        "another token is another caller"
    )


def test_people_without_a_token_are_counted_by_their_address(start_hub):
    hub = start_hub(rate_per_s=0.01, rate_burst=MOST, anonymous="read")
    for _ in range(MOST):
        assert hub.nobody.http.post(REPORT, json={"secrets": ["nothing"]}).status_code == 202
    assert hub.nobody.http.post(REPORT, json={"secrets": ["nothing"]}).status_code == 429
    assert hub.nobody.http.delete(paths.model("acme/cats")).status_code == 429
    assert hub.admin.http.delete(paths.model("acme/cats")).status_code == 404


def test_a_rate_of_none_counts_nothing(start_hub):
    hub = start_hub(rate_per_s=0, rate_burst=1)
    assert {hub.admin.http.post(paths.PUSHES, json={}).status_code for _ in range(20)} == {422}


def test_the_blobs_of_a_push_are_not_counted(start_hub, saved_model):
    hub = start_hub(rate_per_s=0.01, rate_burst=3)
    files = {"saved_model.pb": saved_model()} | {f"assets/{number}": b"%d" % number for number in range(12)}
    assert hub.admin.push("acme/half", files).version.state == "ready"


@dataclass(frozen=True, slots=True)
class Slow:
    """A hub with a model that answers once it may."""

    hub: Hub
    gate: threading.Event
    begun: threading.Semaphore


@pytest.fixture
def slow(tmp_path) -> Iterator[Slow]:
    gate, begun = threading.Event(), threading.Semaphore(0)

    def compute(inputs):
        begun.release()
        gate.wait(20)
        return half_plus_two(inputs)

    with running_hub(tmp_path, requests_in_flight=4) as hub:
        hub.add("acme/slow", [X_TO_Y], compute)
        yield Slow(hub, gate, begun)
        gate.set()


def test_one_caller_leaves_room_for_others(slow):
    headers = {"Authorization": f"Bearer {slow.hub.secret}"}

    def ask(**headers: str) -> httpx2.Response:
        return httpx2.post(slow.hub.url + INFER, json=INPUTS, headers=headers, timeout=30)

    with ThreadPoolExecutor(8) as threads:
        under_way = [threads.submit(ask, **headers) for _ in range(MOST)]
        for _ in range(MOST):
            assert slow.begun.acquire(timeout=10)
        refused = ask(**headers)
        assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
        assert int(refused.headers["retry-after"]) > 0
        somebody_else = threads.submit(ask)
        assert slow.begun.acquire(timeout=10)
        slow.gate.set()
        assert {future.result().status_code for future in [*under_way, somebody_else]} == {200}
        assert ask(**headers).status_code == 200
