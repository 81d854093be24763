"""TensorProto: what was written by others, byte for byte, and what is refused."""

import struct
from typing import Any

import numpy as np
import pytest

from hub.domain.errors import InvalidRequest, InvalidTensor, TooLarge
from hub.domain.signatures import Signature
from hub.domain.tensors import BY_NAME, TensorSpec
from hub.domain.versions import State, Version
from hub.protocol.codecs.tensor_protos import MAX_FILLED_BYTES, read_tensor_proto, write_tensor_proto
from hub.protocol.codecs.tfserving_rpc import decode_examples, decode_predict, encode_predict
from hub.protocol.frames import Tensor, from_numpy, to_numpy
from hub.protocol.messages import INFERENCE, MAX_LOOSE_BYTES, TENSORFLOW, parse

# A PredictRequest as TensorFlow Serving's Python client sent it: model acme/half, x = [[1.0], [2.0]].
GOLDEN_REQUEST = bytes.fromhex("0a0b0a0961636d652f68616c66121b0a0178121608011208120208021202080122080000803f00000040")
# And what answers it, as that client reads it: y = [[2.5], [3.0]] in float_val, by version 1.
GOLDEN_ANSWER = bytes.fromhex(
    "0a1b0a017912160801120812020802120208012a08000020400000404012200a0961636d652f68616c66120208011a0f7365"
    "7276696e675f64656661756c74"
)


def spec(dtype: str, shape: tuple[int | None, ...] | None = None) -> TensorSpec:
    return TensorSpec(name="x", dtype=dtype, shape=shape)


def proto(number: int, shape: tuple[int, ...], **fields: Any) -> Any:
    made = TENSORFLOW["TensorProto"](dtype=number)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    for name, value in fields.items():
        if isinstance(value, list):
            getattr(made, name).extend(value)
        else:
            setattr(made, name, value)
    return made


HALF = Signature(
    name="serving_default",
    inputs={"x": spec("float32", (None, 1))},
    outputs={"y": TensorSpec(name="y", dtype="float32", shape=(None, 1))},
)
VERSION = Version.model_construct(model="acme/half", number=1, state=State.READY)


def test_a_recorded_request_is_understood_and_its_answer_is_the_recorded_one() -> None:
    call = decode_predict(parse(TENSORFLOW["PredictRequest"], GOLDEN_REQUEST), {"serving_default": HALF})
    assert to_numpy(call.tensors[0]).tolist() == [[1.0], [2.0]]
    outputs = [from_numpy("y", np.float32([[2.5], [3.0]]))]
    assert encode_predict(outputs, call, VERSION) == GOLDEN_ANSWER


@pytest.mark.parametrize(
    ("dtype", "elements"),
    [
        ("float32", [1.5, -2.0]),
        ("float64", [1.5, -2.0]),
        ("float16", [1.5, -2.0]),
        ("complex64", [1 + 2j, -3j]),
        ("complex128", [1 + 2j, -3j]),
        ("int8", [-128, 127]),
        ("int16", [-(1 << 15), 1]),
        ("int32", [-(1 << 31), 1]),
        ("int64", [-(1 << 63), 1]),
        ("uint8", [0, 255]),
        ("uint16", [0, (1 << 16) - 1]),
        ("uint32", [0, (1 << 32) - 1]),
        ("uint64", [0, (1 << 64) - 1]),
        ("bool", [True, False]),
        ("string", [b"a", "ü".encode()]),
    ],
)
def test_what_is_written_reads_back(dtype: str, elements: list[Any]) -> None:
    array = np.array(elements, dtype=object if dtype == "string" else dtype)
    tensor = from_numpy("x", array)
    written = TENSORFLOW["TensorProto"]()
    write_tensor_proto(written, tensor)
    assert read_tensor_proto(TENSORFLOW["TensorProto"].FromString(written.SerializeToString()), spec(dtype)) == tensor


def test_bfloat16_travels_as_its_bits() -> None:
    tensor = Tensor("x", "bfloat16", (2,), b"\x80\x3f\x00\x40")
    written = TENSORFLOW["TensorProto"]()
    write_tensor_proto(written, tensor)
    assert list(written.half_val) == [0x3F80, 0x4000]
    assert read_tensor_proto(written, spec("bfloat16")) == tensor


def test_the_last_element_stands_for_those_left_out() -> None:
    found = read_tensor_proto(proto(3, (2, 2), int_val=[1, 2]), spec("int32"))
    assert to_numpy(found).tolist() == [[1, 2], [2, 2]]


def test_filling_up_stops_at_a_limit() -> None:
    count = MAX_FILLED_BYTES // 4
    assert len(read_tensor_proto(proto(3, (count,), int_val=[7]), spec("int32")).data) == MAX_FILLED_BYTES
    with pytest.raises(InvalidTensor, match=rf"takes {count + 1} elements, 1 were sent"):
        read_tensor_proto(proto(3, (count + 1,), int_val=[7]), spec("int32"))


