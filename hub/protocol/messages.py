"""The gRPC messages that the hub reads and writes, declared by their field numbers.

They live in a pool of their own, so that a program that also imports TensorFlow's or Triton's generated messages finds
no second ones of the same name.

Law: what is written is what the published protos say, byte for byte; fields that the hub does not know are skipped.

Numbers that are 4, 8 or 16 bytes wide and packed look on the wire like a field of bytes, so they are declared as such:
an array of a million floats is taken as it lies. Writers may also send them in pieces or one by one; `numbers_of` takes
all forms.

Sources: ``tensorflow/core/framework/{tensor,tensor_shape}.proto``, ``tensorflow/core/protobuf/meta_graph.proto``,
``tensorflow_serving/apis/*.proto``, Open Inference Protocol ``open_inference_grpc.proto``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from hub.domain.errors import InvalidRequest

_Field = descriptor_pb2.FieldDescriptorProto
MAX_LOOSE_BYTES = 4 << 20
_DOUBLES = frozenset({"double_val", "dcomplex_val", "fp64_contents"})
_SCALARS = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "double": _Field.TYPE_DOUBLE,
    "float": _Field.TYPE_FLOAT,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "string": _Field.TYPE_STRING,
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
}


def declare(package: str, messages: Mapping[str, Mapping[str, str]]) -> dict[str, type[Message]]:
    """Make message classes.

    Args:
        package: The protos' package.
        messages: By message and field: the field's number and type, ``"4 bytes"``, ``"2 repeated Dim"``,
            ``"1 map SignatureDef"`` (from strings), ``"3 optional string"`` (can be told from the empty one).
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, text in fields.items():
            _declare_field(message, f".{package}", field, text)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    by_name = pool.FindFileByName(file.name).message_types_by_name
    return {name: message_factory.GetMessageClass(by_name[name]) for name in messages}


def _declare_field(message: descriptor_pb2.DescriptorProto, scope: str, name: str, text: str) -> None:
    number, *label, kind = text.split()
    field = message.field.add(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
    if label == ["map"]:
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _set_type(entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL), scope, "string")
        _set_type(entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL), scope, kind)
        field.label = _Field.LABEL_REPEATED
        _set_type(field, f"{scope}.{message.name}", entry.name)
        return
    _set_type(field, scope, kind)
    if label == ["repeated"]:
        field.label = _Field.LABEL_REPEATED
    elif label == ["optional"]:
        field.oneof_index = len(message.oneof_decl)
        field.proto3_optional = True
        message.oneof_decl.add(name=f"_{name}")


def _set_type(field: descriptor_pb2.FieldDescriptorProto, scope: str, kind: str) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f"{scope}.{kind}"


def numbers_of(message: Message, field: str, size: int) -> bytes:
    """The numbers, little-endian, of a field of them that is declared as bytes.

    Args:
        message: A ``TensorProto`` or an ``InferTensorContents``.
        field: The field.
        size: Bytes that are wanted; so many in one piece are taken as they lie, anything else is read number by number.

    Raises:
        InvalidRequest: They are malformed, or more than :data:`MAX_LOOSE_BYTES` came in another form.

    Source: protobuf's encoding guide, "Packed Repeated Fields": parsers take them packed, in several pieces, and not.
    """
    pieces = getattr(message, field)
    if len(pieces) == 1 and len(pieces[0]) == size:
        return bytes(pieces[0])
    whole = message.SerializeToString()
    if len(whole) > MAX_LOOSE_BYTES:
        raise InvalidRequest(
            f"{field} does not hold {size} bytes in one packed piece.",
            remedy="Send exactly the elements that the shape takes, packed, or raw bytes.",
        )
    numbers = getattr(parse(_NUMBERS[message.DESCRIPTOR.name], whole), field)
    return np.fromiter(numbers, "<f8" if field in _DOUBLES else "<f4", len(numbers)).tobytes()


def parse(kind: type[Message], data: bytes) -> Any:
    """Read a message.

    Raises:
        InvalidRequest: The bytes are none of that kind.
    """
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise InvalidRequest(
            f"The bytes are no {kind.DESCRIPTOR.name}.", remedy="Send the message that this method takes."
        ) from error


