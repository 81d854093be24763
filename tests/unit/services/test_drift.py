"""How far tensors moved, from blobs of any cut."""

from pathlib import Path

import numpy as np
import pytest

from hub.domain.digests import digest_of
from hub.domain.manifest import BlobRef, File, Kind, Manifest
from hub.savedmodel.bundle import read_bundle, tensor_entries
from hub.services import differences, drift
from hub.services.drift import Drifts
from hub.storage.blobs.memory import MemoryBlobStore
from tests.support.savedmodel_writer import entry, message, table

NUMBERS = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "string": 7,
    "complex64": 8,
    "bfloat16": 14,
    "qint8": 11,
    "float16": 19,
}
Tensor = tuple[str, tuple[int, ...], bytes]


def publish(blobs: MemoryBlobStore, root: Path, tensors: dict[str, Tensor], cut: int = 1 << 20) -> Manifest:
    """Store variables in blobs of ``cut`` bytes."""
    (root / "variables").mkdir(parents=True)
    rows, data = [(b"", message((1, 1)))], b""
    for name, (dtype, sizes, raw) in sorted(tensors.items()):
        rows.append((name.encode(), entry(NUMBERS[dtype], sizes, len(data), len(raw))))
        data += raw
    (root / "variables/variables.index").write_bytes(table(rows))
    (root / "variables/variables.data-00000-of-00001").write_bytes(data)
    files = []
    for path in sorted(found for found in root.rglob("*") if found.is_file()):
        whole = path.read_bytes()
        parts = [whole[at : at + cut] for at in range(0, len(whole), cut)]
        for part in parts:
            blobs.put(digest_of(part), [part], len(part))
        refs = tuple(BlobRef(digest=digest_of(part), size=len(part)) for part in parts)
        name = str(path.relative_to(root))
        files.append(File(path=name, size=len(whole), digest=digest_of(whole), blobs=refs))
    entries = tensor_entries(read_bundle(root), {})
    return Manifest(kind=Kind.TRUNK, files=tuple(files), signatures={}, tuning_face=None, tensors=entries, lineage=())


def floats(*numbers: float) -> Tensor:
    return "float32", (len(numbers),), np.float32(numbers).tobytes()


def measured(
    tmp_path: Path, before: dict[str, Tensor], after: dict[str, Tensor], cut: int = 1 << 20
) -> dict[str, drift.Drift]:
    blobs = MemoryBlobStore()
    one, other = publish(blobs, tmp_path / "1", before), publish(blobs, tmp_path / "2", after, cut)
    return Drifts(blobs).measure(one, other, differences.changed_pairs(one, other))


def test_it_is_the_norm_of_the_difference_over_the_norm_before(tmp_path: Path):
    random = np.random.default_rng(3)
    was = random.normal(size=700_000).astype("<f4")  # more than one piece of it
    now = was + random.normal(size=was.size).astype("<f4") * np.float32(0.01)
    big = [("float32", (was.size,), each.tobytes()) for each in (was, now)]
    found = measured(tmp_path, {"a": floats(1), "big": big[0]}, {"a": floats(3), "big": big[1]}, cut=99_991)
    exact = np.linalg.norm(now.astype("f8") - was) / np.linalg.norm(was.astype("f8"))
    assert found["big"].value == pytest.approx(float(exact), rel=1e-12)  # sums of float64, in another order
    assert found["a"].value == 2.0


