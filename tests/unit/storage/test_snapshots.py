"""Snapshots are whole, verified, read-only, and made once."""

import hashlib
import os
import random
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hub.domain.errors import BlobNotFound, DigestMismatch, InvalidModel, NotAvailable
from hub.domain.manifest import BlobRef, File
from hub.storage.blobs.filesystem import FilesystemBlobStore
from hub.storage.blobs.layout import path_of
from hub.storage.blobs.memory import MemoryBlobStore
from hub.storage.blobs.store import BlobStore
from hub.storage.snapshots import Snapshots

FILES = {
    "saved_model.pb": [b"graph"],
    "variables/variables.data-00000-of-00001": [b"one", b"two", b"one"],
    "assets/deep/er/vocab ü.txt": [b"words"],
    "assets/empty": [],
}
UNKNOWN = "sha256:" + "0" * 64
Publish = Callable[[BlobStore, Mapping[str, list[bytes]]], str]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def leftovers(root: Path) -> list[Path]:
    return [path for path in (root / ".work").iterdir() if path.suffix != ".lock"]


def fill_new(blobs: BlobStore, file: File, folder: Path) -> None:
    with Snapshots(blobs, folder).making() as made:
        made.fill([file], blobs.open)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_a_snapshot_has_every_file_whole_and_read_only(tmp_path: Path, publish: Publish) -> None:
    blobs = MemoryBlobStore()
    version = publish(blobs, FILES)
    folder = Snapshots(blobs, tmp_path / "snapshots").path(version)
    assert contents(folder) == {path: b"".join(parts) for path, parts in FILES.items()}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}
    assert modes == {0o444}
    assert leftovers(tmp_path / "snapshots") == []


def test_a_snapshot_is_made_once_and_outlives_its_blobs(tmp_path: Path, publish: Publish) -> None:
    blobs = MemoryBlobStore()
    version = publish(blobs, FILES)
    snapshots = Snapshots(blobs, tmp_path)
    first = snapshots.path(version)
    for name in list(blobs.digests()):
        blobs.delete(name)
    assert snapshots.path(version) == first


def test_the_manifest_is_read_from_its_blob(tmp_path: Path, publish: Publish) -> None:
    blobs = MemoryBlobStore()
    version = publish(blobs, FILES)
    manifest = Snapshots(blobs, tmp_path).manifest(version)
    assert manifest.digest() == version
    assert [file.path for file in manifest.files] == list(FILES)


def test_a_blob_that_is_no_manifest_is_refused(tmp_path: Path) -> None:
    blobs = MemoryBlobStore()
    for data in (b"{}", b"not json", b"\xff"):
        blobs.put(digest(data), [data], len(data))
        with pytest.raises(InvalidModel, match="not a manifest"):
            Snapshots(blobs, tmp_path).path(digest(data))


def test_an_unknown_version_is_not_found_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BlobNotFound, match=UNKNOWN):
        Snapshots(MemoryBlobStore(), tmp_path / "snapshots").path(UNKNOWN)
    assert not (tmp_path / "snapshots").exists()


def test_a_missing_blob_shows_no_snapshot_until_it_is_back(tmp_path: Path, publish: Publish) -> None:
    blobs = MemoryBlobStore()
    version = publish(blobs, FILES)
    blobs.delete(digest(b"two"))
    snapshots = Snapshots(blobs, tmp_path)
    with pytest.raises(BlobNotFound):
        snapshots.path(version)
    assert [path for path in tmp_path.iterdir() if path.name != ".work"] == leftovers(tmp_path) == []
    blobs.put(digest(b"two"), [b"two"], 3)
    assert contents(snapshots.path(version))["saved_model.pb"] == b"graph"


@pytest.mark.parametrize("damaged", [b"tw0", b"tw", b"twoo", b""])
def test_damaged_bytes_never_become_a_snapshot(tmp_path: Path, publish: Publish, damaged: bytes) -> None:
    blobs = FilesystemBlobStore(tmp_path / "blobs")
    version = publish(blobs, FILES)
    (tmp_path / "blobs" / path_of(digest(b"two"))).write_bytes(damaged)
    with pytest.raises(DigestMismatch, match="variables"):
        Snapshots(blobs, tmp_path / "snapshots").path(version)
    assert leftovers(tmp_path / "snapshots") == []


def test_a_damaged_manifest_is_found_out(tmp_path: Path, publish: Publish) -> None:
    blobs = FilesystemBlobStore(tmp_path / "blobs")
    version = publish(blobs, FILES)
    place = tmp_path / "blobs" / path_of(version)
    place.write_bytes(place.read_bytes().replace(b"trunk", b"trunc"))
    with pytest.raises(DigestMismatch, match="damaged"):
        Snapshots(blobs, tmp_path).path(version)


