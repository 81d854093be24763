"""Files put together from blobs that come in any order."""

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hub.domain.errors import BlobNotFound, DigestMismatch, InvalidModel
from hub.domain.manifest import BlobRef, File
from hub.storage.assembly import Assembly, fill, is_whole

PARTS = [b"one" * 1000, b"two" * 2000, b"one" * 1000, b"three"]


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def file(path: str, *parts: bytes) -> File:
    data = b"".join(parts)
    blobs = tuple(BlobRef(digest=digest(part), size=len(part)) for part in parts)
    return File(path=path, size=len(data), digest=digest(data), blobs=blobs)


FILES = [file("variables/data", *PARTS), file("graph", b"graph"), file("empty"), file("again", PARTS[1])]
BYTES = {digest(part): part for part in [*PARTS, b"graph"]}


def assert_whole(root: Path) -> None:
    assert (root / "variables/data").read_bytes() == b"".join(PARTS)
    assert (root / "graph").read_bytes() == b"graph"
    assert (root / "empty").read_bytes() == b""
    assert (root / "again").read_bytes() == PARTS[1]


@pytest.mark.parametrize("seed", range(5))
def test_blobs_may_come_in_any_order_and_each_once(tmp_path: Path, seed: int):
    assembly = Assembly(FILES, tmp_path)
    assert assembly.missing == {name: len(data) for name, data in BYTES.items()}
    names = list(BYTES)
    random.Random(seed).shuffle(names)
    for name in names:
        data = BYTES[name]
        assembly.write(name, (data[at : at + 700] for at in range(0, len(data), 700)))
    assert assembly.missing == {}
    assembly.check()
    assert_whole(tmp_path)


def test_many_threads_write_and_hash_one_file(tmp_path: Path):
    parts = [random.Random(number).randbytes(50_000) for number in range(200)]
    whole = file("data", *parts)
    assembly = Assembly([whole], tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda part: assembly.write(digest(part), [part]), parts))
    assembly.check()
    assert (tmp_path / "data").read_bytes() == b"".join(parts)


def test_what_was_done_before_is_not_missing_and_counts(tmp_path: Path):
    first = Assembly(FILES, tmp_path)
    one, two, *rest = BYTES
    first.write(one, [BYTES[one]])
    first.write(two, [BYTES[two]])
    second = Assembly(FILES, tmp_path, done=[one, two, digest(b"of another version")])
    assert list(second.missing) == rest
    for name in rest:
        second.write(name, [BYTES[name]])
    second.check()
    assert_whole(tmp_path)


@pytest.mark.parametrize("came", [b"grapf", b"grap", b"graphs", b""])
def test_other_bytes_are_refused_and_stay_missing(tmp_path: Path, came: bytes):
    assembly = Assembly(FILES, tmp_path)
    with pytest.raises(DigestMismatch, match="of graph has other bytes") as caught:
        assembly.write(digest(b"graph"), [came])
    assert caught.value.facts["digest"] == digest(b"graph")
    assert digest(b"graph") in assembly.missing
    assert (tmp_path / "graph").stat().st_size == 5
    for name, data in BYTES.items():
        assembly.write(name, [data])
    assembly.check()
    assert_whole(tmp_path)


def test_a_file_that_its_blobs_do_not_make_up_is_named(tmp_path: Path):
    wrong = file("wrong", b"a", b"b").model_copy(update={"digest": digest(b"ba")})
    assembly = Assembly([wrong], tmp_path)
    for part in (b"a", b"b"):
        assembly.write(digest(part), [part])
    with pytest.raises(DigestMismatch, match="of wrong do not make up"):
        assembly.check()


