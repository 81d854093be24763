"""What breaks a caller, and what a head looks like from outside."""

import pytest

from hub.domain.errors import InvalidModel, InvalidTensor
from hub.domain.signatures import Signature, compose, interface_breaks, pair_features
from hub.domain.tensors import Shape, TensorSpec, check_tensor, format_shape


def spec(name: str, shape: Shape = (None, 3), dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape)


def signature(inputs: list[TensorSpec], outputs: list[TensorSpec], name: str = "serving_default") -> Signature:
    return Signature(name=name, inputs={s.name: s for s in inputs}, outputs={s.name: s for s in outputs})


BASE = {"serving_default": signature([spec("x")], [spec("y")])}


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (signature([spec("z")], [spec("y")]), "input x was removed"),
        (signature([spec("x"), spec("z")], [spec("y")]), "input z was added"),
        (signature([spec("x", dtype="int32")], [spec("y")]), "changed from float32 to int32"),
        (signature([spec("x", (1, 3))], [spec("y")]), "narrowed from [?, 3] to [1, 3]"),
        (signature([spec("x", (None, 3, 1))], [spec("y")]), "narrowed"),
        (signature([spec("x")], []), "output y was removed"),
        (signature([spec("x")], [spec("y", dtype="float64")]), "changed from float32 to float64"),
        (signature([spec("x")], [spec("y", None)]), "changed from [?, 3] to [...]"),
    ],
)
def test_what_breaks_a_caller_is_said_in_words(after: Signature, words: str):
    breaks = interface_breaks(BASE, {"serving_default": after})
    assert len(breaks) >= 1
    assert any(words in reason for reason in breaks)


@pytest.mark.parametrize(
    "after",
    [
        signature([spec("x")], [spec("y")]),
        signature([spec("x", (None, None))], [spec("y")]),
        signature([spec("x", None)], [spec("y")]),
        signature([spec("x")], [spec("y"), spec("more")]),
        signature([spec("x")], [spec("y", (1, 3))]),
    ],
)
def test_what_only_widens_breaks_nobody(after: Signature):
    assert interface_breaks(BASE, {"serving_default": after, "another": after}) == []


def test_a_removed_signature_breaks():
    assert interface_breaks(BASE, {}) == ["signature serving_default was removed"]


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
