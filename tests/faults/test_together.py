"""Pushes, pulls, sweeps and removals at the same time, slow clients, and a hub that is told to stop meanwhile."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from hub.domain.digests import digest_of
from hub.domain.errors import Conflict
from hub.protocol import paths
from hub.protocol.schemas import PushTicket
from tests.faults.conftest import flaws
from tests.faults.mortal import MortalHub, begun
from tests.integration.api.conftest import Hub, announce, write_saved_model

SHARED = os.urandom(300_000)
AT_ONCE = 4


def files(number: int) -> dict[str, bytes]:
    """A model of which most is shared with the others."""
    return {"saved_model.pb": write_saved_model(producer=f"push {number}"), "assets/shared": SHARED}


def test_the_same_bytes_pushed_at_once_are_one_version(start_hub: Callable[..., Hub]):
    hub = start_hub()
    callers = [hub.admin for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = list(pool.map(lambda caller: caller.push("acme/trunk", files(1)).version.number, callers))
    assert made == [1] * AT_ONCE
    assert flaws(hub.house.settings) == []


def test_other_bytes_pushed_at_once_are_versions_of_their_own_each_whole(start_hub: Callable[..., Hub]):
    hub = start_hub()
    jobs = [(hub.admin, files(number)) for number in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = list(pool.map(lambda job: job[0].push("acme/trunk", job[1]).version, jobs))
    assert sorted(version.number for version in made) == list(range(1, AT_ONCE + 1))
    assert all(version.state.value == "ready" for version in made)
    assert flaws(hub.house.settings) == []


def test_versions_removed_and_swept_while_others_are_pushed_with_the_same_bytes(start_hub: Callable[..., Hub]):
    hub = start_hub(sweep_grace_s=0.0)
    stopped = threading.Event()

    def sweep() -> None:
        while not stopped.is_set():
            try:
                hub.house.sweeps.run()
            except Conflict:
                time.sleep(0.01)  # the hub's own sweep

    sweeper, caller = threading.Thread(target=sweep), hub.admin
    sweeper.start()
    try:
        for number in range(6):
            _push_again(caller, f"acme/m{number}", files(number))
            if number % 2:
                caller.http.delete(paths.model(f"acme/m{number - 1}")).raise_for_status()
                caller.http.delete(paths.model(f"acme/m{number}")).raise_for_status()
    finally:
        stopped.set()
        sweeper.join()
    _push_again(caller, "acme/last", files(0))
    assert flaws(hub.house.settings) == []


def _push_again(caller, model: str, pushed: dict[str, bytes]) -> None:
    """Push; bytes that are just being swept away are sent again in a moment, as the answer says."""
    for _ in range(50):
        try:
            assert caller.push(model, pushed).version.state.value == "ready"
        except AssertionError as error:
            if "swept" not in str(error) and "not stored" not in str(error):
                raise
            time.sleep(0.05)
        else:
            return
    pytest.fail("it was never pushed")


def test_a_version_removed_in_the_middle_of_a_pull_is_pulled_whole_or_not_found(start_hub: Callable[..., Hub]):
    hub = start_hub()
    hub.admin.push("acme/trunk", files(1))
    url = paths.version_blob("acme/trunk", 1, digest_of(SHARED))
    with hub.admin.http.stream("GET", url) as answer:
        hub.admin.http.delete(paths.version("acme/trunk", 1)).raise_for_status()
        assert b"".join(answer.iter_bytes()) == SHARED
    assert hub.admin.http.get(paths.manifest("acme/trunk", 1)).status_code == 404
    assert flaws(hub.house.settings) == []


def test_clients_that_never_finish_their_requests_hold_up_nobody(start_hub: Callable[..., Hub]):
    hub = start_hub()
    address = httpx2.URL(hub.url)
    slow = [socket.create_connection((address.host, address.port)) for _ in range(60)]
    for line in slow[:30]:
        line.sendall(b"GET /api/v1/models HTTP/1.1\r\nHost: hub\r\nX-Slow: ")
    for line in slow[30:]:
        line.sendall(b"POST /api/v1/pushes HTTP/1.1\r\nHost: hub\r\nContent-Length: 5000\r\n\r\n{")
    assert hub.admin.push("acme/trunk", files(1)).version.state.value == "ready"
    for line in slow:
        line.close()
    assert flaws(hub.house.settings) == []


def test_a_hub_told_to_stop_takes_the_blob_that_is_coming_and_the_push_goes_on_with_the_next_hub(
    mortal: Callable[..., MortalHub],
):
    hub = mortal()
    pushed = files(1)
    with hub.client() as client:
        ticket = PushTicket.model_validate(begun(client, "acme/trunk", announce(pushed)).json())
        token = client.headers["Authorization"]
    place = httpx2.URL(hub.url)
    with socket.create_connection((place.host, place.port)) as line:
        path = paths.push_blob(str(ticket.push_id), digest_of(SHARED))
        head = f"PUT {path} HTTP/1.1\r\nHost: hub\r\nAuthorization: {token}\r\nContent-Length: {len(SHARED)}\r\n\r\n"
        line.sendall(head.encode() + SHARED[:100_000])
        time.sleep(0.3)
        os.kill(hub.pid, signal.SIGTERM)
        time.sleep(0.3)
        line.sendall(SHARED[100_000:])
        assert line.recv(1000).startswith(b"HTTP/1.1 204")
    hub.wait_until_gone()
    hub.start()
    with hub.client() as client:
        again = PushTicket.model_validate(begun(client, "acme/trunk", announce(pushed)).json())
    assert again.push_id == ticket.push_id
    assert again.missing == (digest_of(pushed["saved_model.pb"]),)
    assert hub.push("acme/trunk", pushed) == "ready"
    assert flaws(hub.settings) == []
