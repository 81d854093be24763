import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.errors import InvalidRequest, InvalidTensor, SignatureNotFound
from hub.domain.signatures import Signature
from hub.domain.tensors import BY_NAME, BY_OIP, TensorSpec
from hub.protocol.codecs.oip import InferCall, Wanted, decode_infer, encode_infer, metadata
from hub.protocol.codecs.oip_known import KnownHeaders
from hub.protocol.codecs.values import to_array
from hub.protocol.frames import Tensor, from_numpy

PAIR = ({"x": ("float32", (None, 2)), "s": ("string", (None,))}, {"y": ("float32", (None,)), "z": ("int32", ())})
X = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [[1, 2]]}
S = {"name": "s", "datatype": "BYTES", "shape": [1], "data": ["a"]}


def decode(header: dict[str, Any], signatures: dict[str, Signature], *binary: bytes) -> InferCall:
    head = json.dumps(header).encode()
    return decode_infer(head + b"".join(binary), str(len(head)) if binary else None, signatures)


def test_json_tensors_may_be_flat_or_nested_and_come_in_any_order(sign) -> None:
    for data in ([1, 2, 3, 4], [[1, 2], [3, 4]]):
        x = {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": data}
        call = decode({"id": "7", "inputs": [S | {"shape": [1]}, x]}, sign(*PAIR))
        assert [tensor.name for tensor in call.tensors] == ["x", "s"]
        np.testing.assert_array_equal(to_array(call.tensors[0]), [[1, 2], [3, 4]])
        assert call.id == "7"


def test_binary_tensors_share_the_bytes_of_the_body(sign) -> None:
    x = np.array([[1, 2]], "<f4").tobytes()
    s = b"\x02\x00\x00\x00\xff\x00"
    entries = [
        {"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": len(x)}},
        {"name": "s", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(s)}},
    ]
    head = json.dumps({"inputs": entries}).encode()
    body = head + x + s
    call = decode_infer(body, str(len(head)), sign(*PAIR))
    assert all(isinstance(tensor.data, memoryview) and tensor.data.obj is body for tensor in call.tensors)
    assert bytes(call.tensors[0].data) == x
    assert to_array(call.tensors[1]).tolist() == [b"\xff\x00"]