def test_blobs_that_do_not_make_up_their_file_are_refused(tmp_path: Path) -> None:
    blobs = MemoryBlobStore()
    blobs.put(digest(b"one"), [b"one"], 3)
    wrong = File(path="a", size=3, digest=digest(b"two"), blobs=(BlobRef(digest=digest(b"one"), size=3),))
    with pytest.raises(DigestMismatch, match="a do not make up"):
        fill_new(blobs, wrong, tmp_path)


def test_a_blob_of_another_size_than_announced_is_refused(tmp_path: Path) -> None:
    blobs = MemoryBlobStore()
    blobs.put(digest(b"one"), [b"one"], 3)
    wrong = File(path="a", size=2, digest=digest(b"one"), blobs=(BlobRef(digest=digest(b"one"), size=2),))
    with pytest.raises(DigestMismatch, match="of a has other bytes"):
        fill_new(blobs, wrong, tmp_path)


def test_a_name_too_long_for_the_disk_is_the_models_fault(tmp_path: Path, publish: Publish) -> None:
    blobs = MemoryBlobStore()
    for path in ("n" * 300, "n" * 300 + "/a"):
        version = publish(blobs, {path: [b"x"]})
        with pytest.raises(InvalidModel, match="too long"):
            Snapshots(blobs, tmp_path).path(version)
    assert leftovers(tmp_path) == []


def test_a_place_that_cannot_be_written_is_not_available(tmp_path: Path, publish: Publish) -> None:
    blobs = MemoryBlobStore()
    version = publish(blobs, FILES)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotAvailable, match="file"):
        Snapshots(blobs, tmp_path / "file").path(version)


def test_a_dropped_snapshot_is_gone_and_can_be_made_again(tmp_path: Path, publish: Publish) -> None:
    blobs = MemoryBlobStore()
    version = publish(blobs, FILES)
    snapshots = Snapshots(blobs, tmp_path)
    folder = snapshots.path(version)
    snapshots.drop(version)
    snapshots.drop(version)
    assert not folder.exists()
    assert leftovers(tmp_path) == []
    assert contents(snapshots.path(version))["saved_model.pb"] == b"graph"


def test_many_threads_that_ask_at_once_get_one_snapshot(tmp_path: Path, publish: Publish) -> None:
    blobs = MemoryBlobStore()
    version = publish(blobs, FILES)
    read: list[str] = []

    class Watched(MemoryBlobStore):
        """The same bytes, and which of them were read."""

        def open(self, digest: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
            read.append(digest)
            return blobs.open(digest, start, length)

    snapshots = Snapshots(Watched(), tmp_path)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(snapshots.path, [version] * 16))) == 1
    assert read.count(digest(b"graph")) == 1


_ASKER = """
import sys
from pathlib import Path
from hub.storage.blobs.filesystem import FilesystemBlobStore
from hub.storage.snapshots import Snapshots

folder = Snapshots(FilesystemBlobStore(Path(sys.argv[1])), Path(sys.argv[2])).path(sys.argv[3])
print((folder / "saved_model.pb").stat().st_ino)
"""


@pytest.mark.slow
def test_many_processes_that_ask_at_once_get_one_snapshot(tmp_path: Path, publish: Publish) -> None:
    version = publish(FilesystemBlobStore(tmp_path / "blobs"), FILES)
    command = [sys.executable, "-c", _ASKER, str(tmp_path / "blobs"), str(tmp_path / "snapshots"), version]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    inodes = {int(process.communicate()[0]) for process in started}
    assert inodes == {(tmp_path / "snapshots" / version[7:] / "saved_model.pb").stat().st_ino}


