"""Serving while things change: aliases move, workers die, heads come and go."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hub import Client
from hub.domain.errors import HubError, InvalidRequest
from tests.e2e.conftest import RunningHub

pytestmark = pytest.mark.slow
ONE = np.ones((1, 2), np.float32)


def save_scaled(folder: Path, by: float, *, width: int, name: str) -> Path:
    """A model that gives ``by`` times the sum of each row."""

    signature = tf.function(
        lambda x: {"scores": by * tf.reduce_sum(x, axis=1)},
        input_signature=[tf.TensorSpec([None, width], tf.float32, name=name)],
    )
    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": signature})
    return folder


@pytest.fixture(scope="module")
def client(running_hub: RunningHub) -> Iterator[Client]:
    with Client(running_hub.url, running_hub.token) as client:
        yield client


@contextmanager
def crowd(call: Callable[[], float], size: int = 4) -> Iterator[list[tuple[float, float | HubError]]]:
    """Call from several threads all the while; gives how long each call took and what it gave."""
    stop = threading.Event()
    seen: list[tuple[float, float | HubError]] = []

    def work() -> None:
        while not stop.is_set():
            began = time.perf_counter()
            try:
                given: float | HubError = call()
            except HubError as error:
                given = error
            seen.append((time.perf_counter() - began, given))

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(work) for _ in range(size)]
        try:
            yield seen
        finally:
            stop.set()
            for future in futures:
                future.result()


def until(seen: list[tuple[float, float | HubError]], wanted: Callable[[float | HubError], bool]) -> None:
    """Wait until a call gives what is wanted."""
    end = time.monotonic() + 60
    at = len(seen)
    while not any(wanted(given) for _, given in seen[at:]):
        assert time.monotonic() < end, seen[-3:]
        time.sleep(0.05)


def score(client: Client, reference: str) -> float:
    return float(client.predict(reference, ONE)["scores"][0])


def test_an_alias_that_moves_fails_nobody_and_makes_nobody_wait_for_a_load(client: Client, tmp_path: Path) -> None:
    for number, by in enumerate((1.0, 10.0), 1):
        client.push(save_scaled(tmp_path / str(number), by, width=2, name="x"), "acme/moving")
    client.set_alias("acme/moving", "stable", 1)
    assert score(client, "acme/moving:stable") == 2.0
    with crowd(lambda: float(client.predict("acme/moving:stable", ONE)["scores"][0])) as seen:
        until(seen, lambda given: given == 2.0)
        begin = len(seen)
        client.set_alias("acme/moving", "stable", 2)
        until(seen, lambda given: given == 20.0)
    assert {given for _, given in seen} == {2.0, 20.0}
    turned = [given for _, given in seen[begin:]]
    assert turned.count(2.0) > 0
    assert not any(given == 2.0 for given in turned[-4:])


def test_a_worker_that_is_killed_again_and_again_fails_nobody_who_tries_again(
    client: Client, running_hub: RunningHub, tmp_path: Path
) -> None:
    client.push(save_scaled(tmp_path / "model", 3.0, width=2, name="x"), "acme/steady")
    assert score(client, "acme/steady@1") == 6.0
    with crowd(lambda: score(client, "acme/steady@1")) as seen:
        for _ in range(2):
            until(seen, lambda given: given == 6.0)
            (worker,) = client.workers().items
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
            until(seen, lambda given: given == 6.0)
    assert {given for _, given in seen} == {6.0}


def test_one_input_is_answered_by_all_heads_of_a_trunk(client: Client, tiny_models: Path, tmp_path: Path) -> None:
    client.push(tiny_models / "trunk", "acme/trunk")
    for by in (1.0, 2.0, 3.0):
        folder = save_scaled(tmp_path / str(by), by, width=3, name="features")
        client.push(folder, f"acme/head{int(by)}", head_of="acme/trunk@1")
    answers = client.predict_heads("acme/trunk", np.array([[1, 2], [0, 1]], np.float32))
    assert {name: list(outputs["scores"]) for name, outputs in answers.items()} == {
        "acme/head1@1": [6.0, 2.0],
        "acme/head2@1": [12.0, 4.0],
        "acme/head3@1": [18.0, 6.0],
    }
    some = client.predict_heads("acme/trunk@1", ONE, ["acme/head3", "acme/head1@1", "acme/head1"])
    assert sorted(some) == ["acme/head1@1", "acme/head3@1"]
    for name, outputs in some.items():
        alone = client.predict(name, ONE)["scores"]
        np.testing.assert_allclose(outputs["scores"], alone, rtol=1e-6)
    with pytest.raises(InvalidRequest, match="no head of acme/trunk@1"):
        client.predict_heads("acme/trunk", ONE, ["acme/steady"])


def test_a_new_head_of_a_loaded_trunk_answers_in_no_time(client: Client, tmp_path: Path) -> None:
    client.push(save_scaled(tmp_path / "new", 5.0, width=3, name="features"), "acme/new", head_of="acme/trunk@1")
    began = time.perf_counter()
    assert score(client, "acme/new@1") == 20.0
    took_s = time.perf_counter() - began
    print(f"the first answer of a new head took {took_s:.2f} s")