def test_binary_and_json_tensors_may_stand_in_one_body(sign) -> None:
    x = {"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    call = decode({"inputs": [S, x]}, sign(*PAIR), bytes(8))
    assert to_array(call.tensors[0]).tolist() == [[0, 0]]
    assert to_array(call.tensors[1]).tolist() == [b"a"]


@pytest.mark.parametrize("dtype", sorted(dtype.name for dtype in BY_OIP.values() if dtype.size_bytes))
def test_every_fixed_size_datatype_travels_as_binary(sign, dtype: str) -> None:
    known = BY_NAME[dtype]
    signatures = sign({"x": (dtype, (None,))}, {"x": (dtype, (None,))})
    entry = {"name": "x", "datatype": known.oip, "shape": [3], "parameters": {"binary_data_size": 3 * known.size_bytes}}
    data = bytes(range(3 * known.size_bytes))
    call = decode({"inputs": [entry], "parameters": {"binary_data_output": True}}, signatures, data)
    body, header_length = encode_infer(call.tensors, call, model="a/b", version=1)
    assert header_length is not None
    assert body[header_length:] == data
    (output,) = json.loads(body[:header_length])["outputs"]
    assert output == {**entry, "parameters": {"binary_data_size": len(data)}}


def test_a_parameter_chooses_the_signature(sign) -> None:
    signatures = sign(*PAIR) | sign({}, {"w": ("float32", ())}, name="w")
    assert decode({"parameters": {"signature": "w"}}, signatures).signature.name == "w"
    with pytest.raises(SignatureNotFound):
        decode({"parameters": {"signature": "v"}}, signatures)


def test_all_outputs_are_wanted_unless_some_are_named(sign) -> None:
    inputs = {"inputs": [X, S]}
    assert decode(inputs, sign(*PAIR)).wanted == (Wanted("y", is_binary=False), Wanted("z", is_binary=False))
    asked = [{"name": "z"}, {"name": "y", "parameters": {"binary_data": False}}]
    call = decode({**inputs, "outputs": asked, "parameters": {"binary_data_output": True}}, sign(*PAIR))
    assert call.wanted == (Wanted("z", is_binary=True), Wanted("y", is_binary=False))


def test_an_answer_has_json_data_flat_and_binary_data_behind_the_header(sign) -> None:
    outputs = [from_numpy("y", np.array([[0.1, np.inf]], np.float32)), from_numpy("z", np.array(3, np.int32))]
    asked = [{"name": "z", "parameters": {"binary_data": True}}, {"name": "y"}]
    call = decode({"id": "q", "inputs": [X, S], "outputs": asked}, sign(*PAIR))
    body, header_length = encode_infer(outputs, call, model="acme/m", version=3)
    header = json.loads(body[:header_length])
    assert body[header_length:] == b"\x03\x00\x00\x00"
    assert (header["model_name"], header["model_version"], header["id"]) == ("acme/m", "3", "q")
    assert header["outputs"][0] == {
        "name": "z",
        "datatype": "INT32",
        "shape": [],
        "parameters": {"binary_data_size": 4},
    }
    assert header["outputs"][1]["shape"] == [1, 2]
    np.testing.assert_allclose(header["outputs"][1]["data"], [0.1, np.inf])


def test_a_json_answer_has_no_header_length(sign) -> None:
    call = decode({"inputs": [X, S], "outputs": [{"name": "z"}]}, sign(*PAIR))
    body, header_length = encode_infer([from_numpy("z", np.array(3, np.int32))], call, model="a/b", version=1)
    assert header_length is None
    assert json.loads(body)["outputs"] == [{"name": "z", "datatype": "INT32", "shape": [], "data": [3]}]


@pytest.mark.parametrize(
    ("change", "tensor", "says"),
    [
        ({"name": "v"}, "v", r"no input 'v'.*\['s', 'x'\]"),
        ({"name": None}, "None", "no input 'None'"),
        ({"datatype": "FP64"}, "x", "is float64, the signature takes float32"),
        ({"datatype": "FLOAT"}, "x", "datatype 'FLOAT', not one of"),
        ({"datatype": None}, "x", "datatype"),
        ({"shape": [1, 3], "data": [1, 2, 3]}, "x", r"shape \[1, 3\], the signature takes \[\?, 2\]"),
        ({"shape": [2, 2]}, "x", r"shape \[2, 2\] \(4 elements\), but data of shape \[1, 2\]"),
        ({"shape": [2, 2], "data": [[1, 2, 3, 4]]}, "x", r"but data of shape \[1, 4\]"),
        ({"shape": [-1, 2]}, "x", "not a list of sizes"),
        ({"shape": [1.0, 2]}, "x", "not a list of sizes"),
        ({"shape": None}, "x", "not a list of sizes"),
        ({"data": [["1", 2]]}, "x", "a string"),
        ({"data": [[1, 2], [3]]}, "x", "ragged"),
        ({"parameters": {"binary_data_size": 8}}, "x", "announces 8 binary bytes, 0 are left"),
        ({"parameters": {"binary_data_size": -1}}, "x", "not a number of bytes"),
        ({"parameters": {"binary_data_size": True}}, "x", "not a number of bytes"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused_by_name(sign, change: dict[str, object], tensor: str, says: str) -> None:
    with pytest.raises(InvalidTensor, match=says) as caught:
        decode({"inputs": [{**X, **change}, S]}, sign(*PAIR))
    assert caught.value.facts["tensor"] == tensor


def test_a_missing_an_extra_and_a_doubled_input_are_refused(sign) -> None:
    with pytest.raises(InvalidTensor, match=r"'s' is missing; signature 'serving_default' takes \['s', 'x'\]"):
        decode({"inputs": [X]}, sign(*PAIR))
    with pytest.raises(InvalidTensor, match="sent twice"):
        decode({"inputs": [X, X, S]}, sign(*PAIR))
    without = {key: value for key, value in X.items() if key != "data"}
    with pytest.raises(InvalidTensor, match="neither data nor binary_data_size"):
        decode({"inputs": [without, S]}, sign(*PAIR))


@pytest.mark.parametrize("size", [4, 12])
def test_binary_bytes_that_do_not_fill_the_shape_are_refused(sign, size: int) -> None:
    x = {"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": size}}
    with pytest.raises(InvalidTensor, match=rf"FP32\[1, 2\] takes 8 bytes, {size} were sent"):
        decode({"inputs": [x, S]}, sign(*PAIR), bytes(size))


def test_bytes_after_the_last_tensor_are_refused(sign) -> None:
    with pytest.raises(InvalidRequest, match="3 bytes follow"):
        decode({"inputs": [X, S]}, sign(*PAIR), b"abc")


@pytest.mark.parametrize("header_length", ["x", "", "-1", "99999", "1.0", "²", "9" * 5000])
def test_a_header_length_that_cannot_be_is_refused(sign, header_length: str) -> None:
    with pytest.raises(InvalidRequest, match="Inference-Header-Content-Length"):
        decode_infer(b"{}", header_length, sign(*PAIR))


@pytest.mark.parametrize(
    "header",
    [
        {"inputs": 3},
        {"inputs": [3]},
        {"inputs": [X, S], "outputs": 3},
        {"inputs": [X, S], "outputs": [3]},
        {"inputs": [X, S], "parameters": 3},
        {"inputs": [X, S], "id": 3},
        {"inputs": [X, S], "parameters": {"binary_data_output": "yes"}},
        {"inputs": [X, S], "parameters": {"signature": 3}},
        {"inputs": [{**X, "parameters": 3}, S]},
    ],
)
def test_a_header_of_another_form_is_refused(sign, header: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        decode(header, sign(*PAIR))


def test_an_output_that_does_not_exist_or_is_named_twice_is_refused(sign) -> None:
    for outputs in ([{"name": "w"}], [{"name": "y"}, {"name": "y"}]):
        with pytest.raises(InvalidTensor, match=r"gives \['y', 'z'\], each once"):
            decode({"inputs": [X, S], "outputs": outputs}, sign(*PAIR))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_travels_as_binary_only(sign, dtype: str) -> None:
    signatures = sign({"x": (dtype, (None,))}, {"x": (dtype, (None,))})
    entry = {"name": "x", "datatype": BY_NAME[dtype].oip, "shape": [1], "data": [1.0]}
    with pytest.raises(InvalidTensor, match="no JSON form") as caught:
        decode({"inputs": [entry]}, signatures)
    assert "binary" in str(caught.value)
    binary = {**entry, "parameters": {"binary_data_size": 2}}
    call = decode({"inputs": [binary]}, signatures, bytes(2))
    with pytest.raises(InvalidTensor, match="no JSON form"):
        encode_infer(call.tensors, call, model="a/b", version=1)


def test_bytes_that_are_not_text_need_a_binary_answer(sign) -> None:
    signatures = sign({}, {"s": ("string", ())})
    tensor = from_numpy("s", np.array(b"\xff", dtype=object))
    with pytest.raises(InvalidTensor, match="not text"):
        encode_infer([tensor], decode({}, signatures), model="a/b", version=1)
    call = decode({"outputs": [{"name": "s", "parameters": {"binary_data": True}}]}, signatures)
    body, header_length = encode_infer([tensor], call, model="a/b", version=1)
    assert body[header_length:] == b"\x01\x00\x00\x00\xff"


def test_an_output_of_a_type_the_protocol_lacks_is_refused(sign) -> None:
    call = decode({}, sign({}, {"c": ("complex64", (1,))}))
    with pytest.raises(InvalidTensor, match="'c' is complex64"):
        encode_infer([Tensor("c", "complex64", (1,), bytes(8))], call, model="a/b", version=1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["x", "FP32", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["inputs", "outputs", "parameters", "name", "datatype", "shape", "data", "binary_data_size"]
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(json_values, st.none() | st.integers(-3, 40).map(str), st.binary(max_size=12))
def test_any_body_is_a_call_or_a_refusal(value: object, header_length: str | None, binary: bytes) -> None:
    spec = TensorSpec(name="x", dtype="float32", shape=(None,))
    signatures = {"serving_default": Signature(name="serving_default", inputs={"x": spec}, outputs={})}
    head = json.dumps({"inputs": [value]} if isinstance(value, dict) else value).encode()
    lengths = (header_length, str(len(head)))
    for length in lengths:
        try:
            call = decode_infer(head + binary, length, signatures)
        except (InvalidRequest, InvalidTensor, SignatureNotFound):
            continue
        assert call.tensors[0].name == "x"


def test_metadata_has_the_default_signature_and_the_names_of_all(sign) -> None:
    signatures = sign({"x": ("float32", (None, 3)), "u": ("string", None)}, {"y": ("int64", ())})
    answer = metadata("acme/m", [1, 3], signatures)
    assert answer["versions"] == ["1", "3"]
    assert answer["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "u", "datatype": "BYTES", "shape": [-1]},
    ]
    assert answer["outputs"] == [{"name": "y", "datatype": "INT64", "shape": []}]
    several = metadata("acme/m", [1], sign({}, {}, name="a") | sign({}, {}, name="b"))
    assert (several["inputs"], several["parameters"]) == ([], {"signatures": ["a", "b"]})


def test_a_header_that_was_read_before_means_what_it_meant(sign) -> None:
    x = {"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    s = {"name": "s", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 5}}
    head = json.dumps({"inputs": [s, x], "id": "7"}).encode()
    known, signatures = KnownHeaders(), sign(*PAIR)
    for letter, value in ((b"a", 1), (b"b", 2)):
        body = head + b"\1\0\0\0" + letter + np.full(2, value, "<f4").tobytes()
        call = known.decode(body, str(len(head)), signatures, "sha256:a")
        assert call == decode_infer(body, str(len(head)), signatures)
        assert to_array(call.tensors[1]).tolist() == [letter]
        assert to_array(call.tensors[0]).tolist() == [[value, value]]
    with pytest.raises(InvalidTensor):
        known.decode(body[:-1], str(len(head)), signatures, "sha256:a")
    with pytest.raises(InvalidRequest):
        known.decode(body + b"1", str(len(head)), signatures, "sha256:a")
    # Another version may say otherwise to the same header.
    with pytest.raises(InvalidTensor):
        known.decode(
            body, str(len(head)), sign({"x": ("float64", (None, 2)), "s": ("string", (None,))}, {}), "sha256:b"
        )


def test_a_header_with_tensors_in_it_is_read_every_time(sign) -> None:
    x = {"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    head = json.dumps({"inputs": [S, x]}).encode()
    known = KnownHeaders()
    for value in (1, 2):
        call = known.decode(head + np.full(2, value, "<f4").tobytes(), str(len(head)), sign(*PAIR), "sha256:a")
        assert to_array(call.tensors[0]).tolist() == [[value, value]]
        assert to_array(call.tensors[1]).tolist() == [b"a"]