@pytest.mark.parametrize(
    ("sent", "dtype", "message"),
    [
        (proto(0, (1,)), "float32", "no known dtype"),
        (proto(3, (1,), int_val=[1]), "float32", "is int32, the signature takes float32"),
        (proto(1, (-1,)), "float32", "a shape that is not a list of sizes"),
        (proto(1, (1,) * 33), "float32", "a shape that is not a list of sizes"),
        (proto(1, (2,)), "float32", "takes 2 elements, 0 were sent"),
        (proto(1, (1,), float_val=[bytes(8)]), "float32", "takes 1 elements, 2 were sent"),
        (proto(1, (2,), tensor_content=bytes(7)), "float32", "takes 8 bytes, 7 were sent"),
        (proto(6, (1,), int_val=[128]), "int8", "a value that does not fit into int8"),
        (proto(14, (1,), half_val=[-1]), "bfloat16", "a value that does not fit into bfloat16"),
        (proto(7, (2,), string_val=[b"a"]), "string", "takes 2 strings, 1 were sent"),
        (proto(3, (1,), int_val=[1, 2, 3]), "int32", "takes 1 elements, 3 were sent"),
        (proto(11, (1,), int_val=[1]), "qint8", "can be sent as tensor_content only"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(sent: Any, dtype: str, message: str) -> None:
    with pytest.raises(InvalidTensor, match=message) as caught:
        read_tensor_proto(sent, spec(dtype))
    assert "'x'" in caught.value.detail


def test_a_long_context_is_not_multiplied_without_end() -> None:
    taken = Signature(name="serving_default", inputs={"x": spec("string", (None,))}, outputs={})
    sent = TENSORFLOW["Input"]()
    sent.example_list_with_context.context = bytes(1 << 20)
    sent.example_list_with_context.examples.extend([b""] * 65)
    asked = TENSORFLOW["ModelSpec"](name="acme/half")
    with pytest.raises(TooLarge, match="the examples have 68157440 bytes"):
        decode_examples(asked, sent, {"serving_default": taken})


def test_an_unknown_rank_is_refused() -> None:
    sent = proto(1, ())
    sent.tensor_shape.unknown_rank = True
    with pytest.raises(InvalidTensor, match="a shape that is not a list of sizes"):
        read_tensor_proto(sent, spec("float32"))


def test_bytes_that_are_no_message_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="The bytes are no ModelInferRequest"):
        parse(INFERENCE["ModelInferRequest"], b"\xff\xff")


_FLOATS = struct.pack("<3f", 1.5, -2.0, 0.25)
_DOUBLES = struct.pack("<2d", 1.5, -2.0)


@pytest.mark.parametrize(
    ("dtype", "form", "wire", "expected"),
    [
        ("float32", "packed", b"\x2a\x0c" + _FLOATS, [1.5, -2.0, 0.25]),
        ("float32", "in pieces", b"\x2a\x04" + _FLOATS[:4] + b"\x2a\x08" + _FLOATS[4:], [1.5, -2.0, 0.25]),
        ("float32", "one by one", b"".join(b"\x2d" + _FLOATS[at : at + 4] for at in (0, 4, 8)), [1.5, -2.0, 0.25]),
        ("float32", "both", b"\x2a\x04" + _FLOATS[:4] + b"\x2d" + _FLOATS[4:8], [1.5, -2.0]),
        ("float32", "beside others", b"\x29" + _DOUBLES[:8] + b"\x2a\x04" + _FLOATS[:4], [1.5]),
        ("float64", "one by one", b"".join(b"\x31" + _DOUBLES[at : at + 8] for at in (0, 8)), [1.5, -2.0]),
    ],
)
def test_numbers_come_in_every_form_that_protobuf_knows(
    dtype: str, form: str, wire: bytes, expected: list[float]
) -> None:
    del form
    written = proto(BY_NAME[dtype].number, (len(expected),)).SerializeToString() + wire
    found = read_tensor_proto(parse(TENSORFLOW["TensorProto"], written), spec(dtype))
    assert to_numpy(found).tolist() == expected


def test_malformed_numbers_are_refused_and_many_of_them_unread() -> None:
    with pytest.raises(InvalidRequest, match="are no TensorProto"):
        read_tensor_proto(proto(1, (2,), float_val=[bytes(5)]), spec("float32"))
    count = MAX_LOOSE_BYTES // 5 + 1
    loose = proto(1, (count,)).SerializeToString() + b"\x2d\x00\x00\x80\x3f" * count
    with pytest.raises(InvalidRequest, match=f"does not hold {4 * count} bytes in one packed piece"):
        read_tensor_proto(parse(TENSORFLOW["TensorProto"], loose), spec("float32"))
