"""Back up and restore: the same hub, on either database, whatever happens meanwhile."""

import os
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hub.domain.audit import Action
from hub.domain.digests import digest_of
from hub.domain.errors import Conflict, InvalidRequest, NotAvailable
from hub.maintenance import backup, restore, sweep
from hub.protocol import paths
from hub.services.backup import FACTS
from hub.settings import Settings
from hub.storage.blobs.layout import path_of
from hub.storage.catalog import Catalog, Transaction
from tests.faults.conftest import flaws
from tests.integration.api.conftest import Hub, announce, write_saved_model

WORDS = b"words " * 1_000
FILES = {"saved_model.pb": write_saved_model(), "assets/words.txt": WORDS}


@pytest.fixture
def hub(start_hub: Callable[..., Hub]) -> Hub:
    """A hub with a version that has an alias, one that nobody needs any more, and a push under way."""
    started = start_hub()
    started.admin.push("acme/trunk", FILES, alias="stable", card="# Für alle \u2603", is_private=True)
    started.admin.push("acme/gone", {"saved_model.pb": write_saved_model(producer="gone")})
    started.admin.http.delete(paths.model("acme/gone")).raise_for_status()
    started.admin.begin("acme/later", announce({"saved_model.pb": write_saved_model(producer="later")}))
    return started


def rows(settings: Settings) -> list[bytes]:
    """What a database has, without what a restore leaves out or adds."""
    with closing(Catalog(settings.database)) as catalog, catalog.begin() as tx:
        tx.settle([])
        return [line for line in tx.dump() if b"hub.restore" not in line and b'"counts"' not in line]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Callable[..., Settings]:
    """Settings of hubs that are not there yet."""
    count = iter(range(10))
    return lambda **more: Settings(data_dir=tmp_path / f"new{next(count)}", **more)


def test_a_running_hub_is_moved_to_the_other_database_and_back(
    hub: Hub, elsewhere: Callable[..., Settings], tmp_path: Path, postgresql_url: str
):
    old, there, back = hub.house.settings, elsewhere(database_url=postgresql_url), elsewhere()
    made = backup(old, tmp_path / "first", with_blobs=True)
    assert (made.blobs, made.lost) == (4, ())
    assert restore(there, tmp_path / "first").lost == ()
    assert flaws(there) == []
    again = backup(there, tmp_path / "second", with_blobs=True)
    assert again.blobs == 4
    assert restore(back, tmp_path / "second").copied_bytes == again.blob_bytes
    assert flaws(back) == []
    assert rows(back) == rows(there) == rows(old)
    for settings in (there, back):  # numbers go on from those that were restored
        with closing(Catalog(settings.database)) as catalog, catalog.begin() as tx:
            assert tx.audit(limit=1)[0].action is Action.HUB_RESTORE


def test_what_was_restored_is_a_hub_that_takes_pushes(
    hub: Hub, landlord, elsewhere: Callable[..., Settings], tmp_path: Path
):
    backup(hub.house.settings, tmp_path / "backup", with_blobs=True)
    new = elsewhere()
    restore(new, tmp_path / "backup")
    landlord.folder = new.data_path
    moved = landlord.start()
    assert moved.admin.push("acme/trunk", FILES).version.number == 1
    assert moved.admin.push("acme/trunk", FILES | {"assets/more": b"more"}).version.number == 2
    assert moved.admin.http.get(paths.model("acme/trunk")).json()["aliases"] == {"stable": 1}
    assert flaws(new) == []


def test_a_restore_that_is_killed_is_no_hub_says_so_and_goes_on_when_it_is_run_again(
    hub: Hub, landlord, elsewhere: Callable[..., Settings], tmp_path: Path
):
    backup(hub.house.settings, tmp_path / "backup", with_blobs=True)
    landlord.stop()
    new = elsewhere()
    for moment in (None, Catalog, Transaction):  # bytes are copied; all bytes are; all rows are, before the commit
        child = os.fork()
        if not child:
            if moment is not None:
                setattr(moment, "restore" if moment is Catalog else "settle", die)
            restore(new, tmp_path / "backup", die if moment is None else nothing)
            os._exit(0)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        with closing(Catalog(new.database)) as catalog:
            for refused in (catalog.check, catalog.migrate):
                with pytest.raises(NotAvailable, match="was not finished") as caught:
                    refused()
                assert "hub admin restore" in str(caught.value.remedy)
    assert restore(new, tmp_path / "backup").lost == ()
    assert flaws(new) == []


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def nothing(*_: object) -> None: ...


def test_nothing_is_overwritten_and_what_is_no_whole_backup_is_refused(
    hub: Hub, elsewhere: Callable[..., Settings], tmp_path: Path
):
    folder = tmp_path / "backup"
    with pytest.raises(InvalidRequest, match="never finished"):
        restore(elsewhere(), folder)
    made = backup(hub.house.settings, folder, with_blobs=False)
    with pytest.raises(Conflict, match="not empty"):
        restore(hub.house.settings, folder)
    (folder / made.dump).write_bytes((folder / made.dump).read_bytes()[:-9])
    with pytest.raises(InvalidRequest, match="is damaged"):
        restore(elsewhere(), folder)


def test_a_second_backup_copies_what_is_new_and_no_sweep_takes_what_it_names(hub: Hub, tmp_path: Path):
    folder, settings = tmp_path / "backup", hub.house.settings.model_copy(update={"sweep_grace_s": 0.0})
    backup(settings, folder, with_blobs=True)
    more = os.urandom(3 << 20)
    hub.admin.push("acme/trunk", FILES | {"assets/more": more})
    copied: list[int] = []

    def removing(done: int, _total: int) -> None:
        if not copied:
            hub.admin.http.delete(paths.version("acme/trunk", 2)).raise_for_status()
            with pytest.raises(Conflict, match="sweeping"):
                sweep(settings, dry_run=False)
        copied.append(done)

    made = backup(settings, folder, with_blobs=True, show=removing)
    assert made.lost == ()
    assert len(more) <= max(copied) < len(more) + 10_000  # with manifest and golden samples, without the first version
    assert sorted(path.name for path in folder.iterdir()) == sorted([FACTS, made.dump, made.list, "blobs"])


def test_bytes_that_could_not_be_had_are_named_and_a_push_brings_them_back(
    hub: Hub, landlord, elsewhere: Callable[..., Settings], tmp_path: Path
):
    (hub.house.settings.data_path / "blobs" / path_of(digest_of(WORDS))).unlink()
    assert backup(hub.house.settings, tmp_path / "backup", with_blobs=True).lost == (digest_of(WORDS),)
    new = elsewhere()
    assert restore(new, tmp_path / "backup").lost == (digest_of(WORDS),)
    assert flaws(new) == [("blob.absent", digest_of(WORDS))]
    landlord.folder = new.data_path
    assert landlord.start().admin.push("acme/trunk", FILES).version.number == 1
    assert flaws(new) == []


def test_the_database_alone_is_restored_beside_bytes_that_are_there(
    hub: Hub, elsewhere: Callable[..., Settings], tmp_path: Path
):
    backup(hub.house.settings, tmp_path / "backup", with_blobs=False)
    new = elsewhere(storage_url=hub.house.settings.storage)
    assert restore(new, tmp_path / "backup").lost == ()
    assert flaws(new) == []
