"""PostgreSQL that is restarted under load: nothing that was acknowledged is lost, and the hub goes on by itself."""

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from hub.protocol import paths
from tests.faults.conftest import flaws
from tests.integration.api.conftest import Caller, Hub, write_saved_model
from tests.support.postgresql import new_cluster

pytestmark = pytest.mark.faults
CALLERS = 4
WITHIN_S = 60.0


@dataclass(slots=True)
class Load:
    """Somebody who makes tokens and moves an alias, one after the other, until told to stop."""

    caller: Caller
    alias: str
    stopped: threading.Event
    tokens: list[str] = field(default_factory=list)
    number: int = 0
    statuses: set[int] = field(default_factory=set)

    def run(self) -> None:
        wanted = 1
        while not self.stopped.is_set():
            made = self.caller.http.post(paths.TOKENS, json={"name": self.alias, "scope": "read"})
            if made.status_code == 201:
                self.tokens.append(made.json()["token"]["id"])
            wanted = 3 - wanted
            moved = self.caller.http.put(paths.alias("acme/trunk", self.alias), json={"number": wanted})
            # Whether a move that was not acknowledged happened is not known.
            self.number = wanted if moved.status_code == 200 else 0
            self.statuses |= {made.status_code, moved.status_code}


def wait_for_more(loads: list[Load]) -> None:
    """Wait until everybody has had something acknowledged again."""
    before = [len(load.tokens) for load in loads]
    until = time.monotonic() + WITHIN_S
    while any(len(load.tokens) <= count for load, count in zip(loads, before, strict=True)):
        assert time.monotonic() < until, "the hub did not come back"
        time.sleep(0.05)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGQUIT], ids=["it is told to stop", "it crashes"])
def test_a_database_that_is_restarted_under_load_loses_nothing_that_was_acknowledged(
    start_hub: Callable[..., Hub], stop: signal.Signals
):
    with new_cluster() as cluster, ThreadPoolExecutor(CALLERS) as pool:
        with cluster.served(stop=stop) as url:
            hub = start_hub(database_url=url, rate_per_s=0)
            for producer in ("one", "two"):
                hub.admin.push("acme/trunk", {"saved_model.pb": write_saved_model(producer=producer)})
            stopped = threading.Event()
            loads = [Load(hub.admin, f"alias{number}", stopped) for number in range(CALLERS)]
            under_way = [pool.submit(load.run) for load in loads]
            wait_for_more(loads)
        try:
            assert hub.nobody.http.get("/readyz").status_code == 503
            for _ in range(2):
                with cluster.served(stop=stop):
                    wait_for_more(loads)
        finally:
            stopped.set()
        for call in under_way:
            call.result()
        with cluster.served(stop=stop):
            assert set().union(*(load.statuses for load in loads)) == {200, 201, 503}
            listed = {token["id"] for token in hub.admin.http.get(paths.TOKENS).raise_for_status().json()["items"]}
            assert listed >= {token for load in loads for token in load.tokens}
            aliases = hub.admin.http.get(paths.aliases("acme/trunk")).raise_for_status().json()["aliases"]
            assert all(load.number in (0, aliases[load.alias]) for load in loads)
            assert flaws(hub.house.settings) == []
