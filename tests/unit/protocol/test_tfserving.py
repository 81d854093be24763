import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.errors import InvalidRequest, InvalidTensor, SignatureNotFound
from hub.domain.manifest import Kind
from hub.domain.signatures import Signature
from hub.domain.tensors import TensorSpec
from hub.domain.versions import State, Version
from hub.protocol.codecs.tfserving import Layout, decode_predict, encode_predict, metadata, status
from hub.protocol.codecs.values import to_array
from hub.protocol.frames import from_numpy

ONE = ({"x": ("float32", (None, 2))}, {"y": ("float32", (None, 2))})
TWO = ({"a": ("float32", (None,)), "b": ("string", (None,))}, {"y": ("float32", (None,))})


def body(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def test_row_format_of_one_input_takes_bare_values(sign) -> None:
    call = decode_predict(body(instances=[[1, 2], [3, 4.5]]), sign(*ONE))
    assert call.layout is Layout.ROW
    assert call.tensors[0].shape == (2, 2)
    np.testing.assert_array_equal(to_array(call.tensors[0]), [[1, 2], [3, 4.5]])


def test_row_format_of_several_inputs_takes_objects(sign) -> None:
    call = decode_predict(body(instances=[{"a": 1, "b": "x"}, {"b": {"b64": "/w=="}, "a": 2}]), sign(*TWO))
    assert [tensor.name for tensor in call.tensors] == ["a", "b"]
    assert to_array(call.tensors[0]).tolist() == [1, 2]
    assert to_array(call.tensors[1]).tolist() == [b"x", b"\xff"]


def test_row_format_of_one_string_input_takes_base64_objects(sign) -> None:
    call = decode_predict(body(instances=[{"b64": "YWI="}, "c"]), sign({"s": ("string", (None,))}, {}))
    assert to_array(call.tensors[0]).tolist() == [b"ab", b"c"]


def test_an_input_that_is_called_b64_can_be_sent_by_name_when_it_is_a_number(sign) -> None:
    call = decode_predict(body(instances=[{"b64": 1.0}]), sign({"b64": ("float32", (None,))}, {}))
    assert to_array(call.tensors[0]).tolist() == [1.0]


def test_columnar_format_takes_a_bare_value_or_an_object(sign) -> None:
    for inputs in ([[1, 2]], {"x": [[1, 2]]}):
        call = decode_predict(body(inputs=inputs), sign(*ONE))
        assert call.layout is Layout.COLUMNAR
        assert call.tensors[0].shape == (1, 2)


def test_columnar_format_takes_scalars_and_base64(sign) -> None:
    assert decode_predict(body(inputs=3), sign({"x": ("int32", ())}, {})).tensors[0].shape == ()
    text = decode_predict(body(inputs={"b64": "YQ=="}), sign({"x": ("string", ())}, {}))
    assert to_array(text.tensors[0]).item() == b"a"


def test_a_signature_without_inputs_is_called_with_an_empty_object(sign) -> None:
    assert decode_predict(body(inputs={}), sign({}, {"y": ("float32", ())})).tensors == ()


def test_the_signature_is_chosen_by_name_or_is_the_only_one(sign) -> None:
    signatures = sign(*ONE) | sign(*TWO, name="other")
    assert decode_predict(body(instances=[[1, 2]]), signatures).signature.name == "serving_default"
    call = decode_predict(body(signature_name="other", inputs={"a": [1], "b": ["x"]}), signatures)
    assert call.signature.name == "other"
    assert decode_predict(body(instances=[[1, 2]]), sign(*ONE, name="default")).signature.name == "default"


@pytest.mark.parametrize("asked", ["nope", None])
def test_a_signature_that_cannot_be_meant_is_refused_with_the_names_there_are(sign, asked: str | None) -> None:
    signatures = sign(*ONE, name="a") | sign(*ONE, name="b")
    with pytest.raises(SignatureNotFound) as caught:
        decode_predict(body(signature_name=asked, instances=[[1, 2]]), signatures)
    assert caught.value.facts["signatures"] == ["a", "b"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "exactly one of the keys"),
        ({"instances": [[1, 2]], "inputs": [[1, 2]]}, "exactly one of the keys"),
        ({"instances": []}, "at least one element"),
        ({"instances": {"x": 1}}, "not a list"),
        ({"instances": [[1, 2], {"x": [1, 2]}]}, "element 0 is not an object"),
        ({"signature_name": 3, "instances": [[1, 2]]}, "not a string"),
    ],
)
def test_a_body_of_neither_format_is_refused(sign, fields: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        decode_predict(body(**fields), sign(*ONE))


@pytest.mark.parametrize(
    ("fields", "tensor", "says"),
    [
        ({"inputs": {"a": [1]}}, "b", r"'inputs' lacks the input 'b'.*\['a', 'b'\]"),
        ({"inputs": {"a": [1], "b": ["x"], "c": [1]}}, "c", r"unknown input 'c'.*\['a', 'b'\]"),
        ({"instances": [{"a": 1, "b": "x"}, {"a": 1}]}, "b", "Element 1 of 'instances' lacks the input 'b'"),
        ({"instances": [{"a": "1", "b": "x"}]}, "a", "where the signature takes float32"),
        ({"inputs": {"a": [[1]], "b": ["x"]}}, "a", r"shape \[1, 1\], the signature takes \[\?\]"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused_by_name(sign, fields: dict[str, object], tensor: str, says: str) -> None:
    with pytest.raises(InvalidTensor, match=says) as caught:
        decode_predict(body(**fields), sign(*TWO))
    assert caught.value.facts["tensor"] == tensor


@pytest.mark.parametrize("fields", [{"inputs": [1]}, {"instances": [1]}])
def test_a_bare_value_cannot_stand_for_several_inputs(sign, fields: dict[str, object]) -> None:
    with pytest.raises(InvalidTensor, match=r"takes the inputs \['a', 'b'\]"):
        decode_predict(body(**fields), sign(*TWO))


def test_rows_for_a_signature_without_inputs_are_refused(sign) -> None:
    with pytest.raises(InvalidRequest, match="takes no inputs"):
        decode_predict(body(instances=[{}]), sign({}, {}))


def test_a_single_output_stands_bare() -> None:
    tensor = from_numpy("y", np.array([[1, 2], [3, 4]], np.float32))
    assert encode_predict([tensor], Layout.ROW) == b'{"predictions":[[1.0,2.0],[3.0,4.0]]}'
    assert encode_predict([tensor], Layout.COLUMNAR) == b'{"outputs":[[1.0,2.0],[3.0,4.0]]}'


def test_several_outputs_stand_in_objects() -> None:
    outputs = [
        from_numpy("y", np.array([1, 2], np.int32)),
        from_numpy("s", np.array([[b"a"], [b"\xff"]], dtype=object)),
    ]
    assert json.loads(encode_predict(outputs, Layout.ROW)) == {
        "predictions": [{"y": 1, "s": ["a"]}, {"y": 2, "s": [{"b64": "/w=="}]}]
    }
    assert json.loads(encode_predict(outputs, Layout.COLUMNAR)) == {
        "outputs": {"y": [1, 2], "s": [["a"], [{"b64": "/w=="}]]}
    }


def test_a_row_that_is_not_finite_spoils_no_other() -> None:
    outputs = [from_numpy("y", np.array([np.nan, 0.1], np.float32)), from_numpy("z", np.array([True, False]))]
    assert encode_predict(outputs, Layout.ROW) == b'{"predictions":[{"y":NaN,"z":true},{"y":0.1,"z":false}]}'


@pytest.mark.parametrize("shapes", [[()], [(2,), (3,)], [(2,), ()]])
def test_outputs_without_a_common_batch_need_the_columnar_format(shapes: list[tuple[int, ...]]) -> None:
    outputs = [from_numpy(f"y{at}", np.zeros(shape, np.float32)) for at, shape in enumerate(shapes)]
    with pytest.raises(InvalidRequest, match="rows by output") as caught:
        encode_predict(outputs, Layout.ROW)
    assert "columnar" in str(caught.value)
    assert json.loads(encode_predict(outputs, Layout.COLUMNAR))["outputs"] is not None


@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["inputs", "instances", "signature_name", "x", "b64"]), inner, max_size=3)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_body_is_a_call_or_a_refusal(data: bytes) -> None:
    spec = TensorSpec(name="x", dtype="float32", shape=None)
    signatures = {"serving_default": Signature(name="serving_default", inputs={"x": spec}, outputs={})}
    try:
        call = decode_predict(data, signatures)
    except (InvalidRequest, InvalidTensor, SignatureNotFound):
        return
    assert call.tensors[0].name == "x"


def test_metadata_speaks_tensorflow_s_names(sign) -> None:
    signatures = sign({"x": ("float32", (None, 3)), "u": ("string", None)}, {"y": ("float16", ())}, method="m")
    answer = metadata("acme/m", 3, signatures)
    assert answer["model_spec"] == {"name": "acme/m", "signature_name": "", "version": "3"}
    definition = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert definition["method_name"] == "m"
    assert definition["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert [dim["size"] for dim in definition["inputs"]["x"]["tensor_shape"]["dim"]] == ["-1", "3"]
    assert definition["inputs"]["u"]["tensor_shape"]["unknown_rank"] is True
    assert definition["outputs"]["y"] == {
        "dtype": "DT_HALF",
        "tensor_shape": {"dim": [], "unknown_rank": False},
        "name": "y",
    }


@pytest.mark.parametrize(
    ("state", "said", "code"),
    [
        (State.READY, "AVAILABLE", "OK"),
        (State.VALIDATING, "LOADING", "OK"),
        (State.REJECTED, "END", "FAILED_PRECONDITION"),
        (State.YANKED, "END", "FAILED_PRECONDITION"),
    ],
)
def test_status_says_which_versions_answer(state: State, said: str, code: str) -> None:
    version = Version(
        model="acme/m",
        number=7,
        digest="sha256:" + "0" * 64,
        kind=Kind.TRUNK,
        state=state,
        interface=None,
        size=1,
        created_at=datetime.now(UTC),
        created_by="a",
    )
    (entry,) = status([version])["model_version_status"]
    assert (entry["version"], entry["state"], entry["status"]["error_code"]) == ("7", said, code)
