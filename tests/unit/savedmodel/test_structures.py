"""Nested arguments: names, paths and bounds."""

import pytest

from hub.domain.tensors import TensorSpec
from hub.savedmodel.structures import Opaque, flatten, read_arguments, read_parameters, read_structure
from hub.savedmodel.wire import Malformed


def read(raw):
    return read_structure(memoryview(raw))


def test_plain_values_read_as_themselves(write):
    values = [(1, b""), (13, "text"), (14, 1), (12, 5), (12, 6)]
    assert [read(write.message(value)) for value in values] == [None, "text", True, -3, 3]


def test_tensors_are_found_with_their_paths_and_plain_values_are_not(write):
    value = write.structure_tuple(
        write.structure_dict(a=write.spec("ignored", 1, -1, 3), b=write.message((14, 1))),
        write.spec("", 3),
    )
    assert list(flatten(read(value))) == [
        ("0/a", TensorSpec(name="ignored", dtype="float32", shape=(None, 3))),
        ("1", TensorSpec(name="", dtype="int32", shape=())),
    ]


def test_a_composite_type_reads_as_opaque_with_its_name(write):
    assert read(write.message((34, write.message((1, 3))))) == Opaque("a ragged tensor")
    assert read(write.message((34, write.message((1, 13), (3, "my.Type"))))) == Opaque("my.Type")


def test_a_missing_shape_reads_as_unknown_rank(write):
    found = read(write.message((33, write.message((3, 1)))))
    assert isinstance(found, TensorSpec)
    assert found.shape is None


def test_nesting_beyond_the_bound_is_malformed(write):
    value = write.spec("x", 1)
    for _ in range(45):
        value = write.structure_tuple(value)
    assert list(flatten(read(value)))
    for _ in range(10):
        value = write.structure_tuple(value)
    with pytest.raises(Malformed, match="levels deep"):
        read(value)


def test_arguments_of_another_form_are_malformed(write):
    with pytest.raises(Malformed, match="canonical"):
        read_arguments(memoryview(write.spec("x", 1)))


@pytest.mark.parametrize(("is_method", "names"), [(1, ("x", "training")), (0, ("self", "x", "training"))])
def test_parameter_names_leave_self_out_of_methods(write, is_method, names):
    listed = [write.message((13, name)) for name in ("self", "x", "training")]
    values = write.message(*((1, each) for each in listed))
    defaults = write.structure_tuple(write.message((14, 0)))
    args = write.message((1, "args"), (2, write.message((51, values))))
    full = write.message((54, write.message((2, args), (2, write.message((1, "defaults"), (2, defaults))))))
    found = read_parameters(memoryview(write.message((1, full), (2, is_method))))
    assert (found.names, found.with_default) == (names, {"training"})


@pytest.mark.parametrize("sizes", [(-2,), (1 << 40, 1 << 40), tuple([1] * 300)])
def test_shapes_that_no_tensor_has_are_malformed(write, sizes):
    with pytest.raises(Malformed):
        read(write.spec("x", 1, *sizes))
