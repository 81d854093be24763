"""A shelf shows some versions, as the very bytes of their snapshots, and takes nothing from what is known of those."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hub.storage.blobs.memory import MemoryBlobStore
from hub.storage.blobs.store import BlobStore
from hub.storage.snapshots import Snapshots

FILES = {"saved_model.pb": [b"graph"], "variables/variables.data-00000-of-00001": [b"one", b"two"]}
OTHER = {"saved_model.pb": [b"another graph"]}
Publish = Callable[[BlobStore, Mapping[str, list[bytes]]], str]


class Watched(MemoryBlobStore):
    """Counts what is opened: what is made or verified anew is read from here, or its manifest is."""

    opened = 0

    def open(self, digest: str, start: int = 0, length: int | None = None):
        self.opened += 1
        return super().open(digest, start, length)


@pytest.fixture
def blobs() -> Watched:
    return Watched()


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_lent_version_is_the_same_bytes_on_the_disk_and_read_only(
    tmp_path: Path, blobs: Watched, publish: Publish
) -> None:
    snapshots = Snapshots(blobs, tmp_path)
    version = publish(blobs, FILES)
    folder, lent = snapshots.path(version), snapshots.lend(version, "one")
    assert files(lent) == files(folder)
    assert all((lent / name).samefile(folder / name) for name in FILES)
    assert lent.parent == snapshots.shelf("one")
    assert {path.stat().st_mode & 0o777 for path in lent.rglob("*") if path.is_file()} == {0o444}


def test_lending_and_taking_back_make_nobody_verify_again(tmp_path: Path, blobs: Watched, publish: Publish) -> None:
    snapshots = Snapshots(blobs, tmp_path)
    version = publish(blobs, FILES)
    snapshots.path(version)
    before = blobs.opened
    for shelf in ("one", "two", "one"):
        snapshots.lend(version, shelf)
        snapshots.path(version)
    for shelf in ("one", "two"):
        snapshots.take_back(shelf, [])
        snapshots.path(version)
    assert blobs.opened == before


def test_what_was_written_to_before_it_was_lent_is_still_found_out(
    tmp_path: Path, blobs: Watched, publish: Publish
) -> None:
    snapshots = Snapshots(blobs, tmp_path)
    version = publish(blobs, FILES)
    path = snapshots.path(version) / "saved_model.pb"
    lent = snapshots.lend(version, "one")
    path.chmod(0o644)
    path.write_bytes(b"grapf")
    snapshots.lend(version, "two")
    snapshots.path(version)
    assert (snapshots.lend(version, "one") / "saved_model.pb").read_bytes() == b"graph"
    assert lent == snapshots.shelf("one") / version.removeprefix("sha256:")


def test_taking_back_leaves_what_is_kept_and_what_is_named_after_it(
    tmp_path: Path, blobs: Watched, publish: Publish
) -> None:
    snapshots = Snapshots(blobs, tmp_path)
    versions = [publish(blobs, made) for made in (FILES, OTHER)]
    kept, gone = (snapshots.lend(version, "one") for version in versions if snapshots.path(version))
    for place in (kept, gone):
        place.with_name(f"{place.name}.npz").write_bytes(b"golden")
    gone.with_name(f"{gone.name}.new").mkdir()
    snapshots.take_back("one", versions[:1])
    assert sorted(path.name for path in snapshots.shelf("one").iterdir()) == [kept.name, f"{kept.name}.npz"]
    snapshots.take_back("nobody", [])


def test_a_snapshot_that_is_dropped_is_on_no_shelf_either(tmp_path: Path, blobs: Watched, publish: Publish) -> None:
    snapshots = Snapshots(blobs, tmp_path)
    version = publish(blobs, FILES)
    snapshots.path(version)
    lent = [snapshots.lend(version, shelf) for shelf in ("one", "two")]
    snapshots.drop(version)
    assert not any(place.exists() for place in lent)


def test_where_there_are_no_links_there_are_copies(
    tmp_path: Path, blobs: Watched, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    snapshots = Snapshots(blobs, tmp_path)
    version = publish(blobs, FILES)
    folder, lent = snapshots.path(version), snapshots.lend(version, "one")
    assert files(lent) == files(folder)
    assert not (lent / "saved_model.pb").samefile(folder / "saved_model.pb")


def test_a_shelf_is_swept_with_what_else_a_killed_process_left(
    tmp_path: Path, blobs: Watched, publish: Publish
) -> None:
    version = publish(blobs, FILES)
    first = Snapshots(blobs, tmp_path)
    first.path(version)
    lent = first.lend(version, "one")
    Snapshots(blobs, tmp_path).sweep()
    assert not lent.exists()
