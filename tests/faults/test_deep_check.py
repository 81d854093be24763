"""``hub admin doctor --deep`` names each thing that is wrong, and nothing where nothing is."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from hub.cli.main import app
from hub.domain.digests import digest_of
from hub.storage.blobs.layout import path_of
from tests.faults.conftest import flaws, looked
from tests.integration.api.conftest import GOLDEN, Hub, write_saved_model

WORDS = b"words " * 1_000
NAME = "acme/trunk"


@pytest.fixture
def hub(start_hub: Callable[..., Hub]) -> Hub:
    """A hub with one version."""
    started = start_hub()
    started.admin.push(NAME, {"saved_model.pb": write_saved_model(), "assets/words.txt": WORDS})
    return started


def place(hub: Hub, data: bytes) -> Path:
    """Where a blob lies."""
    return hub.house.settings.data_path / "blobs" / path_of(digest_of(data))


@pytest.fixture
def database(hub: Hub) -> Iterator[sqlite3.Connection]:
    """The database as somebody with a shell has it, without what it enforces."""
    path = hub.house.settings.data_path / "hub.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def test_a_hub_that_is_well_has_no_flaws_and_every_byte_was_read(hub: Hub):
    seen = looked(hub.house.settings)
    assert (seen.ok, seen.versions, seen.blobs, seen.flaws) == (True, 1, 4, ())  # two files, manifest, golden samples
    assert seen.read_bytes > len(WORDS)


def test_bytes_that_are_gone_and_bytes_that_changed_are_named_with_who_needs_them(hub: Hub):
    place(hub, WORDS).unlink()
    damaged = place(hub, GOLDEN)
    damaged.chmod(0o644)
    damaged.write_bytes(GOLDEN[::-1])
    seen = looked(hub.house.settings)
    assert [(flaw.code, flaw.thing) for flaw in seen.flaws] == [
        ("blob.absent", digest_of(WORDS)),
        ("blob.damaged", digest_of(GOLDEN)),
    ]
    assert all(f"{NAME}@1" in flaw.detail and "push the version again" in flaw.remedy for flaw in seen.flaws)
    assert (seen.ok, seen.flaw_count) == (False, 2)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("DELETE FROM blobs WHERE digest = (SELECT digest FROM versions)", "blob.unlisted"),
        ("DELETE FROM version_blobs WHERE digest = (SELECT digest FROM versions)", "blob.unkept"),
        ("UPDATE versions SET manifest = CAST('{}' AS BLOB)", "manifest.damaged"),
        ("UPDATE versions SET size = 5", "manifest.differs"),
        ("UPDATE numbers SET last = 0", "number.behind"),
        ("UPDATE blobs SET state = 'deleting' WHERE digest = (SELECT digest FROM versions)", "blob.state"),
        ("INSERT INTO aliases VALUES ('acme/trunk', 'stable', 9, '2026-01-01')", "reference.dangling"),
        ("INSERT INTO blobs VALUES ('sha256:0', 7, 'condemned', '2026-01-01', '2026-01-01')", "blob.overdue"),
    ],
)
def test_rows_that_contradict_each_other_are_named(hub: Hub, database: sqlite3.Connection, change: str, code: str):
    database.execute(change)
    assert [found for found, _ in flaws(hub.house.settings)] == [code]


def test_what_a_sweep_will_take_is_counted_and_no_flaw(hub: Hub):
    hub.house.pushes.blobs.put(digest_of(b"left by a crash"), [b"left by a crash"], 15)
    hub.admin.http.delete("/api/v1/models/acme/trunk/versions/1").raise_for_status()
    seen = looked(hub.house.settings)
    assert (seen.ok, seen.unknown, seen.unneeded) == (True, 1, 4)


def test_the_command_prints_flaws_and_ends_with_one(hub: Hub):
    command = ["admin", "doctor", "--deep", "--data-dir", str(hub.house.settings.data_path)]
    well = CliRunner().invoke(app, [*command, "--json"])
    assert (well.exit_code, orjson.loads(well.stdout[well.stdout.index("{\n") :])["deep"]["ok"]) == (0, True)
    place(hub, WORDS).unlink()
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 1
    assert f"blob.absent\t{digest_of(WORDS)}\tIt is not in the store. {NAME}@1 need it." in told.stdout
    assert "1 flaws." in told.stderr
