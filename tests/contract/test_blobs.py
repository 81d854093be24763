"""The laws of `BlobStore`, on every store; on S3 against a real server."""

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hub.domain.digests import READ_BYTES
from hub.domain.errors import BlobNotFound, DigestMismatch, NotAvailable
from hub.storage.blobs import BlobStore, open_store
from hub.storage.blobs.filesystem import FilesystemBlobStore
from hub.storage.blobs.layout import path_of
from tests.support.s3_servers import S3_PLACES, StoreUrl

MIB = 1 << 20
UNKNOWN = "sha256:" + "0" * 64


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def pattern(size: int, seed: int = 7) -> bytes:
    return random.Random(seed).randbytes(size)


def put(store: BlobStore, data: bytes) -> str:
    store.put(digest(data), [data], len(data))
    return digest(data)


@pytest.fixture(params=["memory", "directory", *(pytest.param(place, marks=pytest.mark.slow) for place in S3_PLACES)])
def store(request: pytest.FixtureRequest, tmp_path: Path, s3_store_url: StoreUrl) -> BlobStore:
    server, _, scheme = request.param.partition("-")
    if scheme:
        return open_store(s3_store_url(request.getfixturevalue(server), scheme))
    return open_store("memory:" if request.param == "memory" else str(tmp_path / "blobs"))


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 5, 17 * MIB])
def test_bytes_come_out_as_they_went_in(store: BlobStore, size: int) -> None:
    data = pattern(size)
    name = digest(data)
    store.put(name, (data[at : at + 300_001] for at in range(0, size, 300_001)), size)
    assert store.has(name)
    assert store.size(name) == size
    pieces = list(store.open(name))
    assert b"".join(pieces) == data
    assert all(0 < len(piece) <= READ_BYTES for piece in pieces)


@pytest.mark.parametrize(
    ("start", "length"),
    [
        (0, 0),
        (0, 1),
        (0, None),
        (5, 10),
        (MIB, MIB),
        (2 * MIB - 3, None),
        (2 * MIB - 3, 99),
        (2 * MIB, None),
        (9 * MIB, 4),
    ],
)
def test_a_range_gives_exactly_its_bytes_and_is_cut_short_at_the_end(
    store: BlobStore, start: int, length: int | None
) -> None:
    data = pattern(2 * MIB)
    name = put(store, data)
    end = None if length is None else start + length
    assert b"".join(store.open(name, start, length)) == data[start:end]


def test_blobs_that_are_files_can_be_had_as_files(store: BlobStore) -> None:
    name = put(store, b"0123456789")
    assert (store.files is not None) == isinstance(store, FilesystemBlobStore)
    if store.files is None:
        return
    with store.files.open_file(name) as file:
        store.delete(name)
        assert os.pread(file.fileno(), 20, 3) == b"3456789"
    with pytest.raises(BlobNotFound):
        store.files.open_file(name)


def test_a_range_of_an_empty_blob_is_empty(store: BlobStore) -> None:
    name = put(store, b"")
    assert list(store.open(name)) == []
    assert list(store.open(name, 3, 4)) == []


@pytest.mark.parametrize("came", [b"hellO", b"hell", b"hello!", b""])
def test_wrong_bytes_are_refused_and_nothing_of_them_is_seen(store: BlobStore, came: bytes) -> None:
    with pytest.raises(DigestMismatch, match=digest(b"hello")):
        store.put(digest(b"hello"), [came], 5)
    assert not store.has(digest(b"hello"))
    assert list(store.digests()) == []
    store.put(digest(b"hello"), [b"he", b"llo"], 5)
    assert b"".join(store.open(digest(b"hello"))) == b"hello"


def test_bytes_of_another_size_than_announced_are_refused(store: BlobStore) -> None:
    with pytest.raises(DigestMismatch):
        store.put(digest(b"hello"), [b"hello"], 6)
    with pytest.raises(DigestMismatch):
        store.put(digest(b"hello"), [b"hello"], 4)
    assert not store.has(digest(b"hello"))


def test_a_source_that_breaks_leaves_nothing_and_its_own_error_comes_through(store: BlobStore) -> None:
    def broken() -> Iterator[bytes]:
        yield b"he"
        raise ConnectionResetError("the sender went away")

    with pytest.raises(ConnectionResetError, match="went away"):
        store.put(digest(b"hello"), broken(), 5)
    assert not store.has(digest(b"hello"))
    assert list(store.digests()) == []


def test_putting_what_is_stored_changes_nothing_and_reads_nothing(store: BlobStore) -> None:
    name = put(store, b"hello")

    def unread() -> Iterator[bytes]:
        pytest.fail("the chunks were read")
        yield b""

    store.put(name, unread(), 5)
    assert b"".join(store.open(name)) == b"hello"


def test_many_threads_may_put_the_same_bytes_at_once(store: BlobStore) -> None:
    data = pattern(2 * MIB)
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(lambda _: put(store, data), range(8)))
    assert names == set(store.digests()) == {digest(data)}
    assert b"".join(store.open(digest(data))) == data


def test_an_unknown_digest_is_an_error_at_the_call(store: BlobStore) -> None:
    assert not store.has(UNKNOWN)
    for ask in (lambda: store.open(UNKNOWN), lambda: store.open(UNKNOWN, 3, 0), lambda: store.size(UNKNOWN)):
        with pytest.raises(BlobNotFound, match=UNKNOWN):
            ask()


