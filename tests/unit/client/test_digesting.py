"""Hashing local files."""

import hashlib
from pathlib import Path

import pytest

from hub.client.digesting import cut_file, digest_file, sources
from hub.domain.manifest import BLOB_BYTES


@pytest.mark.parametrize("size", [0, 1, BLOB_BYTES, BLOB_BYTES + 1])
def test_a_file_is_cut_into_blobs_that_make_it_up_again(tmp_path: Path, size: int):
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    path = tmp_path / "weights"
    path.write_bytes(data)
    counted: list[int] = []
    file = cut_file(path, "variables/weights", counted.append)
    assert (file.path, file.size, sum(counted)) == ("variables/weights", size, size)
    assert file.digest == f"sha256:{hashlib.sha256(data).hexdigest()}" == digest_file(path)
    parts = [data[start : start + BLOB_BYTES] for start in range(0, size, BLOB_BYTES)]
    assert [blob.digest for blob in file.blobs] == [f"sha256:{hashlib.sha256(part).hexdigest()}" for part in parts]
    assert [blob.size for blob in file.blobs] == [len(part) for part in parts]


def test_every_blob_has_one_place_to_be_read_from(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"the same")
    files = [cut_file(tmp_path / name, name, lambda _: None) for name in ("one", "two")]
    found = sources(tmp_path, files)
    assert {source.name for source in found.values()} == {"one"}
