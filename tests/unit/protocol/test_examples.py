import json
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.errors import InvalidRequest, InvalidTensor
from hub.protocol.codecs.examples import decode_examples, encode_classes, encode_example, encode_values
from hub.protocol.codecs.values import to_array
from hub.protocol.frames import Tensor, from_numpy

_TYPES = descriptor_pb2.FieldDescriptorProto


@pytest.fixture(scope="module")
def example_class() -> Any:
    """``tf.Example`` with TensorFlow's field numbers, as protobuf's own parser reads it."""
    file = descriptor_pb2.FileDescriptorProto(name="example_for_tests.proto", package="t", syntax="proto3")

    def message(name: str, *fields: tuple[str, int, int, bool, str]) -> None:
        made = file.message_type.add(name=name)
        for field, number, kind, is_repeated, type_name in fields:
            label = _TYPES.LABEL_REPEATED if is_repeated else _TYPES.LABEL_OPTIONAL
            made.field.add(name=field, number=number, type=kind, label=label, type_name=type_name or None)

    message("BytesList", ("value", 1, _TYPES.TYPE_BYTES, True, ""))
    message("FloatList", ("value", 1, _TYPES.TYPE_FLOAT, True, ""))
    message("Int64List", ("value", 1, _TYPES.TYPE_INT64, True, ""))
    kinds = [("bytes_list", "BytesList"), ("float_list", "FloatList"), ("int64_list", "Int64List")]
    message("Feature", *((name, at + 1, _TYPES.TYPE_MESSAGE, False, f".t.{of}") for at, (name, of) in enumerate(kinds)))
    message("Entry", ("key", 1, _TYPES.TYPE_STRING, False, ""), ("value", 2, _TYPES.TYPE_MESSAGE, False, ".t.Feature"))
    message("Features", ("feature", 1, _TYPES.TYPE_MESSAGE, True, ".t.Entry"))
    message("Example", ("features", 1, _TYPES.TYPE_MESSAGE, False, ".t.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Example"))


def features(example_class: Any, data: bytes) -> dict[str, list[Any]]:
    found = {}
    for entry in example_class.FromString(data).features.feature:
        lists = [entry.value.bytes_list, entry.value.float_list, entry.value.int64_list]
        found[entry.key] = [value for each in lists for value in each.value]
    return found


def test_kinds_of_values_become_kinds_of_features(example_class: Any) -> None:
    data = encode_example({"i": [1, -2, True], "f": [0.5, 2], "s": ["é", {"b64": "/w=="}], "one": 7, "none": []})
    assert features(example_class, data) == {
        "i": [1, -2, 1],
        "f": [0.5, 2.0],
        "s": ["é".encode(), b"\xff"],
        "one": [7],
        "none": [],
    }


@given(
    st.dictionaries(
        st.text(max_size=200).filter(lambda text: text.isprintable()),
        st.lists(st.integers(-(2**63), 2**63 - 1), max_size=50)
        | st.lists(st.floats(width=32, allow_nan=False), max_size=50)
        | st.lists(st.text(max_size=200).filter(lambda text: text.isprintable()), max_size=5),
        max_size=5,
    )
)
def test_protobuf_s_own_parser_reads_every_example(example_class: Any, given_features: dict[str, list[Any]]) -> None:
    expected = {
        name: [item.encode() if isinstance(item, str) else item for item in items]
        for name, items in given_features.items()
    }
    assert features(example_class, encode_example(given_features)) == expected


def test_the_context_is_added_to_every_example(sign, example_class: Any) -> None:
    body = json.dumps({"context": {"c": 1}, "examples": [{"x": 2}, {"x": 3}]}).encode()
    call = decode_examples(body, sign({"inputs": ("string", (None,))}, {}))
    rows = [features(example_class, row) for row in to_array(call.tensors[0])]
    assert rows == [{"c": [1], "x": [2]}, {"c": [1], "x": [3]}]
    assert call.tensors[0].name == "inputs"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "'examples' is not a list"),
        ({"examples": []}, "'examples' is not a list"),
        ({"examples": [3]}, "not an object"),
        ({"examples": [{"x": [1, "a"]}]}, "'x' does not hold values of one kind"),
        ({"examples": [{"x": [[1]]}]}, "'x' does not hold values of one kind"),
        ({"examples": [{"x": None}]}, "'x' does not hold values of one kind"),
        ({"examples": [{"x": {"a": 1}}]}, "'x' has an object"),
        ({"examples": [{"x": {"b64": "?"}}]}, "'x' has an object"),
        ({"examples": [{"x": 2**63}]}, "does not fit into int64"),
        ({"context": [1], "examples": [{}]}, "not an object"),
    ],
)
def test_what_is_no_example_is_refused_by_name(sign, fields: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        decode_examples(json.dumps(fields).encode(), sign({"inputs": ("string", None)}, {}))


def test_a_number_beyond_float32_is_refused_by_name(sign) -> None:
    with pytest.raises(InvalidTensor, match="'x'"):
        decode_examples(b'{"examples": [{"x": 1e39}]}', sign({"inputs": ("string", None)}, {}))


def test_a_signature_that_takes_no_examples_is_refused(sign) -> None:
    with pytest.raises(InvalidRequest, match="not serialized examples") as caught:
        decode_examples(b'{"examples": [{}]}', sign({"x": ("float32", (None,))}, {}))
    assert ":predict" in str(caught.value)


def answer(body: bytes) -> Any:
    return json.loads(body)["results"]


def test_classify_pairs_labels_and_scores(sign) -> None:
    signature = sign({}, {})["serving_default"]
    scores = from_numpy("scores", np.array([[0.25, 0.75], [1, 0]], np.float32))
    classes = from_numpy("classes", np.array([[b"a", b"b"], [b"c", b"\xff"]], dtype=object))
    assert answer(encode_classes([classes, scores], signature)) == [
        [["a", 0.25], ["b", 0.75]],
        [["c", 1.0], ["\ufffd", 0.0]],
    ]
    assert answer(encode_classes([scores], signature))[0] == [["", 0.25], ["", 0.75]]
    assert answer(encode_classes([classes], signature))[0] == [["a", 0.0], ["b", 0.0]]


def test_classify_needs_classes_or_scores_that_pair_up(sign) -> None:
    signature = sign({}, {})["serving_default"]
    with pytest.raises(InvalidRequest, match="neither 'classes' nor 'scores'"):
        encode_classes([Tensor("y", "float32", (1,), bytes(4))], signature)
    pair = [Tensor("classes", "string", (1, 1), bytes(4)), Tensor("scores", "float32", (1, 2), bytes(8))]
    with pytest.raises(InvalidRequest, match="do not pair up"):
        encode_classes(pair, signature)


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_regress_gives_one_number_for_each_example(sign, shape: tuple[int, ...]) -> None:
    values = from_numpy("outputs", np.array([0.5, np.nan], np.float32).reshape(shape))
    assert str(answer(encode_values([values], sign({}, {})["serving_default"]))) == "[0.5, nan]"


@pytest.mark.parametrize("shape", [(), (2, 2)])
def test_regress_needs_one_number_for_each_example(sign, shape: tuple[int, ...]) -> None:
    values = from_numpy("outputs", np.zeros(shape, np.float32))
    with pytest.raises(InvalidRequest, match="not one number for each example"):
        encode_values([values], sign({}, {"outputs": ("float32", shape)})["serving_default"])
