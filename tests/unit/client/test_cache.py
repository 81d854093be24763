"""The cache of pulled versions."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.client.cache import FIXED_TIME_S, Cache, Placed
from hub.client.digesting import cut_files
from hub.domain.manifest import Kind, Manifest
from hub.domain.versions import State, Version

URL = "http://127.0.0.1:8460"
DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def keep(cache: Cache, tmp_path: Path, **content: bytes) -> Manifest:
    root = tmp_path / "finished"
    root.mkdir()
    for name, data in content.items():
        (root / name).write_bytes(data)
    files = cut_files(root, {name: len(data) for name, data in content.items()}, lambda _: None)
    manifest = Manifest(kind=Kind.TRUNK, files=files, signatures={}, tuning_face=None, tensors=(), lineage=())
    cache.keep(manifest.canonical(), root)
    return manifest


def a_version() -> Version:
    return Version(
        model="acme/echo",
        number=3,
        digest=DIGEST,
        kind=Kind.TRUNK,
        state=State.READY,
        interface=1,
        size=1,
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        created_by="me",
    )


def test_what_was_kept_is_found(cache: Cache, tmp_path: Path):
    manifest = keep(cache, tmp_path, graph=b"graph")
    assert cache.snapshot(manifest.digest()) == manifest
    assert (cache.snapshot_path(manifest.digest()) / "graph").read_bytes() == b"graph"


def test_nothing_is_found_of_what_was_not_kept_or_was_discarded(cache: Cache, tmp_path: Path):
    assert cache.snapshot(DIGEST) is None
    manifest = keep(cache, tmp_path, graph=b"graph")
    cache.discard(manifest.digest())
    assert cache.snapshot(manifest.digest()) is None


@pytest.mark.parametrize("written", [b"grapf", b"longer than it was"])
def test_a_file_that_was_written_to_takes_the_snapshot_out_of_use(cache: Cache, tmp_path: Path, written: bytes):
    manifest = keep(cache, tmp_path, graph=b"graph")
    path = cache.snapshot_path(manifest.digest()) / "graph"
    path.chmod(0o644)
    path.write_bytes(written)
    assert cache.snapshot(manifest.digest()) is None
    assert cache.find({manifest.files[0].digest}, manifest.blobs().keys()) == ({}, {})


def test_a_manifest_that_was_written_to_is_not_believed(cache: Cache, tmp_path: Path):
    manifest = keep(cache, tmp_path, graph=b"graph")
    (path,) = (cache.root / "manifests").iterdir()
    path.write_bytes(path.read_bytes().replace(b"trunk", b"trunC"))
    assert cache.manifest(manifest.digest()) is None


def test_a_file_and_a_blob_are_found_where_a_kept_version_has_it(cache: Cache, tmp_path: Path):
    manifest = keep(cache, tmp_path, graph=b"graph", weights=b"weights")
    wanted = manifest.files[1].blobs[0].digest
    files, blobs = cache.find({wanted, DIGEST}, {wanted, DIGEST})
    (path,), (place,) = files.values(), blobs.values()
    assert path.read_bytes() == b"weights"
    assert place.path.read_bytes()[place.offset : place.offset + place.size] == b"weights"


def test_a_reference_is_remembered_with_its_exact_forms_for_one_hub(cache: Cache):
    cache.remember(URL, "acme/echo:stable", a_version())
    for reference in ("acme/echo:stable", "acme/echo@3", f"acme/echo@{DIGEST}"):
        assert cache.recall(URL, reference) == a_version()
    assert cache.recall(URL, "acme/echo") is None
    assert cache.recall("http://other.example", "acme/echo:stable") is None


def test_which_version_a_directory_holds_is_remembered(cache: Cache, tmp_path: Path):
    placed = Placed("acme/echo@3", DIGEST, URL)
    cache.note_placed(tmp_path, placed)
    assert cache.placed(tmp_path) == placed
    assert cache.placed(tmp_path / "other") is None


def test_what_a_power_cut_harmed_is_noticed_at_the_next_start(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("hub.client.cache.boot_id", lambda: "before")
    whole = keep(cache, tmp_path, graph=b"graph")
    harmed = keep(cache, tmp_path, graph=b"other")
    place = cache.snapshot_path(harmed.digest()) / "graph"
    place.chmod(0o644)
    place.write_bytes(bytes(5))  # a file whose bytes never reached the disk has its size and its time all the same
    os.utime(place, (FIXED_TIME_S, FIXED_TIME_S))
    monkeypatch.setattr("hub.client.cache.boot_id", lambda: "after")
    (blob,) = whole.files[0].blobs
    found, parts = cache.find({harmed.files[0].digest, whole.files[0].digest}, {blob.digest})
    assert (found, set(parts)) == ({}, {blob.digest})
    assert cache.snapshot(harmed.digest()) is None
    assert cache.snapshot(whole.digest()) == whole
    monkeypatch.setattr("hub.client.cache.boot_id", lambda: "later")
    assert set(cache.find({harmed.files[0].digest, whole.files[0].digest}, ())[0]) == {whole.files[0].digest}


def test_a_system_that_tells_no_start_has_everything_written_at_once(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    synced: list[Path] = []
    monkeypatch.setattr("hub.client.cache.boot_id", lambda: None)
    monkeypatch.setattr("hub.client.cache.sync_together", lambda files, _folders: synced.extend(files))
    manifest = keep(cache, tmp_path, graph=b"graph")
    assert synced == [cache.snapshot_path(manifest.digest()) / "graph"]
    assert cache.snapshot(manifest.digest()) == manifest


def test_a_cache_that_cannot_be_written_is_read_all_the_same(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    manifest = keep(cache, tmp_path, graph=b"graph")

    def refuse(path: Path, data: bytes) -> None:
        del data
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("hub.client.cache.boot_id", lambda: "another machine's")
    monkeypatch.setattr(cache, "_write", refuse)
    assert cache.snapshot(manifest.digest()) == manifest