def test_bytes_that_were_lost_since_they_were_noted_are_found_out(tmp_path: Path):
    two_parts = file("data", b"a" * 10, b"b" * 10)
    Assembly([two_parts], tmp_path).write(digest(b"a" * 10), [b"a" * 10])
    (tmp_path / "data").write_bytes(bytes(20))
    resumed = Assembly([two_parts], tmp_path, done=[digest(b"a" * 10)])
    resumed.write(digest(b"b" * 10), [b"b" * 10])
    with pytest.raises(DigestMismatch, match="of data has other bytes"):
        resumed.check()
    assert set(resumed.missing) == {digest(b"a" * 10)}
    resumed.write(digest(b"a" * 10), [b"a" * 10])
    resumed.check()
    assert (tmp_path / "data").read_bytes() == b"a" * 10 + b"b" * 10


def test_a_blob_that_came_wrong_is_found_by_its_file_and_is_missing_again(tmp_path: Path):
    assembly = Assembly(FILES, tmp_path)
    wrong, right = digest(PARTS[0]), b"ONE" * 1000
    assembly.write(wrong, [right])
    for name, data in BYTES.items():
        if name != wrong:
            assembly.write(name, [data])
    with pytest.raises(DigestMismatch) as caught:
        assembly.check()
    assert caught.value.facts["digest"] == wrong
    assert set(assembly.missing) == {wrong}
    assembly.write(wrong, [PARTS[0]])
    assembly.check()
    assert_whole(tmp_path)


def test_a_file_of_one_blob_that_was_lost_since_is_found_out_too(tmp_path: Path):
    resumed = Assembly([file("graph", b"graph")], tmp_path)
    resumed.write(digest(b"graph"), [b"graph"])
    (tmp_path / "graph").write_bytes(bytes(5))
    again = Assembly([file("graph", b"graph")], tmp_path, done=[digest(b"graph")])
    with pytest.raises(DigestMismatch):
        again.check()


def test_a_file_that_is_gone_is_missing_whatever_was_noted(tmp_path: Path):
    Assembly(FILES, tmp_path).write(digest(b"graph"), [b"graph"])
    (tmp_path / "graph").unlink()
    assert digest(b"graph") in Assembly(FILES, tmp_path, done=[digest(b"graph")]).missing


def test_going_on_opens_what_was_sealed_and_leaves_other_peoples_files_alone(tmp_path: Path):
    first = Assembly(FILES, tmp_path / "new")
    fill(first, lambda name: iter([BYTES[name]]))
    (tmp_path / "new" / "graph").chmod(0o444)
    other = tmp_path / "other"
    other.write_bytes(b"three")
    (tmp_path / "new" / "again").unlink()
    (tmp_path / "new" / "again").hardlink_to(other)
    second = Assembly(FILES, tmp_path / "new", done=BYTES)
    assert set(second.missing) == {digest(PARTS[1])}
    second.write(digest(PARTS[1]), [PARTS[1]])
    second.check()
    assert_whole(tmp_path / "new")
    assert other.read_bytes() == b"three"


def test_filling_stops_at_the_first_failure_and_says_which(tmp_path: Path):
    def broken(name: str):
        if name == digest(b"graph"):
            raise BlobNotFound("gone", digest=name)
        return iter([BYTES[name]])

    with pytest.raises(BlobNotFound, match="gone"):
        fill(Assembly(FILES, tmp_path), broken)
    assembly = Assembly(FILES, tmp_path)
    fill(assembly, lambda name: iter([BYTES[name]]))
    assembly.check()
    assert_whole(tmp_path)


def test_a_name_too_long_for_the_disk_is_the_models_fault(tmp_path: Path):
    with pytest.raises(InvalidModel, match="too long"):
        Assembly([file("n" * 300, b"x")], tmp_path)


def test_a_directory_is_whole_with_these_files_and_no_others(tmp_path: Path):
    assembly = Assembly(FILES, tmp_path)
    assert not is_whole(FILES, tmp_path)
    fill(assembly, lambda name: iter([BYTES[name]]))
    assert is_whole(FILES, tmp_path)
    (tmp_path / "more").write_bytes(b"")
    assert not is_whole(FILES, tmp_path)
