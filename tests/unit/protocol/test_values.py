import base64
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from hub.domain.errors import InvalidRequest, InvalidTensor
from hub.domain.tensors import BY_NAME, TensorSpec
from hub.protocol.codecs.json_text import parse_json, parse_json_object, writable, write_json
from hub.protocol.codecs.values import flatten, read_tensor, to_array, write_array, write_tensor
from hub.protocol.frames import Tensor, from_numpy

NUMBERS = [
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
]
arrays = st.sampled_from(NUMBERS).flatmap(
    lambda name: stn.arrays(
        np.dtype(BY_NAME[name].numpy), stn.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    )
)


def spec(dtype: str, shape: tuple[int | None, ...] | None = None) -> TensorSpec:
    return TensorSpec(name="x", dtype=dtype, shape=shape)


@given(arrays)
def test_every_number_survives_the_way_to_json_and_back(array: np.ndarray) -> None:
    tensor = from_numpy("x", array)
    body = write_json({"x": write_tensor(tensor)})
    again = read_tensor(parse_json(body)["x"], spec(tensor.dtype))
    if array.size:  # JSON has no way to write a dimension that follows an empty one
        assert again.shape == array.shape
    np.testing.assert_array_equal(to_array(again).ravel(), array.ravel())


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=5), st.sampled_from(["x", "x_bytes"]))
def test_every_string_of_bytes_survives_the_way_to_json_and_back(items: list[bytes], name: str) -> None:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    tensor = from_numpy(name, array)
    again = read_tensor(parse_json(write_json(write_tensor(tensor))), TensorSpec(name=name, dtype="string", shape=None))
    assert list(to_array(again)) == items


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=16), min_size=1))
def test_bfloat16_is_float32_rounded_to_its_upper_half(items: list[float]) -> None:
    tensor = read_tensor(items, spec("bfloat16"))
    assert len(tensor.data) == 2 * len(items)
    np.testing.assert_allclose(to_array(tensor), items, rtol=2**-8, atol=1e-37)
    assert bytes(read_tensor(to_array(tensor).tolist(), spec("bfloat16")).data) == bytes(tensor.data)


def test_bfloat16_rounds_half_to_even_and_keeps_nan() -> None:
    exact = read_tensor([1.0, 1.00390625, 1.01171875, math.nan, -math.inf], spec("bfloat16"))
    assert np.frombuffer(exact.data, "<u2").tolist() == [0x3F80, 0x3F80, 0x3F82, 0x7FC0, 0xFF80]


def test_float32_keeps_its_shortest_digits() -> None:
    assert write_json(writable(np.array([0.1, 2.0], np.float32))) == b"[0.1,2.0]"


def test_numbers_that_are_not_finite_travel_as_tokens() -> None:
    body = write_json({"x": writable(np.array([[math.nan, math.inf], [-math.inf, 1.5]], np.float32))})
    assert body == b'{"x":[[NaN, Infinity], [-Infinity, 1.5]]}'
    assert str(json.loads(body)["x"]) == "[[nan, inf], [-inf, 1.5]]"
    again = to_array(read_tensor(parse_json(body)["x"], spec("float32", (None, 2))))
    np.testing.assert_array_equal(again, [[math.nan, math.inf], [-math.inf, 1.5]])


def test_text_is_text_and_other_bytes_are_base64() -> None:
    tensor = from_numpy("x", np.array([b"caf\xc3\xa9", b"\xff\x00"], dtype=object))
    assert write_tensor(tensor) == ["café", {"b64": base64.b64encode(b"\xff\x00").decode()}]


def test_an_output_named_bytes_is_always_base64() -> None:
    assert write_tensor(from_numpy("image_bytes", np.array(b"abc", dtype=object))) == {"b64": "YWJj"}


def test_a_scalar_is_a_bare_value() -> None:
    assert read_tensor(3, spec("int32", ())).shape == ()
    assert parse_json(write_json(write_tensor(from_numpy("x", np.array(0.1, np.float32))))) == 0.1


@pytest.mark.parametrize(
    ("value", "dtype", "says"),
    [
        (["1"], "float32", "a string ('1') where the signature takes float32"),
        ([True], "float32", "a boolean"),
        ([1, True], "int32", "a boolean"),
        ([1.0], "int32", "a decimal number"),
        ([None], "float32", "null"),
        ([1], "string", "an integer"),
        ([1], "bool", "an integer"),
        ([{"b64": "YQ=="}], "float32", "an object"),
        ([{"b65": "YQ=="}], "string", "an object"),
        ([{"b64": "?"}], "string", "not base64"),
        ([300], "int8", "does not fit into int8"),
        ([-1], "uint8", "does not fit into uint8"),
        ([2**63], "int64", "does not fit into int64"),
        ([1e39], "float32", "does not fit into float32"),
        ([70000], "float16", "does not fit into float16"),
        ([10**400], "float64", "does not fit into float64"),
        ([1], "complex64", "no JSON form"),
        ([1], "resource", "no JSON form"),
        ([[1, 2], [3]], "int32", "ragged"),
        ([[1, 2], 3], "int32", "ragged"),
        ([1, [2, 3]], "int32", "ragged"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(value: object, dtype: str, says: str) -> None:
    with pytest.raises(InvalidTensor) as caught:
        read_tensor(value, spec(dtype))
    assert says in caught.value.detail
    assert "'x'" in caught.value.detail
    assert caught.value.facts["tensor"] == "x"


def test_a_shape_that_does_not_fit_says_what_was_expected_and_what_came() -> None:
    with pytest.raises(InvalidTensor, match=r"shape \[2, 2\], the signature takes \[\?, 3\]"):
        read_tensor([[1.0, 2.0], [3.0, 4.0]], spec("float32", (None, 3)))


def test_deep_nesting_is_refused_before_it_costs_anything() -> None:
    value: list[object] = []
    for _ in range(200):
        value = [value]
    with pytest.raises(InvalidTensor, match="deeper than 32"):
        flatten("x", value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1,]",
        b"\xff\xfe",
        b'{"a": NaN',
        b"NaN\xff",
        b"[" * 5000,
        b"NaN" + b"[" * 100_000,
        b"{'a': 1}",
        b'["\\ud800", NaN]',
        b'["\\ud800"]',
    ],
)
def test_bytes_that_are_not_json_are_an_invalid_request(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_json(body)


def test_a_body_must_be_an_object() -> None:
    with pytest.raises(InvalidRequest, match="not a JSON object"):
        parse_json_object(b"[1]")


def test_an_output_of_a_type_json_lacks_is_refused_by_name() -> None:
    with pytest.raises(InvalidTensor, match="Output 'z' is complex64"):
        write_array(Tensor("z", "complex64", (1,), bytes(8)))


def test_empty_lists_keep_their_shape() -> None:
    assert read_tensor([[], []], spec("float32", (None, 0))).shape == (2, 0)
    assert write_tensor(from_numpy("x", np.zeros((2, 0), np.float32))) == [[], []]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.sampled_from([*NUMBERS, "string", "bfloat16"]),
)
def test_any_json_is_a_tensor_or_an_invalid_tensor(value: object, dtype: str) -> None:
    try:
        tensor = read_tensor(value, spec(dtype))
    except InvalidTensor:
        return
    assert to_array(tensor).shape == tensor.shape