_MAKER = """
import sys
from pathlib import Path
from hub.storage.blobs.filesystem import FilesystemBlobStore
from hub.storage.snapshots import Snapshots

snapshots = Snapshots(FilesystemBlobStore(Path(sys.argv[1])), Path(sys.argv[2]))
print("ready", flush=True)
while True:
    snapshots.path(sys.argv[3])
    snapshots.drop(sys.argv[3])
    print("made", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_maker_killed_at_any_moment_leaves_a_whole_snapshot_or_none(
    tmp_path: Path, publish: Publish, seed: int
) -> None:
    blobs = FilesystemBlobStore(tmp_path / "blobs")
    parts = [random.Random(number).randbytes(200_000) for number in range(40)]
    version = publish(blobs, {"saved_model.pb": [b"graph"], "variables/data": parts})
    chance = random.Random(seed)
    arguments = [sys.executable, "-c", _MAKER, str(tmp_path / "blobs"), str(tmp_path / "snapshots"), version]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout
        for _ in range(chance.randrange(1, 6)):
            maker.stdout.readline()
        # Some further system calls happen before the signal arrives: how many differs with the seed.
        for _ in range(chance.randrange(50_000)):
            os.getppid()
        maker.send_signal(signal.SIGKILL)
    whole = {"saved_model.pb": b"graph", "variables/data": b"".join(parts)}
    shown = [path for path in (tmp_path / "snapshots").glob("*") if path.name != ".work"]
    assert [contents(folder) for folder in shown] == [whole] * len(shown)
    again = Snapshots(blobs, tmp_path / "snapshots")
    again.sweep()
    assert contents(again.path(version)) == whole
    assert leftovers(tmp_path / "snapshots") == []


def made_of(blobs: BlobStore, publish: Publish, *words: str) -> list[str]:
    """Versions of 1,000 bytes each."""
    return [publish(blobs, {"saved_model.pb": [word.encode().ljust(1_000)]}) for word in words]


def test_the_least_recently_used_goes_first_when_there_is_no_room(tmp_path: Path, publish: Publish) -> None:
    blobs = MemoryBlobStore()
    one, two, three = made_of(blobs, publish, "one", "two", "three")
    snapshots = Snapshots(blobs, tmp_path, budget_bytes=2_000)
    first, second = snapshots.path(one), snapshots.path(two)
    os.utime(first, (1, 1))
    os.utime(second, (2, 2))
    assert snapshots.path(one) == first
    third = snapshots.path(three)
    assert [path.exists() for path in (first, second, third)] == [True, False, True]
    assert leftovers(tmp_path) == []
    assert contents(snapshots.path(two))["saved_model.pb"].strip() == b"two"


def test_what_is_held_stays_whatever_comes(tmp_path: Path, publish: Publish) -> None:
    blobs = MemoryBlobStore()
    one, two, three = made_of(blobs, publish, "one", "two", "three")
    snapshots = Snapshots(blobs, tmp_path, budget_bytes=1_000)
    with snapshots.held(one) as first:
        second = snapshots.path(two)
        assert first.exists()
        assert second.exists()
    snapshots.path(three)
    assert not first.exists()
    assert not second.exists()


def test_what_a_process_finds_is_verified_before_it_is_given_out(tmp_path: Path, publish: Publish) -> None:
    blobs = MemoryBlobStore()
    version = publish(blobs, FILES)
    folder = Snapshots(blobs, tmp_path).path(version)
    inode = (folder / "saved_model.pb").stat().st_ino
    assert (Snapshots(blobs, tmp_path).path(version) / "saved_model.pb").stat().st_ino == inode
    (folder / "saved_model.pb").chmod(0o644)
    (folder / "saved_model.pb").write_bytes(b"grapf")
    assert contents(Snapshots(blobs, tmp_path).path(version))["saved_model.pb"] == b"graph"


@pytest.mark.parametrize("harm", ["write", "remove", "add"])
def test_a_snapshot_that_was_written_to_is_made_anew(tmp_path: Path, publish: Publish, harm: str) -> None:
    blobs = MemoryBlobStore()
    version = publish(blobs, FILES)
    snapshots = Snapshots(blobs, tmp_path)
    folder = snapshots.path(version)
    if harm == "write":
        (folder / "saved_model.pb").chmod(0o644)
        (folder / "saved_model.pb").write_bytes(b"grapf")
    elif harm == "remove":
        (folder / "saved_model.pb").unlink()
    else:
        (folder / "assets" / "more").write_bytes(b"x")
    assert contents(snapshots.path(version)) == {path: b"".join(parts) for path, parts in FILES.items()}


def test_what_a_push_put_together_becomes_the_snapshot(tmp_path: Path, publish: Publish) -> None:
    blobs = MemoryBlobStore()
    version = publish(blobs, FILES)
    snapshots = Snapshots(blobs, tmp_path)
    manifest = snapshots.manifest(version)
    with snapshots.making() as made:
        made.fill(manifest.files, blobs.open)
        made.keep(version)
    for name in list(blobs.digests()):
        blobs.delete(name)
    assert contents(snapshots.path(version))["saved_model.pb"] == b"graph"
    with pytest.raises(BlobNotFound), snapshots.making() as made:
        made.fill(manifest.files, blobs.open)
    assert leftovers(tmp_path) == []
