"""The Open Inference Protocol's gRPC messages.

Tensors come as ``raw_input_contents`` or, all of them, in ``contents`` by type; answers are raw. The rest is what
:mod:`hub.protocol.codecs.oip` says, whose checks these are.

Source: Open Inference Protocol v2 "GRPC".
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hub.domain.errors import InvalidRequest, InvalidTensor
from hub.domain.signatures import Signature, choose_signature
from hub.domain.tensors import BY_OIP
from hub.domain.versions import Version
from hub.protocol.codecs import oip
from hub.protocol.codecs.oip import InferCall
from hub.protocol.codecs.oip_parameters import priority_of, text_of, timeout_of
from hub.protocol.frames import Buffer, Tensor, pack_strings
from hub.protocol.messages import INFERENCE, numbers_of

_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def parameters(holder: Any) -> dict[str, Any]:
    """The ``parameters`` of a message as plain values."""
    found: dict[str, Any] = {}
    for name, parameter in holder.parameters.items():
        set_fields = parameter.ListFields()
        found[name] = set_fields[0][1] if set_fields else None
    return found


def decode_infer(request: Any, signatures: Mapping[str, Signature]) -> InferCall:
    """Understand a ``ModelInferRequest``.

    Raises:
        InvalidRequest: Not of the protocol.
        InvalidTensor: A tensor does not fit the signature, or an output does not exist.
        SignatureNotFound: The signature that is asked for does not exist.
    """
    asked = parameters(request)
    signature = choose_signature(signatures, text_of(asked, "signature"))
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise InvalidRequest(
            f"There are {len(request.inputs)} inputs and {len(raw)} raw_input_contents.",
            remedy="Send the bytes of every input there, or of none.",
        )
    found: dict[str, Tensor] = {}
    for at, sent in enumerate(request.inputs):
        entry = {"name": sent.name, "datatype": sent.datatype, "shape": list(sent.shape)}
        spec = oip.spec_of(entry, signature, found)
        found[spec.name] = oip.read_input(entry, spec, memoryview(raw[at] if raw else _typed(sent)))
    wanted = oip.wanted_of({"outputs": [{"name": output.name} for output in request.outputs]}, {}, signature)
    priority, timeout_s = priority_of(asked), timeout_of(asked)
    return InferCall(signature, oip.in_order(found, signature), wanted, request.id or None, priority, timeout_s)


def _typed(sent: Any) -> Buffer:
    """Elements that came by type, as the protocol's raw bytes."""
    field = _CONTENTS.get(sent.datatype)
    if field is None:
        raise InvalidTensor(
            f"Input {sent.name[:80]!r} is {sent.datatype[:40]!r}, which has no contents by type.",
            remedy="Send raw_input_contents.",
            tensor=sent.name[:80],
        )
    if sent.datatype in ("FP32", "FP64"):
        return numbers_of(sent.contents, field, max(0, math.prod(sent.shape)) * BY_OIP[sent.datatype].size_bytes)
    elements = getattr(sent.contents, field)
    if any(size < 0 for size in sent.shape) or len(elements) != math.prod(sent.shape):
        raise InvalidTensor(
            f"Input {sent.name[:80]!r} has {len(elements)} elements for the shape {list(sent.shape)[:32]}.",
            tensor=sent.name[:80],
        )
    if sent.datatype == "BYTES":
        array = np.empty(len(elements), dtype=object)
        array[:] = list(elements)
        return pack_strings(array)
    dtype = BY_OIP[sent.datatype]
    try:
        return np.array(list(elements), dtype=dtype.numpy).tobytes()
    except OverflowError as error:
        raise InvalidTensor(
            f"Input {sent.name[:80]!r} has a value that does not fit into {dtype.name}.", tensor=sent.name[:80]
        ) from error


def encode_infer(tensors: Sequence[Tensor], call: InferCall, version: Version) -> bytes:
    """A ``ModelInferResponse``.

    Raises:
        InvalidTensor: The protocol does not have an output's type.
    """
    response: Any = INFERENCE["ModelInferResponse"](
        model_name=version.model, model_version=str(version.number), id=call.id or ""
    )
    by_name = {tensor.name: tensor for tensor in tensors}
    for want in call.wanted:
        tensor = by_name[want.name]
        response.outputs.add(name=tensor.name, datatype=oip.datatype_of(tensor.name, tensor.dtype), shape=tensor.shape)
        response.raw_output_contents.append(bytes(tensor.data))
    return response.SerializeToString()


def encode_metadata(model: str, versions: Sequence[int], signatures: Mapping[str, Signature]) -> bytes:
    """A ``ModelMetadataResponse``."""
    known = oip.metadata(model, versions, signatures)
    del known["parameters"]  # the message has no place for them
    return INFERENCE["ModelMetadataResponse"](**known).SerializeToString()
