"""``hub admin sweep`` from a shell: data on stdout, prose on stderr, exit codes."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from hub.domain.digests import digest_of
from hub.settings import Settings
from hub.storage.blobs import open_store
from hub.storage.blobs.layout import path_of
from hub.storage.catalog import Catalog


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a hub with one blob that nobody needs."""
    settings = Settings(data_dir=tmp_path / "data")
    catalog = Catalog(settings.database)
    catalog.migrate()
    open_store(settings.storage).put(digest_of(b"unneeded"), [b"unneeded"], 8)
    with catalog.begin() as tx:
        tx.note_stored({digest_of(b"unneeded"): 8})
    catalog.close()
    return settings.data_path


def sweep(data: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hub.cli.main", "admin", "sweep", "--data-dir", str(data), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_look_then_a_sweep_then_nothing_is_left(data: Path):
    looked = sweep(data, "--dry-run")
    assert (looked.returncode, looked.stdout) == (0, "1 blobs are needed by nobody: 8 B\n")
    kept = orjson.loads(sweep(data, "--json").stdout)
    assert (kept["condemned"], kept["deleted"]) == (1, 0)
    swept = sweep(data, "--grace-s", "0")
    assert (swept.returncode, swept.stdout) == (0, "1 blobs deleted: 8 B\n")
    assert not (data / "blobs" / path_of(digest_of(b"unneeded"))).exists()
    assert orjson.loads(sweep(data, "--dry-run", "--json").stdout)["condemned"] == 0


def test_a_database_of_another_schema_is_left_alone(tmp_path: Path):
    refused = sweep(tmp_path)
    assert refused.returncode == 1
    assert "hub admin migrate" in refused.stderr
