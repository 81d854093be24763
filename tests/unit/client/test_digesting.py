"""Hashing local files."""

import hashlib
import shutil
from pathlib import Path

import pytest

from hub.client.digesting import cut_files, digest_file, sources
from hub.domain.errors import DigestMismatch
from hub.domain.manifest import BLOB_BYTES
from hub.savedmodel.cuts import cut_sizes

TRUNK = Path(__file__).parents[2] / "fixtures" / "savedmodels" / "trunk"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("size", [0, 1, BLOB_BYTES, BLOB_BYTES + 1])
def test_a_file_is_cut_into_blobs_that_make_it_up_again(tmp_path: Path, size: int):
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    path = tmp_path / "weights"
    path.write_bytes(data)
    counted: list[int] = []
    (file,) = cut_files(tmp_path, {"weights": size}, counted.append)
    assert (file.path, file.size, sum(counted)) == ("weights", size, size)
    assert file.digest == digest(data) == digest_file(path)
    parts = [data[start : start + BLOB_BYTES] for start in range(0, size, BLOB_BYTES)]
    assert [(blob.digest, blob.size) for blob in file.blobs] == [(digest(part), len(part)) for part in parts]


def test_variables_are_cut_at_the_borders_of_tensors(tmp_path: Path):
    shutil.copytree(TRUNK, tmp_path, dirs_exist_ok=True)
    ((path, sizes),) = cut_sizes(tmp_path).items()
    data = (tmp_path / path).read_bytes()
    (file,) = cut_files(tmp_path, {path: len(data)}, lambda _: None)
    assert tuple(blob.size for blob in file.blobs) == sizes
    assert file.digest == digest(data)


@pytest.mark.parametrize("size", [3, 5])
def test_a_file_that_has_another_size_by_now_is_named(tmp_path: Path, size: int):
    (tmp_path / "weights").write_bytes(b"four")
    with pytest.raises(DigestMismatch, match="weights changed"):
        cut_files(tmp_path, {"weights": size}, lambda _: None)


def test_every_blob_has_one_place_to_be_read_from(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"the same")
    found = sources(tmp_path, cut_files(tmp_path, {"one": 8, "two": 8}, lambda _: None))
    assert {source.name for source in found.values()} == {"one"}