def test_missing_names_each_absent_digest_once_in_the_order_given(store: BlobStore) -> None:
    here = put(store, b"here")
    other = digest(b"other")
    assert store.missing([UNKNOWN, here, other, UNKNOWN]) == [UNKNOWN, other]
    assert store.missing([]) == []


def test_what_is_deleted_is_gone_and_deleting_it_again_is_fine(store: BlobStore) -> None:
    name, kept = put(store, b"gone"), put(store, b"kept")
    store.delete(name)
    store.delete(name)
    assert not store.has(name)
    with pytest.raises(BlobNotFound):
        store.open(name)
    assert list(store.digests()) == [kept]
    assert put(store, b"gone") == name
    assert store.has(name)


def test_digests_lists_everything_beyond_one_page(store: BlobStore) -> None:
    blobs = [str(number).encode() for number in range(1_020)]
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda data: put(store, data), blobs))
    listed = list(store.digests())
    assert sorted(listed) == sorted(names)


def test_a_store_that_works_passes_its_check_and_shows_no_trace_of_it(store: BlobStore) -> None:
    store.check()
    assert list(store.digests()) == []


# What only the directory can break


def test_two_stores_over_one_directory_see_the_same(tmp_path: Path) -> None:
    name = put(FilesystemBlobStore(tmp_path), b"hello")
    assert FilesystemBlobStore(tmp_path).has(name)


def test_a_start_sweeps_what_a_dead_writer_left_but_not_what_a_live_one_writes(tmp_path: Path) -> None:
    store = FilesystemBlobStore(tmp_path)
    (tmp_path / "tmp" / "left").write_bytes(b"half")

    def chunks() -> Iterable[bytes]:
        yield b"he"
        FilesystemBlobStore(tmp_path)
        yield b"llo"

    store.put(digest(b"hello"), chunks(), 5)
    assert b"".join(store.open(digest(b"hello"))) == b"hello"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_file_cut_short_by_something_else_is_repaired_by_putting_it_again(tmp_path: Path) -> None:
    store = FilesystemBlobStore(tmp_path)
    name = put(store, b"hello")
    (tmp_path / path_of(name)).write_bytes(b"he")
    put(store, b"hello")
    assert b"".join(store.open(name)) == b"hello"


def test_a_disk_that_takes_no_more_is_not_available_and_shows_nothing(tmp_path: Path) -> None:
    store = FilesystemBlobStore(tmp_path)
    data = pattern(2 * MIB)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, hard))
    try:
        with pytest.raises(NotAvailable, match=str(tmp_path)):
            put(store, data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(store.digests()) == []
    assert list((tmp_path / "tmp").iterdir()) == []
    assert put(store, data) in store.digests()


def test_a_place_that_is_no_directory_is_not_available(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotAvailable, match="cannot be used"):
        FilesystemBlobStore(tmp_path / "file" / "blobs")


_WRITER = """
import hashlib, sys
from pathlib import Path
from hub.storage.blobs.filesystem import FilesystemBlobStore

store = FilesystemBlobStore(Path(sys.argv[1]))
for number in range(10_000):
    data = number.to_bytes(4, "big") * 200_000
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    store.put(digest, (data[at : at + 10_000] for at in range(0, len(data), 10_000)), len(data))
    print(digest, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_writer_killed_at_any_moment_loses_nothing_acknowledged_and_shows_nothing_half(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        told = [writer.stdout.readline().strip() for _ in range(chance.randrange(1, 20))]
        # Some further system calls happen before the signal arrives: how many differs with the seed.
        for _ in range(chance.randrange(2_000)):
            os.getppid()
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout.read().split()
    acknowledged = {line for line in told if len(line) == len(UNKNOWN)}
    store = FilesystemBlobStore(tmp_path)
    seen = set(store.digests())
    assert acknowledged <= seen
    assert all(digest(b"".join(store.open(name))) == name for name in seen)
    assert list((tmp_path / "tmp").iterdir()) == []


# What only S3 can break


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_not_available(any_s3_url: str) -> None:
    store = open_store(any_s3_url.replace("s3://contract/", "s3://no-such-bucket/"))
    with pytest.raises(NotAvailable, match="no-such-bucket"):
        store.check()
    with pytest.raises(NotAvailable):
        list(store.digests())


@pytest.mark.slow
def test_wrong_credentials_are_not_available(any_s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(NotAvailable, match="credentials"):
        open_store(any_s3_url).check()


@pytest.mark.slow
@pytest.mark.parametrize("server", ["seaweedfs", "ceph"])
def test_a_server_that_nobody_vouches_for_is_not_available(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, s3_store_url: StoreUrl, server: str
) -> None:
    url = s3_store_url(request.getfixturevalue(server), "https")
    monkeypatch.delenv("AWS_CA_BUNDLE")
    with pytest.raises(NotAvailable, match="s3://contract"):
        open_store(url).check()


@pytest.mark.slow
def test_other_objects_in_the_bucket_are_nobodys_blob(any_s3_url: str) -> None:
    store = open_store(any_s3_url)
    name = put(store, b"hello")
    deeper = open_store(any_s3_url.replace("?", "/sha256?"))
    other = put(deeper, b"other")
    assert list(store.digests()) == [name]
    assert list(deeper.digests()) == [other]


def test_a_server_that_does_not_answer_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    store = open_store("s3://bucket?endpoint_url=http://127.0.0.1:9")
    for ask in (lambda: store.has(UNKNOWN), lambda: store.open(UNKNOWN), lambda: put(store, b"hello"), store.check):
        with pytest.raises(NotAvailable, match="s3://bucket"):
            ask()
