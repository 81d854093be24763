"""Numbers that are cut out of JSON mean what they would mean in it."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.domain.errors import HubError
from hub.domain.signatures import Signature
from hub.domain.tensors import TensorSpec
from hub.protocol.codecs.numbers import Numbers, parse_object_with_numbers
from hub.protocol.codecs.tfserving import decode_predict
from hub.protocol.codecs.values import read_tensor

LONG = " " * 3_000


def long(value: Any) -> str:
    """JSON that is long enough to be cut out."""
    return json.dumps(value).replace("[", "[" + LONG, 1)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ([1], (1,)),
        ([1, 2.5, -3e4], (3,)),
        ([[1, 2, 3], [4, 5, 6]], (2, 3)),
        ([[[1], [2]], [[3], [4]], [[5], [6]]], (3, 2, 1)),
        ([[[[7]]]], (1, 1, 1, 1)),
    ],
)
def test_rectangular_lists_have_a_shape(value: Any, shape: tuple[int, ...]) -> None:
    assert Numbers(json.dumps(value).encode()).shape(math.prod(shape)) == shape


@pytest.mark.parametrize("value", [[[1, 2], [3]], [1, [2]], [[1], 2], [[[1], [2]], [[3]]], [[1, 2, 3], [4], [5, 6]]])
def test_lists_that_are_not_rectangular_have_none(value: Any) -> None:
    assert Numbers(json.dumps(value).encode()).shape(len(json.dumps(value))) is None


def test_long_lists_are_cut_out_wherever_they_stand() -> None:
    text = '{"a": %s, "b": {"c": %s, "d": [{"e": %s}, {"e": %s}]}, "f": [1, 2], "g": "[%s"}'
    found = parse_object_with_numbers((text % (long([1, 2]), long([[3]]), long([4]), long([5]), LONG)).encode())
    assert isinstance(found["a"], Numbers)
    assert found["a"].value() == [1, 2]
    assert found["b"]["c"].value() == [[3]]
    assert [row["e"].value() for row in found["b"]["d"]] == [[4], [5]]
    assert (found["f"], found["g"]) == ([1, 2], "[" + LONG)


scalars = (
    st.integers(-300, 300) | st.floats(allow_nan=False, width=32) | st.booleans() | st.none() | st.text(max_size=2)
)
numbers = st.integers(-300, 300) | st.floats(-1e3, 1e3, width=32)
lists = (
    st.lists(numbers, max_size=4)
    | st.lists(st.lists(numbers, min_size=2, max_size=2), max_size=3)
    | st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=8).filter(
        lambda v: isinstance(v, list)
    )
)
dtypes = st.sampled_from(["float32", "float16", "bfloat16", "int32", "int64", "uint8", "uint64", "bool", "string"])


@given(lists, dtypes)
@example([[], ""], "float32")
@example([["x"], [1], [2]], "string")
@example([1e39], "float32")
@example([256], "uint8")
@example([1 << 63], "uint64")
@example([-(1 << 63)], "int64")
@example([[]], "float32")
@example([1.0], "int32")
def test_a_tensor_is_the_same_cut_out_or_not(value: list, dtype: str) -> None:
    spec = TensorSpec(name="x", dtype=dtype, shape=None)

    def outcome(given: Any) -> Any:
        try:
            tensor = read_tensor(given, spec)
        except HubError as error:
            return type(error), error.detail
        return tensor.shape, bytes(tensor.data)

    cut = parse_object_with_numbers(f'{{"x": {long(value)}}}'.encode())["x"]
    assert outcome(cut) == outcome(json.loads(json.dumps(value)))


@given(st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=4), st.booleans())
def test_rows_and_columns_are_the_same_cut_out_or_not(rows: list[list[float]], is_named: bool) -> None:
    spec = TensorSpec(name="x", dtype="float64", shape=(None, 3))
    signatures = {"serving_default": Signature(name="serving_default", inputs={"x": spec}, outputs={})}
    instances = ", ".join(f'{{"x": {long(row)}}}' if is_named else json.dumps(row) for row in rows)
    body = f'{{"instances": [{LONG} {instances}]}}'.encode()
    (tensor,) = decode_predict(body, signatures).tensors
    assert tensor.shape == (len(rows), 3)
    np.testing.assert_array_equal(np.frombuffer(tensor.data).reshape(-1, 3), rows)


def test_text_that_is_no_json_is_refused_cut_out_or_not() -> None:
    spec = TensorSpec(name="x", dtype="float32", shape=None)
    for wrong in ("[1,]", "[1 2]", "[,1]", "[1]]", "[[1]", "[01]", "[--1]", "[1e]", "[.5]"):
        text = wrong.replace("[", "[" + LONG, 1)
        with pytest.raises(HubError):
            read_tensor(parse_object_with_numbers(f'{{"x": {text}}}'.encode())["x"], spec)
