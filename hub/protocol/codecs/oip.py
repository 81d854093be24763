"""Open Inference Protocol v2 bodies over HTTP: JSON, and the binary tensor data extension.

A binary body is a JSON header of ``Inference-Header-Content-Length`` bytes and then, in order, the bytes of every
tensor that has ``binary_data_size``. They become :class:`Tensor` values that share those bytes: nothing is copied or
decoded here.

Beyond the protocol, ``parameters.signature`` chooses a signature; without it ``serving_default``, or the only one, is
meant. ``parameters.priority`` and ``parameters.timeout`` are Triton's.

Laws: a tensor is checked against the signature by what its header says, and its bytes by their number; FP16, BF16 and
bytes that are not text travel as binary only; every refusal names the tensor and what was expected.

Source: Open Inference Protocol v2 "required_api" and "Binary Tensor Data Extension"; Triton "Schedule Policy
Extension".
"""

import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.domain.errors import InvalidRequest, InvalidTensor
from hub.domain.signatures import Signature, choose_signature
from hub.domain.tensors import BY_NAME, BY_OIP, Shape, TensorSpec, check_tensor
from hub.protocol.codecs.json_text import parse_json_object, writable, write_json
from hub.protocol.codecs.numbers import parse_object_with_numbers
from hub.protocol.codecs.oip_parameters import flag_of, parameters_of, priority_of, text_of, timeout_of
from hub.protocol.codecs.values import flatten_for, pack_elements, to_array
from hub.protocol.frames import MAX_RANK, Tensor

HEADER_LENGTH = "Inference-Header-Content-Length"
PLATFORM = "tensorflow_savedmodel"
EXTENSIONS = ("binary_tensor_data", "schedule_policy")
_LENGTH = re.compile(r"[0-9]{1,18}")
_BINARY_ONLY = ("float16", "bfloat16")
_BINARY_REMEDY = "Use the binary tensor data extension."


@dataclass(frozen=True, slots=True)
class Wanted:
    """An output to answer with, and whether its bytes follow the header."""

    name: str
    is_binary: bool


@dataclass(slots=True)  # not frozen: that takes three times as long to make
class InferCall:
    """A decoded infer request.

    Attributes:
        signature: The signature it means.
        tensors: Its inputs, in the signature's order.
        wanted: The outputs to answer with, in the order to answer in.
        id: What the caller named the request.
        priority: What is smaller goes before others; 0 where nothing was asked.
        timeout_s: How long the caller will wait, where that was said.
    """

    signature: Signature
    tensors: tuple[Tensor, ...]
    wanted: tuple[Wanted, ...]
    id: str | None = None
    priority: int = 0
    timeout_s: float | None = None

    @property
    def is_all_binary(self) -> bool:
        """Whether every output is answered in bytes."""
        return all(want.is_binary for want in self.wanted)

    def is_binary(self, output: str) -> bool:
        """Whether an output is answered in bytes, if at all."""
        return all(want.is_binary for want in self.wanted if want.name == output)


def decode_infer(body: bytes, header_length: str | None, signatures: Mapping[str, Signature]) -> InferCall:
    """Read an infer body.

    Args:
        body: The whole body.
        header_length: The value of :data:`HEADER_LENGTH`; None means that the body is JSON alone.
        signatures: The signatures of the version that is called.

    Raises:
        InvalidRequest: Not JSON, not of the protocol, or the binary parts do not add up.
        InvalidTensor: A tensor does not fit the signature, or an output does not exist.
        SignatureNotFound: The signature that is asked for does not exist.
    """
    header, binary = _split(body, header_length)
    parameters = parameters_of(header, "the request")
    signature = choose_signature(signatures, text_of(parameters, "signature"))
    tensors = _inputs(header, binary, signature)
    wanted, name = wanted_of(header, parameters, signature), text_of(header, "id")
    return InferCall(signature, tensors, wanted, name, priority_of(parameters), timeout_of(parameters))


