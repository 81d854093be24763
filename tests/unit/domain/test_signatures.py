"""What a head looks like from outside, and what a tensor must be."""

import pytest

from hub.domain.errors import InvalidModel, InvalidTensor
from hub.domain.signatures import Signature, compose, pair_features
from hub.domain.tensors import Shape, TensorSpec, check_tensor, format_shape


def spec(name: str, shape: Shape = (None, 3), dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape)


def signature(inputs: list[TensorSpec], outputs: list[TensorSpec], name: str = "serving_default") -> Signature:
    return Signature(name=name, inputs={s.name: s for s in inputs}, outputs={s.name: s for s in outputs})


def test_a_head_is_called_on_the_trunks_input():
    trunk = signature([spec("image", (None, 8, 8, 3))], [spec("features", (None, 16))])
    head = signature([spec("anything", (None, 16))], [spec("classes", (None, 4))])
    assert pair_features(trunk, head) == {"anything": "features"}
    composed = compose(trunk, {"serving_default": head})["serving_default"]
    assert (composed.inputs, composed.outputs) == (trunk.inputs, head.outputs)


def test_several_features_are_paired_by_name():
    trunk = signature([spec("x")], [spec("a", (None, 1)), spec("b", (None, 2))])
    assert pair_features(trunk, signature([spec("b", (None, 2))], [spec("y")])) == {"b": "b"}
    with pytest.raises(InvalidModel, match="fed by no trunk output"):
        pair_features(trunk, signature([spec("c")], [spec("y")]))


@pytest.mark.parametrize("want", [spec("f", (None, 17)), spec("f", (None, 16), "float16"), spec("f", (None, 4, 4))])
def test_a_head_that_cannot_fit_is_refused(want: TensorSpec):
    trunk = signature([spec("x")], [spec("features", (None, 16))])
    with pytest.raises(InvalidModel, match="cannot feed"):
        pair_features(trunk, signature([want], [spec("y")]))


@pytest.mark.parametrize(
    ("dtype", "shape", "said"),
    [
        ("int32", (2, 3), "float32"),
        ("float32", (2, 4), "[?, 3]"),
        ("float32", (3,), "[?, 3]"),
        ("float32", (), "[?, 3]"),
    ],
)
def test_a_wrong_tensor_is_named_with_what_was_expected(dtype: str, shape: tuple[int, ...], said: str):
    with pytest.raises(InvalidTensor, match="'x'") as caught:
        check_tensor("x", dtype, shape, spec("x"))
    assert said in caught.value.detail


def test_a_fitting_tensor_passes_and_shapes_read_well():
    check_tensor("x", "float32", (2, 3), spec("x"))
    check_tensor("x", "float32", (), spec("x", None))
    assert format_shape((None, 3)) == "[?, 3]"
    assert format_shape(()) == "[]"
