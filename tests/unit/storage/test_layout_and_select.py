"""Where digests lie, and which store a URL means."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.errors import InvalidRequest
from hub.storage.blobs import open_store
from hub.storage.blobs.filesystem import FilesystemBlobStore
from hub.storage.blobs.layout import digest_at, key_of, path_of
from hub.storage.blobs.memory import MemoryBlobStore

DIGESTS = st.binary(min_size=32, max_size=32).map(lambda data: f"sha256:{data.hex()}")


@given(DIGESTS)
def test_a_digest_is_read_back_from_where_it_lies(digest: str) -> None:
    assert digest_at(path_of(digest)) == digest
    assert digest_at(key_of(digest)) == digest
    assert path_of(digest) != key_of(digest)


@pytest.mark.parametrize(
    "place",
    [
        "",
        "sha256/",
        "sha256/ab",
        "sha256/ab/" + "c" * 64,
        "sha256/" + "C" * 64,
        "md5/" + "c" * 64,
        "sha256/" + "c" * 65,
    ],
)
def test_anything_else_is_nobodys_blob(place: str) -> None:
    assert digest_at(place) is None


def test_a_path_and_a_file_url_mean_a_directory(tmp_path: Path) -> None:
    place = tmp_path / "a b%25"
    stores = [open_store(str(place)), open_store(f"file://{str(place).replace('%', '%25').replace(' ', '%20')}")]
    assert all(isinstance(store, FilesystemBlobStore) and store.root == place for store in stores)


def test_memory_means_memory() -> None:
    assert isinstance(open_store("memory:"), MemoryBlobStore)


@pytest.mark.parametrize(
    "url", ["", "http://host/path", "ftp://x", "file://elsewhere/path", "s3://", "s3://b?colour=red"]
)
def test_a_url_of_no_store_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(InvalidRequest, match="Write"):
        open_store(url)


def test_an_endpoint_that_is_no_url_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="endpoint_url"):
        open_store("s3://bucket?endpoint_url=nonsense")


def test_boto3_is_loaded_only_for_a_bucket(tmp_path: Path) -> None:
    script = (
        "import sys; from hub.storage.blobs import open_store; from hub.storage.snapshots import Snapshots;"
        f"open_store({str(tmp_path)!r}); open_store('memory:');"
        "assert not {'boto3', 'botocore', 'sqlalchemy', 'tensorflow', 'fastapi'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ, timeout=60)
