"""Where files of variables are cut."""

import shutil
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.manifest import BLOB_BYTES
from hub.savedmodel.bundle import INDEX, Stored
from hub.savedmodel.cuts import ALONE_BYTES, GROUP_BYTES, cut_shard, cut_sizes, fixed_sizes
from hub.savedmodel.wire import Malformed

TRUNK = Path(__file__).parents[2] / "fixtures" / "savedmodels" / "trunk"


def tensors(*sizes: int) -> list[Stored]:
    offsets = [0, *accumulate(sizes)]
    return [Stored(str(at), "uint8", (size,), 0, at, size, 0) for at, size in zip(offsets, sizes, strict=False)]


def cut(*sizes: int) -> tuple[int, ...]:
    return cut_shard(tensors(*sizes), sum(sizes))


def test_large_tensors_stand_alone_and_small_neighbours_together():
    assert cut(10, 20, ALONE_BYTES, 30, ALONE_BYTES + 5, 7, 8) == (30, ALONE_BYTES, 30, ALONE_BYTES + 5, 15)


def test_a_run_of_small_tensors_is_cut_between_two_of_them():
    small = ALONE_BYTES - 1
    sizes = cut(*[small] * 50)
    assert max(sizes) <= GROUP_BYTES
    assert all(size % small == 0 for size in sizes)


def test_a_tensor_larger_than_a_blob_is_cut_again():
    assert cut(5, 2 * BLOB_BYTES + 1, 5) == (5, BLOB_BYTES, BLOB_BYTES, 1, 5)


def test_a_changed_tensor_changes_no_other_cut():
    before, after = cut(100_000, 200_000, 300_000), cut(100_000, 250_000, 300_000)
    assert before == (100_000, 200_000, 300_000)
    assert after == (100_000, 250_000, 300_000)


def test_a_huge_file_of_small_tensors_has_a_bounded_number_of_blobs():
    sizes = cut(*[ALONE_BYTES] * 200_000)
    assert len(sizes) < 20_000
    assert sum(sizes) == 200_000 * ALONE_BYTES


@given(st.lists(st.integers(1, 3 * ALONE_BYTES), min_size=1, max_size=60), st.integers(0, 1 << 21))
def test_the_cuts_cover_the_file_in_order(sizes: list[int], tail: int):
    size = sum(sizes) + tail
    found = cut_shard(tensors(*sizes), size)
    assert sum(found) == size
    assert all(0 < part <= BLOB_BYTES for part in found)
    borders = {0, *accumulate(found)}
    assert all({stored.offset, stored.end} <= borders for stored in tensors(*sizes) if stored.size >= ALONE_BYTES)


def test_tensors_that_overlap_or_lie_outside_cut_nothing():
    overlapping = [*tensors(ALONE_BYTES), Stored("b", "uint8", (ALONE_BYTES,), 0, 5, ALONE_BYTES, 0)]
    for wrong, size in ((overlapping, 1 << 20), (tensors(ALONE_BYTES), 10)):
        with pytest.raises(Malformed):
            cut_shard(wrong, size)


def test_a_real_models_variables_are_cut_to_their_size():
    ((path, sizes),) = cut_sizes(TRUNK).items()
    assert sum(sizes) == (TRUNK / path).stat().st_size


@pytest.mark.parametrize("harm", ["absent", "empty", "garbage"])
def test_an_index_that_cannot_be_believed_cuts_nothing(tmp_path: Path, harm: str):
    shutil.copytree(TRUNK, tmp_path / "trunk")
    index = tmp_path / "trunk" / INDEX
    if harm == "absent":
        index.unlink()
    else:
        index.write_bytes(b"" if harm == "empty" else b"x" * 100)
    assert cut_sizes(tmp_path / "trunk") == {}


def test_other_files_are_cut_at_fixed_sizes():
    assert fixed_sizes(0) == ()
    assert fixed_sizes(2 * BLOB_BYTES + 3) == (BLOB_BYTES, BLOB_BYTES, 3)
