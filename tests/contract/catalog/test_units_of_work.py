"""What a unit of work writes is kept whole or not at all, and everybody gets a turn."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.domain.access import HUB
from hub.domain.errors import (
    Conflict,
    InvalidRequest,
    ModelNotFound,
    NotAvailable,
)
from hub.domain.names import ModelName
from hub.storage.catalog.catalog import Catalog


def test_a_unit_of_work_is_kept_whole(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        version = make.add(tx, make.TRUNK, "one")
    with catalog.read() as tx:
        assert tx.version(make.TRUNK, 1) == version


def test_a_unit_of_work_that_fails_leaves_nothing(catalog: Catalog, make: Any) -> None:
    def fail() -> None:
        with catalog.begin() as tx:
            make.add(tx, make.TRUNK, "one")
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    with catalog.begin() as tx:
        with pytest.raises(ModelNotFound, match=r"acme/trunk"):
            tx.model(make.TRUNK)
        assert make.add(tx, make.TRUNK, "two").number == 1


def test_what_is_not_committed_is_not_seen(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        make.add(tx, make.TRUNK, "one")
        with catalog.read() as other:
            assert other.models(view=HUB.view, limit=10) == []


@pytest.mark.slow
def test_a_value_the_database_cannot_hold_is_the_callers_fault(postgresql_url: str, make: Any) -> None:
    catalog = Catalog(postgresql_url)
    catalog.migrate()

    def write() -> None:
        with catalog.begin() as tx:
            make.add(tx, make.TRUNK, "one")
            tx.set_card(make.TRUNK, "a\x00b")

    with pytest.raises(InvalidRequest, match="NUL"):
        write()
    catalog.close()


def test_a_row_that_refers_to_nothing_is_a_conflict(catalog: Catalog, make: Any) -> None:
    def write() -> None:
        with catalog.begin() as tx:
            make.add(tx, make.TRUNK, "one")
            tx.move_alias(make.TRUNK, "stable", 7, by="ada", decided_at=datetime.now(UTC))

    with pytest.raises(Conflict, match="at the same time"):
        write()


def test_many_readers_and_writers_at_once_all_get_their_turn(catalog: Catalog, make: Any) -> None:
    start = threading.Barrier(16)

    def work(index: int) -> None:
        start.wait()
        for round_number in range(5):
            with catalog.begin() as tx:
                make.ready(tx, ModelName("acme", f"m{index}"), f"{index} {round_number}")
            with catalog.read() as tx:
                tx.models(view=HUB.view, limit=100)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    with catalog.read() as tx:
        assert [model.latest for model in tx.models(view=HUB.view, limit=100)] == [5] * 16


@pytest.mark.parametrize(
    "url", ["mysql://host/db", "sqlite://", "sqlite:///:memory:", "no url", "", "postgresql+nonsense"]
)
def test_a_url_of_another_database_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(InvalidRequest, match="sqlite:////path"):
        Catalog(url)


def test_a_database_that_is_away_is_not_available_and_its_password_not_shown() -> None:
    catalog = Catalog("postgresql://ada:secret@127.0.0.1:9/db")
    for ask in (catalog.check, catalog.migrate):
        with pytest.raises(NotAvailable, match="cannot be used") as raised:
            ask()
        assert "secret" not in str(raised.value)


def test_a_file_that_is_no_database_is_not_available(tmp_path: Path) -> None:
    (tmp_path / "hub.db").write_bytes(b"not a database" * 100)
    with pytest.raises(NotAvailable, match="not a database"):
        Catalog(f"sqlite:///{tmp_path}/hub.db").check()


_HOLDER = """
import sqlite3, sys

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.mark.slow
def test_a_writer_waits_for_another_process(tmp_path: Path, make: Any) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path}/hub.db")
    catalog.migrate()
    command = [sys.executable, "-c", _HOLDER, str(tmp_path / "hub.db")]

    def write() -> int:
        with catalog.begin() as tx:
            return make.add(tx, make.TRUNK, "one").number

    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        assert other.stdout.readline() == "held\n"
        waiting = pool.submit(write)
        with catalog.read() as tx:
            assert tx.validating() == []
        other.communicate("let go\n")
        assert waiting.result() == 1
    catalog.close()
