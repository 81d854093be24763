"""The variables' index: the same tensors as TensorFlow's own reader sees, and no belief in what cannot be."""

import hashlib

import pytest

from hub.savedmodel.bundle import OBJECT_GRAPH_KEY, contradictions, read_bundle, tensor_entries
from hub.savedmodel.inspect import inspect
from hub.savedmodel.wire import Malformed


def test_names_types_shapes_and_bytes_are_those_tensorflow_reads(fixtures):
    tf = pytest.importorskip("tensorflow")
    root = fixtures / "trunk"
    reader = tf.train.load_checkpoint(str(root / "variables/variables"))
    dtypes, shapes = reader.get_variable_to_dtype_map(), reader.get_variable_to_shape_map()
    entries = {found.name: found for found in tensor_entries(read_bundle(root), {})}
    assert entries.keys() == shapes.keys()
    for name, found in entries.items():
        assert (found.dtype, list(found.shape)) == (dtypes[name].name, shapes[name])
        if name != OBJECT_GRAPH_KEY and found.dtype != "string":
            stored = reader.get_tensor(name).tobytes()
            assert found.digest == "sha256:" + hashlib.sha256(stored).hexdigest()


def test_a_sound_bundle_contradicts_nothing(model):
    assert list(contradictions(read_bundle(model.write()))) == []


@pytest.mark.parametrize(
    ("stored", "clause"),
    [
        ({"offset": 1 << 40, "size": 8}, "of variables/variables.data-00000-of-00001, which has"),
        ({"offset": -1, "size": 8}, "negative"),
        ({"offset": 0, "size": -8}, "negative"),
        ({"offset": 0, "size": 8, "shard": 99}, "shard 99 of 1"),
        ({"offset": 0, "size": 4}, "its type and shape need 8"),
        ({"offset": 8, "size": 8}, "overlaps"),
    ],
)
def test_impossible_places_and_sizes_are_named(model, write, stored, clause):
    model.stored = write.entry(1, (2,), **stored)
    found = dict(contradictions(read_bundle(model.write())))
    assert any(clause in reason for reason in found.values())
    report = inspect(model.root).report
    assert "variables.contradiction" in {each.rule for each in report.findings}
    assert report.servable.answer == "no"


def test_a_hundred_gigabytes_claimed_over_sixteen_bytes_are_refused(model, write):
    model.stored = write.entry(1, (25_000_000_000,), 0, 100_000_000_000)
    assert not inspect(model.write()).report.is_accepted


def test_an_absurd_number_of_shards_is_malformed(model):
    model.shards = (1 << 31) - 1
    with pytest.raises(Malformed, match="shards"):
        read_bundle(model.write())


def test_a_variable_of_another_type_than_stored_is_a_mismatch(model, write):
    model.stored = write.entry(3, (2,), 0, 8)
    findings = inspect(model.write()).report.findings
    assert [found.rule for found in findings if found.rule.startswith("variables.")] == ["variables.mismatch"]


def test_a_missing_shard_is_named(copy_of):
    root = copy_of("trunk")
    (root / "variables/variables.data-00000-of-00001").unlink()
    report = inspect(root).report
    assert report.servable.answer == "no"
    assert "variables.data-00000-of-00001" in report.servable.reasons[0]


def test_half_a_shard_is_refused(copy_of):
    root = copy_of("trunk")
    path = root / "variables/variables.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert not inspect(root).report.is_accepted


def test_a_shard_of_another_model_is_blamed_not_the_index(copy_of):
    root = copy_of("trunk")
    path = root / "variables/variables.data-00000-of-00001"
    path.write_bytes(b"\0" * path.stat().st_size)
    reasons = inspect(root).report.servable.reasons
    assert any("variables.data-00000-of-00001 does not hold" in reason for reason in reasons)


def test_a_digest_that_is_known_is_taken_and_the_others_are_hashed(fixtures):
    bundle = read_bundle(fixtures / "trunk")
    plain = tensor_entries(bundle, {})
    some = next(stored for stored in bundle.tensors.values() if stored.size > 0)
    known = {(bundle.shard_path(some.shard), some.offset, some.size): "sha256:" + "0" * 64}
    changed = [
        (new.name, new.digest) for old, new in zip(plain, tensor_entries(bundle, known), strict=True) if old != new
    ]
    assert changed == [(some.name, "sha256:" + "0" * 64)]