@pytest.mark.parametrize(
    ("dtype", "was", "now", "value"),
    [
        ("float64", np.float64([3, 4]), np.float64([3, 9]), 1.0),
        ("float16", np.float16([3, 4]), np.float16([0, 0]), 1.0),
        ("int32", np.int32([-(2**31), 0]), np.int32([2**31 - 1, 0]), (2**32 - 1) / 2**31),
        ("complex64", np.complex64([3j, 4]), np.complex64([3j, 4 + 5j]), 1.0),
        ("bfloat16", np.uint16([0x4040, 0x4080]), np.uint16([0x4040, 0x4110]), 1.0),  # 3, 4 and 3, 9
    ],
)
def test_every_numeric_type_is_read_as_what_it_is(
    tmp_path: Path, dtype: str, was: np.ndarray, now: np.ndarray, value: float
):
    found = measured(tmp_path, {"t": (dtype, (2,), was.tobytes())}, {"t": (dtype, (2,), now.tobytes())})
    assert found["t"].value == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("was", "now", "note"),
    [
        (floats(0, 0), floats(1, 2), "was all zeros"),
        (floats(1, 2), floats(1, np.nan), "has numbers that are not finite"),
        (floats(1, 2), floats(1, 2, 3), "dtype or shape differ"),
        (("qint8", (2,), b"ab"), ("qint8", (2,), b"ac"), "qint8 is not measured"),
    ],
)
def test_what_has_no_drift_says_why(tmp_path: Path, was: Tensor, now: Tensor, note: str):
    assert measured(tmp_path, {"t": was}, {"t": now})["t"] == drift.Drift(None, note)


def test_an_answer_reads_only_so_many_bytes_and_the_largest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drift, "MAX_BYTES", 40)
    before = {"small": floats(1), "large": floats(1, 2, 3, 4), "middle": floats(1, 2)}
    after = {"small": floats(2), "large": floats(2, 3, 4, 5), "middle": floats(2, 3)}
    found = measured(tmp_path, before, after)
    assert found["large"].value is not None
    assert found["middle"] == drift.TOO_MANY
    assert found["small"].value == 1.0


def test_what_was_measured_is_not_read_again_and_what_cannot_be_read_is_said(tmp_path: Path):
    blobs = MemoryBlobStore()
    one, other = (publish(blobs, tmp_path / str(w), {"t": floats(1, w)}) for w in (1, 2))
    pairs = differences.changed_pairs(one, other)
    drifts = Drifts(blobs)
    first = drifts.measure(one, other, pairs)
    blobs.delete(*one.blobs())
    assert drifts.measure(one, other, pairs) == first
    assert Drifts(blobs).measure(one, other, pairs) == {"t": drift.UNREADABLE}
    drifts = Drifts(blobs)
    held = [drifts._slots.acquire(blocking=False) for _ in range(drift.AT_ONCE)]
    assert all(held)
    assert drifts.measure(one, other, pairs) == {"t": drift.BUSY}


def test_an_index_that_points_elsewhere_leads_nowhere(tmp_path: Path):
    blobs = MemoryBlobStore()
    one, other = (publish(blobs, tmp_path / str(w), {"t": floats(1, w)}) for w in (1, 2))
    row = entry(NUMBERS["float32"], (2,), 1 << 40, 8)
    index = table([(b"", message((1, 1))), (b"t", row)])
    blobs.put(digest_of(index), [index], len(index))
    ref = BlobRef(digest=digest_of(index), size=len(index))
    files = [file for file in other.files if not file.path.endswith("index")]
    files.append(File(path="variables/variables.index", size=len(index), digest=ref.digest, blobs=(ref,)))
    lying = other.model_copy(update={"files": tuple(files)})
    assert Drifts(blobs).measure(one, lying, differences.changed_pairs(one, lying)) == {"t": drift.UNREADABLE}


def test_ten_thousand_tensors_are_told_by_two_hundred_rows(tmp_path: Path):
    blobs = MemoryBlobStore()
    before = publish(blobs, tmp_path / "1", {f"t{n:05}": floats(n, 1) for n in range(10_000)})
    after = publish(blobs, tmp_path / "2", {f"t{n:05}": floats(n, 2) for n in range(5_000, 15_000)})
    pairs = differences.changed_pairs(before, after)
    assert len(pairs) == 200
    told = differences.tensors(before, after, Drifts(blobs).measure(before, after, pairs), is_whole=False)
    assert (told.changed, told.added, told.removed, told.same) == (5_000, 5_000, 5_000, 0)
    assert (len(told.rows), told.total) == (200, 15_000)
