"""Putting a snapshot's files into a directory."""

import os
from pathlib import Path

import pytest

from hub.client.digesting import cut_files
from hub.client.place import differences, place, place_file
from hub.domain.errors import Conflict
from hub.domain.manifest import File

CONTENT = {"saved_model.pb": b"graph", "variables/variables.index": b"index", "assets/empty": b""}


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    root = tmp_path / "snapshot"
    for name, data in CONTENT.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


@pytest.fixture
def files(snapshot: Path) -> list[File]:
    return list(cut_files(snapshot, {name: len(data) for name, data in CONTENT.items()}, lambda _: None))


def test_a_directory_that_is_absent_or_empty_gets_the_files(snapshot: Path, files: list[File], tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for target in (tmp_path / "a" / "b", tmp_path / "empty"):
        place(files, snapshot, target)
        assert differences(files, target) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "empty", "snapshot"]


def test_a_file_where_the_directory_should_be_is_left_alone(snapshot: Path, files: list[File], tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(Conflict, match="it is a file"):
        place(files, snapshot, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_nothing_is_left_of_a_placement_that_failed(snapshot: Path, files: list[File], tmp_path: Path):
    (snapshot / "variables" / "variables.index").unlink()
    with pytest.raises(FileNotFoundError):
        place(files, snapshot, tmp_path / "target")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["snapshot"]


def test_a_file_is_placed_whole_on_this_and_on_another_file_system(snapshot: Path, tmp_path: Path):
    place_file(snapshot / "saved_model.pb", tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == b"graph"
    elsewhere = Path("/dev/shm") / f"hub-test-{os.getpid()}"
    if not elsewhere.parent.is_dir():
        pytest.skip("this system has no /dev/shm")
    try:
        place_file(snapshot / "saved_model.pb", elsewhere)
        assert elsewhere.read_bytes() == b"graph"
    finally:
        elsewhere.unlink()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda root: (root / "saved_model.pb").write_bytes(b"grapf"), "saved_model.pb has other bytes"),
        (lambda root: (root / "saved_model.pb").write_bytes(b"g"), "saved_model.pb has 1 bytes instead of 5"),
        (lambda root: (root / "saved_model.pb").unlink(), "saved_model.pb is missing"),
        (lambda root: (root / "extra").write_bytes(b""), "extra is not part of the version"),
    ],
    ids=["changed", "cut", "removed", "added"],
)
def test_every_kind_of_harm_is_named(snapshot: Path, files: list[File], harm, said: str):
    harm(snapshot)
    (difference,) = differences(files, snapshot)
    assert said in difference