def _split(body: bytes, header_length: str | None) -> tuple[dict[str, Any], memoryview]:
    if header_length is None:
        return parse_object_with_numbers(body), memoryview(b"")
    if not _LENGTH.fullmatch(header_length) or int(header_length) > len(body):
        raise InvalidRequest(
            f"{HEADER_LENGTH} is {header_length[:20]!r}, the body has {len(body)} bytes.",
            remedy="Give the number of bytes of the JSON header.",
        )
    view = memoryview(body)
    end = int(header_length)
    return parse_json_object(view[:end]), view[end:]


def read_parameters(body: bytes, header_length: str | None) -> dict[str, Any]:
    """The parameters of an infer body.

    Raises:
        InvalidRequest: See :func:`decode_infer`.
    """
    return parameters_of(_split(body, header_length)[0], "the request")


def _inputs(header: Mapping[str, Any], binary: memoryview, signature: Signature) -> tuple[Tensor, ...]:
    entries = header.get("inputs", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidRequest(
            "'inputs' is not a list of objects.", remedy="Send name, datatype, shape and data of each."
        )
    found: dict[str, Tensor] = {}
    for entry in entries:
        spec = spec_of(entry, signature, found)
        size = _binary_size(entry, spec.name, binary)
        found[spec.name] = read_input(entry, spec, None if size is None else binary[:size])
        binary = binary[size or 0 :]
    if len(binary):
        raise InvalidRequest(
            f"{len(binary)} bytes follow the last binary tensor.", remedy="Give each tensor's binary_data_size."
        )
    return in_order(found, signature)


def in_order(found: Mapping[str, Tensor], signature: Signature) -> tuple[Tensor, ...]:
    """The inputs in the signature's order.

    Raises:
        InvalidTensor: One is missing.
    """
    missing = sorted(signature.inputs.keys() - found.keys())
    if missing:
        expected = sorted(signature.inputs)
        raise InvalidTensor(
            f"The input {missing[0]!r} is missing; signature {signature.name!r} takes {expected}.",
            tensor=missing[0],
            expected=expected,
        )
    return tuple(found[name] for name in signature.inputs)


def spec_of(entry: Mapping[str, Any], signature: Signature, found: Mapping[str, Tensor]) -> TensorSpec:
    """The input that an entry of ``inputs`` is for.

    Raises:
        InvalidTensor: There is none, or it was ``found`` before.
    """
    name = entry.get("name")
    expected = sorted(signature.inputs)
    if not isinstance(name, str) or name not in signature.inputs:
        raise InvalidTensor(
            f"There is no input {str(name)[:80]!r}; signature {signature.name!r} takes {expected}.",
            tensor=str(name)[:80],
            expected=expected,
        )
    if name in found:
        raise InvalidTensor(f"Input {name!r} was sent twice.", tensor=name)
    return signature.inputs[name]


def _binary_size(entry: Mapping[str, Any], name: str, binary: memoryview) -> int | None:
    size = parameters_of(entry, f"input {name!r}").get("binary_data_size")
    if size is None:
        return None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InvalidTensor(f"Input {name!r} has a binary_data_size that is not a number of bytes.", tensor=name)
    if size > len(binary):
        raise InvalidTensor(
            f"Input {name!r} announces {size} binary bytes, {len(binary)} are left in the body.", tensor=name
        )
    return size


def read_input(entry: Mapping[str, Any], spec: TensorSpec, data: memoryview | None) -> Tensor:
    """The tensor of an entry of ``inputs``, from its bytes; from the entry's own elements where they are None.

    Raises:
        InvalidTensor: It does not fit the signature, or has too few or too many bytes.
    """
    dtype = BY_OIP.get(str(entry.get("datatype")))
    if dtype is None:
        raise InvalidTensor(
            f"Input {spec.name!r} has datatype {str(entry.get('datatype'))[:40]!r}, not one of {sorted(BY_OIP)}.",
            tensor=spec.name,
            expected=BY_NAME[spec.dtype].oip,
        )
    shape = _shape(entry.get("shape"), spec.name)
    check_tensor(spec.name, dtype.name, shape, spec)
    if data is None:
        return _read_json(entry, spec, shape)
    if dtype.size_bytes and len(data) != math.prod(shape) * dtype.size_bytes:
        raise InvalidTensor(
            f"Input {spec.name!r} of {dtype.oip}{list(shape)} takes {math.prod(shape) * dtype.size_bytes} bytes, "
            f"{len(data)} were sent.",
            tensor=spec.name,
            expected=math.prod(shape) * dtype.size_bytes,
            got=len(data),
        )
    return Tensor(spec.name, spec.dtype, shape, data)


def _shape(shape: Any, name: str) -> tuple[int, ...]:
    is_list = isinstance(shape, list) and len(shape) <= MAX_RANK
    if not is_list or any(type(dim) is not int or not 0 <= dim < 1 << 63 for dim in shape):
        raise InvalidTensor(f"Input {name!r} has a shape that is not a list of sizes.", tensor=name)
    return tuple(shape)


def _read_json(entry: Mapping[str, Any], spec: TensorSpec, shape: tuple[int, ...]) -> Tensor:
    if spec.dtype in _BINARY_ONLY:
        raise InvalidTensor(
            f"Input {spec.name!r} is {BY_NAME[spec.dtype].oip}, which has no JSON form.",
            remedy=_BINARY_REMEDY,
            tensor=spec.name,
        )
    if "data" not in entry:
        raise InvalidTensor(
            f"Input {spec.name!r} has neither data nor binary_data_size.",
            remedy="Send its elements as 'data'.",
            tensor=spec.name,
        )
    nested, elements = flatten_for(spec, entry["data"])
    count = math.prod(shape)
    if len(elements) != count or (len(nested) > 1 and nested != shape):
        raise InvalidTensor(
            f"Input {spec.name!r} has shape {list(shape)} ({count} elements), but data of shape {list(nested)}.",
            tensor=spec.name,
            expected=list(shape),
            got=list(nested),
        )
    return pack_elements(spec.name, spec.dtype, shape, elements)


def wanted_of(header: Mapping[str, Any], parameters: Mapping[str, Any], signature: Signature) -> tuple[Wanted, ...]:
    """The outputs that a request asks for; all where it names none.

    Raises:
        InvalidRequest: Not of the protocol.
        InvalidTensor: One does not exist, or is named twice.
    """
    by_default = flag_of(parameters, "binary_data_output", "the request") or False
    entries = header.get("outputs")
    if not entries:
        return tuple(Wanted(name, by_default) for name in signature.outputs)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidRequest("'outputs' is not a list of objects.", remedy="Name each output that is wanted.")
    wanted: dict[str, Wanted] = {}
    for entry in entries:
        name = entry.get("name")
        if not isinstance(name, str) or name not in signature.outputs or name in wanted:
            expected = sorted(signature.outputs)
            raise InvalidTensor(
                f"Output {str(name)[:80]!r} cannot be given; signature {signature.name!r} gives {expected}, each once.",
                tensor=str(name)[:80],
                expected=expected,
            )
        explicit = flag_of(parameters_of(entry, f"output {name!r}"), "binary_data", f"output {name!r}")
        wanted[name] = Wanted(name, by_default if explicit is None else explicit)
    return tuple(wanted.values())


def encode_infer(tensors: Sequence[Tensor], call: InferCall, *, model: str, version: int) -> tuple[bytes, int | None]:
    """Write the answer.

    Returns:
        The body, and the length of the JSON header where binary parts follow it (None where none do).

    Raises:
        InvalidTensor: An output has no form in this protocol, or none in JSON.
    """
    by_name = {tensor.name: tensor for tensor in tensors}
    chosen = [(by_name[want.name], want.is_binary) for want in call.wanted]
    if call.id is None and call.is_all_binary:
        header = _binary_header(model, version, tuple([_form(tensor) for tensor, _ in chosen]))
        return b"".join([header, *[tensor.data for tensor, _ in chosen]]), len(header) if chosen else None
    answer: dict[str, Any] = {"model_name": model, "model_version": str(version)}
    if call.id is not None:
        answer["id"] = call.id
    answer["outputs"] = [_output(tensor, is_binary=is_binary) for tensor, is_binary in chosen]
    header = write_json(answer)
    binary = [tensor.data for tensor, is_binary in chosen if is_binary]
    return b"".join([header, *binary]), len(header) if binary else None


def _form(tensor: Tensor) -> tuple[str, str, tuple[int, ...], int]:
    return tensor.name, tensor.dtype, tensor.shape, len(tensor.data)


@functools.lru_cache(1_024)
def _binary_header(model: str, version: int, forms: tuple[tuple[str, str, tuple[int, ...], int], ...]) -> bytes:
    """The header of answers in bytes; all that are alike but for their elements have the same."""
    outputs = [_in_bytes(*form) for form in forms]
    return write_json({"model_name": model, "model_version": str(version), "outputs": outputs})


def _output(tensor: Tensor, *, is_binary: bool) -> dict[str, Any]:
    if is_binary:
        return _in_bytes(*_form(tensor))
    return _described(tensor.name, tensor.dtype, tensor.shape) | {"data": _json_data(tensor)}


def _in_bytes(name: str, dtype: str, shape: Sequence[int], size: int) -> dict[str, Any]:
    return _described(name, dtype, shape) | {"parameters": {"binary_data_size": size}}


def _described(name: str, dtype: str, shape: Sequence[int]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype_of(name, dtype), "shape": list(shape)}


def datatype_of(name: str, dtype: str) -> str:
    """The protocol's name of an output's type.

    Raises:
        InvalidTensor: It has none.
    """
    datatype = BY_NAME[dtype].oip
    if datatype is None:
        raise InvalidTensor(
            f"Output {name!r} is {dtype}, which the protocol does not have.",
            remedy="Ask for other outputs.",
            tensor=name,
        )
    return datatype


def _json_data(tensor: Tensor) -> Any:
    if tensor.dtype in _BINARY_ONLY:
        raise InvalidTensor(
            f"Output {tensor.name!r} is {BY_NAME[tensor.dtype].oip}, which has no JSON form.",
            remedy=_BINARY_REMEDY,
            tensor=tensor.name,
        )
    flat = to_array(tensor).reshape(-1)
    if tensor.dtype != "string":
        return writable(flat)
    try:
        return [item.decode() for item in flat]
    except UnicodeDecodeError as error:
        raise InvalidTensor(
            f"Output {tensor.name!r} has bytes that are not text.", remedy=_BINARY_REMEDY, tensor=tensor.name
        ) from error


def metadata(model: str, versions: Sequence[int], signatures: Mapping[str, Signature]) -> dict[str, Any]:
    """The body of model metadata: the default signature's tensors, and the names of all signatures.

    Inputs and outputs are empty where no signature is the default. A dimension that may vary is -1; where even the rank
    may vary, the shape is ``[-1]``.
    """
    default = signatures.get("serving_default") or (next(iter(signatures.values())) if len(signatures) == 1 else None)
    return {
        "name": model,
        "versions": [str(number) for number in versions],
        "platform": PLATFORM,
        "inputs": [_tensor_metadata(spec) for spec in default.inputs.values()] if default else [],
        "outputs": [_tensor_metadata(spec) for spec in default.outputs.values()] if default else [],
        "parameters": {"signatures": sorted(signatures)},
    }


def _tensor_metadata(spec: TensorSpec) -> dict[str, Any]:
    known = BY_NAME.get(spec.dtype)
    return {"name": spec.name, "datatype": (known and known.oip) or spec.dtype.upper(), "shape": _dims(spec.shape)}


def _dims(shape: Shape) -> list[int]:
    return [-1] if shape is None else [-1 if dim is None else dim for dim in shape]
