"""What a caller gives, as the tensors that a signature takes."""

import numpy as np
import pytest

from hub.client.predict import to_tensors
from hub.domain.errors import InvalidTensor
from hub.domain.signatures import Signature
from hub.domain.tensors import Shape, TensorSpec
from hub.protocol.codecs.values import to_array
from hub.protocol.frames import to_numpy


def taking(**inputs: tuple[str, Shape]) -> Signature:
    specs = {name: TensorSpec(name=name, dtype=dtype, shape=shape) for name, (dtype, shape) in inputs.items()}
    return Signature(name="serving_default", inputs=specs, outputs={})


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([[1, 2]], "float32"),
        (np.array([[1.0, 2.0]]), "float32"),
        (np.array([[1, 2]], np.int64), "uint8"),
        ([[1, 2]], "int32"),
        (np.array([[1, 2]], ">f4"), "float32"),
        (np.array([[1.0, 2.0]]), "float16"),
        ([[True, False]], "bool"),
    ],
)
def test_what_loses_nothing_is_converted(value: object, dtype: str):
    (tensor,) = to_tensors(taking(x=(dtype, (None, 2))), value)
    assert tensor.dtype == dtype
    np.testing.assert_array_equal(to_numpy(tensor).astype(np.float64), np.asarray(value, np.float64))


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([[1.5, 2.0]], "int32"),
        ([[300, 2]], "uint8"),
        ([[-1, 2]], "uint8"),
        ([["1", "2"]], "float32"),
        ([[1, 2]], "bool"),
        ([[1, 2]], "string"),
        ([[1 + 2j, 0]], "float32"),
    ],
)
def test_what_would_lose_something_is_refused_by_name(value: object, dtype: str):
    with pytest.raises(InvalidTensor, match="'x'") as caught:
        to_tensors(taking(x=(dtype, (None, 2))), value)
    assert caught.value.facts["tensor"] == "x"


def test_strings_travel_as_text_or_bytes_with_their_zero_bytes():
    (tensor,) = to_tensors(taking(x=("string", (None,))), ["text", b"\x00bytes\x00"])
    assert to_numpy(tensor).tolist() == [b"text", b"\x00bytes\x00"]
    (scalar,) = to_tensors(taking(x=("string", ())), b"one")
    assert scalar.shape == ()


def test_a_type_that_numpy_lacks_is_rounded_to():
    (tensor,) = to_tensors(taking(x=("bfloat16", (2,))), [1.0, 0.5])
    np.testing.assert_array_equal(to_array(tensor), np.array([1.0, 0.5], np.float32))


def test_an_empty_list_fits_every_type():
    (tensor,) = to_tensors(taking(x=("int32", (None,))), [])
    assert (tensor.dtype, tensor.shape) == ("int32", (0,))


def test_a_bare_value_means_the_only_input():
    two = taking(x=("float32", ()), y=("float32", ()))
    with pytest.raises(InvalidTensor, match=r"takes 2 inputs"):
        to_tensors(two, 1.0)
    assert [tensor.name for tensor in to_tensors(two, {"y": 2.0, "x": 1.0})] == ["x", "y"]


def test_a_signature_without_inputs_takes_nothing():
    assert to_tensors(taking(), None) == []