TENSORFLOW = declare(
    "tensorflow",
    {
        "Dim": {"size": "1 int64", "name": "2 string"},
        "TensorShapeProto": {"dim": "2 repeated Dim", "unknown_rank": "3 bool"},
        "TensorProto": {
            "dtype": "1 int32",
            "tensor_shape": "2 TensorShapeProto",
            "tensor_content": "4 bytes",
            "float_val": "5 repeated bytes",
            "double_val": "6 repeated bytes",
            "int_val": "7 repeated int32",
            "string_val": "8 repeated bytes",
            "scomplex_val": "9 repeated bytes",
            "int64_val": "10 repeated int64",
            "bool_val": "11 repeated bool",
            "dcomplex_val": "12 repeated bytes",
            "half_val": "13 repeated int32",
            "uint32_val": "16 repeated uint32",
            "uint64_val": "17 repeated uint64",
        },
        "TensorInfo": {"name": "1 string", "dtype": "2 int32", "tensor_shape": "3 TensorShapeProto"},
        "SignatureDef": {"inputs": "1 map TensorInfo", "outputs": "2 map TensorInfo", "method_name": "3 string"},
        "SignatureDefMap": {"signature_def": "1 map SignatureDef"},
        "Any": {"type_url": "1 string", "value": "2 bytes"},
        "Int64Value": {"value": "1 int64"},
        "ModelSpec": {
            "name": "1 string",
            "version": "2 Int64Value",
            "signature_name": "3 string",
            "version_label": "4 string",
        },
        "PredictRequest": {
            "model_spec": "1 ModelSpec",
            "inputs": "2 map TensorProto",
            "output_filter": "3 repeated string",
        },
        "PredictResponse": {"outputs": "1 map TensorProto", "model_spec": "2 ModelSpec"},
        "ExampleList": {"examples": "1 repeated bytes"},
        "ExampleListWithContext": {"examples": "1 repeated bytes", "context": "2 bytes"},
        "Input": {"example_list": "1 ExampleList", "example_list_with_context": "2 ExampleListWithContext"},
        "ExamplesRequest": {"model_spec": "1 ModelSpec", "input": "2 Input"},
        "Class": {"label": "1 string", "score": "2 float"},
        "Classifications": {"classes": "1 repeated Class"},
        "ClassificationResult": {"classifications": "1 repeated Classifications"},
        "ClassificationResponse": {"result": "1 ClassificationResult", "model_spec": "2 ModelSpec"},
        "Regression": {"value": "1 float"},
        "RegressionResult": {"regressions": "1 repeated Regression"},
        "RegressionResponse": {"result": "1 RegressionResult", "model_spec": "2 ModelSpec"},
        "InferenceTask": {"model_spec": "1 ModelSpec", "method_name": "2 string"},
        "MultiInferenceRequest": {"tasks": "1 repeated InferenceTask", "input": "2 Input"},
        "InferenceResult": {
            "model_spec": "1 ModelSpec",
            "classification_result": "2 ClassificationResult",
            "regression_result": "3 RegressionResult",
        },
        "MultiInferenceResponse": {"results": "1 repeated InferenceResult"},
        "GetModelMetadataRequest": {"model_spec": "1 ModelSpec", "metadata_field": "2 repeated string"},
        "GetModelMetadataResponse": {"model_spec": "1 ModelSpec", "metadata": "2 map Any"},
        "StatusProto": {"error_code": "1 int32", "error_message": "2 string"},
        "ModelVersionStatus": {"version": "1 int64", "state": "2 int32", "status": "3 StatusProto"},
        "GetModelStatusRequest": {"model_spec": "1 ModelSpec"},
        "GetModelStatusResponse": {"model_version_status": "1 repeated ModelVersionStatus"},
    },
)

INFERENCE = declare(
    "inference",
    {
        "Empty": {},
        "ServerLiveResponse": {"live": "1 bool"},
        "ServerReadyResponse": {"ready": "1 bool"},
        "ModelReadyRequest": {"name": "1 string", "version": "2 string"},
        "ModelReadyResponse": {"ready": "1 bool"},
        "ServerMetadataResponse": {"name": "1 string", "version": "2 string", "extensions": "3 repeated string"},
        "ModelMetadataRequest": {"name": "1 string", "version": "2 string"},
        "TensorMetadata": {"name": "1 string", "datatype": "2 string", "shape": "3 repeated int64"},
        "ModelMetadataResponse": {
            "name": "1 string",
            "versions": "2 repeated string",
            "platform": "3 string",
            "inputs": "4 repeated TensorMetadata",
            "outputs": "5 repeated TensorMetadata",
        },
        "InferParameter": {
            "bool_param": "1 optional bool",
            "int64_param": "2 optional int64",
            "string_param": "3 optional string",
            "double_param": "4 optional double",
            "uint64_param": "5 optional uint64",
        },
        "InferTensorContents": {
            "bool_contents": "1 repeated bool",
            "int_contents": "2 repeated int32",
            "int64_contents": "3 repeated int64",
            "uint_contents": "4 repeated uint32",
            "uint64_contents": "5 repeated uint64",
            "fp32_contents": "6 repeated bytes",
            "fp64_contents": "7 repeated bytes",
            "bytes_contents": "8 repeated bytes",
        },
        "InferInputTensor": {
            "name": "1 string",
            "datatype": "2 string",
            "shape": "3 repeated int64",
            "parameters": "4 map InferParameter",
            "contents": "5 InferTensorContents",
        },
        "InferRequestedOutputTensor": {"name": "1 string", "parameters": "2 map InferParameter"},
        "ModelInferRequest": {
            "model_name": "1 string",
            "model_version": "2 string",
            "id": "3 string",
            "parameters": "4 map InferParameter",
            "inputs": "5 repeated InferInputTensor",
            "outputs": "6 repeated InferRequestedOutputTensor",
            "raw_input_contents": "7 repeated bytes",
        },
        "InferOutputTensor": {"name": "1 string", "datatype": "2 string", "shape": "3 repeated int64"},
        "ModelInferResponse": {
            "model_name": "1 string",
            "model_version": "2 string",
            "id": "3 string",
            "outputs": "5 repeated InferOutputTensor",
            "raw_output_contents": "6 repeated bytes",
        },
    },
)

_NUMBERS = declare(
    "numbers",
    {
        "TensorProto": {
            "float_val": "5 repeated float",
            "double_val": "6 repeated double",
            "scomplex_val": "9 repeated float",
            "dcomplex_val": "12 repeated double",
        },
        "InferTensorContents": {"fp32_contents": "6 repeated float", "fp64_contents": "7 repeated double"},
    },
)
