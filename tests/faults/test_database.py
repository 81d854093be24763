"""A database that goes away in the middle: nothing half, and the same again works."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import closing

import httpx2
import psycopg
import pytest
from alembic import op

from hub.storage.catalog import Catalog
from hub.storage.catalog.migrate import current_revision
from tests.faults.conftest import flaws
from tests.integration.api.conftest import Hub, write_saved_model


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/hub.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.mark.parametrize("at", [1, 12, 25])
def test_a_migration_that_is_killed_leaves_what_was_there_and_is_done_again(database_url: str, at: int):
    child = os.fork()
    if not child:
        calls, original = [], op.create_index

        def dying(*arguments: object, **named: object) -> object:
            calls.append(arguments)
            if len(calls) == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **named)

        op.create_index = dying
        Catalog(database_url).migrate()
        os._exit(0)
    ended = os.waitpid(child, 0)[1]
    with closing(Catalog(database_url)) as catalog:
        if os.WIFSIGNALED(ended):
            with catalog.read() as tx:
                assert current_revision(tx.connection) == "base"
        else:
            assert at == 25  # there are not so many
        catalog.migrate()
        catalog.check()


def test_a_database_that_drops_its_connections_costs_at_most_a_503(
    start_hub: Callable[..., Hub], postgresql: str, postgresql_url: str
):
    hub = start_hub(database_url=postgresql_url)
    caller = hub.admin
    stopped = threading.Event()
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'trunkhub'"

    def terminate() -> None:
        with psycopg.connect(postgresql, autocommit=True) as connection:
            while not stopped.wait(0.02):
                connection.execute(others)

    killer = threading.Thread(target=terminate)
    statuses: set[int] = set()

    def noted(response: httpx2.Response) -> None:
        statuses.add(response.status_code)

    caller.http.event_hooks["response"].append(noted)
    files = {"saved_model.pb": write_saved_model()}
    killer.start()
    try:
        for _ in range(10):
            try:
                caller.push("acme/trunk", files)
            except AssertionError:
                continue
    finally:
        stopped.set()
        killer.join()
    assert caller.push("acme/trunk", files).version.number == 1
    assert statuses <= {200, 201, 204, 503}
    assert flaws(hub.house.settings) == []
