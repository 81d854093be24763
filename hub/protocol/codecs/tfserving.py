"""TensorFlow Serving's REST bodies: predict requests and answers, model metadata and model status.

Row format: ``{"instances": [value, …]}`` for one input, ``[{"a": …, "b": …}, …]`` for several; each element is one row
of the batch, and the answer is ``{"predictions": [...]}``. Columnar format: ``{"inputs": value}`` or
``{"inputs": {"a": …}}`` holds whole tensors, and the answer is ``{"outputs": …}``. Both take ``signature_name``. Bytes
are ``{"b64": text}``.

Laws: an answer has the format of its question; a single output stands bare, several stand in an object; every refusal
names the tensor (or the key) and what was expected.

Source: TensorFlow Serving, "RESTful API" (``tfx/serving/api_rest``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from hub.domain.errors import InvalidRequest, InvalidTensor
from hub.domain.signatures import Signature, choose_signature
from hub.domain.tensors import TensorSpec
from hub.domain.versions import State, Version
from hub.protocol.codecs.json_text import writable, write_json
from hub.protocol.codecs.numbers import Numbers, parse_object_with_numbers
from hub.protocol.codecs.values import is_base64, read_tensor, write_array, write_tensor
from hub.protocol.frames import Tensor

_SIGNATURE_NAME = "signature_name"
_KEYS_REMEDY = 'Send {"instances": [...]} (row format) or {"inputs": ...} (columnar format).'
PREDICT_METHOD = "tensorflow/serving/predict"
_SPECIAL_TYPES = {"float32": "DT_FLOAT", "float64": "DT_DOUBLE", "float16": "DT_HALF"}
_STATES = {State.VALIDATING: "LOADING", State.READY: "AVAILABLE", State.REJECTED: "END", State.YANKED: "END"}


class Layout(StrEnum):
    """How a predict body lays out its tensors: by row, or by input."""

    ROW = "row"
    COLUMNAR = "columnar"


@dataclass(frozen=True, slots=True)
class PredictCall:
    """A decoded predict request: the signature it means, its inputs in the signature's order, and its layout."""

    signature: Signature
    tensors: tuple[Tensor, ...]
    layout: Layout
    priority: int = 0
    timeout_s: float | None = None


def decode_predict(body: bytes, signatures: Mapping[str, Signature]) -> PredictCall:
    """Read a predict body.

    Raises:
        InvalidRequest: Not JSON, or not of either format.
        InvalidTensor: A tensor does not fit the signature.
        SignatureNotFound: The signature that is asked for does not exist.
    """
    request = parse_object_with_numbers(body)
    signature = choose_signature(signatures, signature_name(request))
    if ("instances" in request) == ("inputs" in request):
        raise InvalidRequest("The body needs exactly one of the keys 'instances' and 'inputs'.", remedy=_KEYS_REMEDY)
    if "inputs" in request:
        layout, values = Layout.COLUMNAR, _columns(request["inputs"], signature)
    else:
        layout, values = Layout.ROW, _columns_of_rows(request["instances"], signature)
    tensors = tuple(read_tensor(values[name], spec) for name, spec in signature.inputs.items())
    return PredictCall(signature, tensors, layout)


def signature_name(request: Mapping[str, Any]) -> str | None:
    """The signature a body asks for; None where it names none.

    Raises:
        InvalidRequest: ``signature_name`` is not a string.
    """
    name = request.get(_SIGNATURE_NAME)
    if name is not None and not isinstance(name, str):
        raise InvalidRequest("The key 'signature_name' is not a string.", remedy="Name one signature, or leave it out.")
    return name or None


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _columns(inputs: Any, signature: Signature) -> dict[str, Any]:
    if _is_named(inputs):
        check_names(inputs.keys(), signature, "'inputs'")
        return inputs
    return {_only_input(signature, "'inputs' is a bare value"): inputs}


def _columns_of_rows(instances: Any, signature: Signature) -> dict[str, Any]:
    if isinstance(instances, Numbers):
        return {_only_input(signature, "'instances' is a list of bare values"): instances}
    if not isinstance(instances, list) or not instances:
        raise InvalidRequest("'instances' is not a list with at least one element.", remedy=_KEYS_REMEDY)
    if not signature.inputs:
        raise InvalidRequest(
            f"Signature {signature.name!r} takes no inputs, so there are no rows to send.",
            remedy='Send {"inputs": {}}.',
        )
    named = [_is_named(row) for row in instances]
    if not any(named):
        return {_only_input(signature, "'instances' is a list of bare values"): instances}
    if not all(named):
        odd = named.index(False)
        raise InvalidRequest(
            f"'instances' mixes objects and bare values: element {odd} is not an object.",
            remedy="Make every element an object, or none.",
        )
    for index, row in enumerate(instances):
        check_names(row.keys(), signature, f"element {index} of 'instances'")
    return {name: [row[name] for row in instances] for name in signature.inputs}


def check_names(names: Iterable[str], signature: Signature, place: str) -> None:
    """Refuse inputs that are not the signature's; ``place`` is where they stand.

    Raises:
        InvalidTensor: One is unknown or missing.
    """
    expected = sorted(signature.inputs)
    unknown = sorted(set(names) - set(expected))
    missing = sorted(set(expected) - set(names))
    if not unknown and not missing:
        return
    found = f"has an unknown input {unknown[0][:80]!r}" if unknown else f"lacks the input {missing[0]!r}"
    raise InvalidTensor(
        f"{place[0].upper()}{place[1:]} {found}; signature {signature.name!r} takes {expected}.",
        tensor=(unknown or missing)[0][:80],
        expected=expected,
    )


def _only_input(signature: Signature, what: str) -> str:
    if len(signature.inputs) == 1:
        return next(iter(signature.inputs))
    expected = sorted(signature.inputs)
    raise InvalidTensor(
        f"{what}, but signature {signature.name!r} takes the inputs {expected}.",
        remedy="Send an object with one key for each input.",
        expected=expected,
    )


def encode_predict(tensors: Sequence[Tensor], layout: Layout) -> bytes:
    """Write the answer in the format of the question.

    Raises:
        InvalidRequest: Row format, and the outputs do not share a first dimension.
        InvalidTensor: An output has no JSON form.
    """
    if layout is Layout.ROW:
        return write_json({"predictions": _rows(tensors)})
    if len(tensors) == 1:
        return write_json({"outputs": write_tensor(tensors[0])})
    return write_json({"outputs": {tensor.name: write_tensor(tensor) for tensor in tensors}})


def _rows(tensors: Sequence[Tensor]) -> Any:
    sizes = {tensor.name: tensor.shape[0] if tensor.shape else None for tensor in tensors}
    if None in sizes.values() or len(set(sizes.values())) > 1:
        raise InvalidRequest(
            f"The outputs do not have one row for each instance: rows by output are {sizes}.",
            remedy='Send the columnar format, {"inputs": ...}.',
        )
    if len(tensors) == 1:
        return write_tensor(tensors[0])
    arrays: dict[str, np.ndarray] = {tensor.name: write_array(tensor) for tensor in tensors}
    count = next(iter(sizes.values())) or 0
    return [{name: writable(array[row]) for name, array in arrays.items()} for row in range(count)]


def metadata(model: str, version: int, signatures: Mapping[str, Signature]) -> dict[str, Any]:
    """The body of ``GET …/metadata`` (``GetModelMetadataResponse`` as JSON)."""
    return {
        "model_spec": {"name": model, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": {n: _signature_def(s) for n, s in signatures.items()}}},
    }


def _signature_def(signature: Signature) -> dict[str, Any]:
    return {
        "inputs": {name: _tensor_info(spec) for name, spec in signature.inputs.items()},
        "outputs": {name: _tensor_info(spec) for name, spec in signature.outputs.items()},
        "method_name": signature.method or PREDICT_METHOD,
    }


def _tensor_info(spec: TensorSpec) -> dict[str, Any]:
    dims = [{"size": str(-1 if dim is None else dim), "name": ""} for dim in spec.shape or ()]
    dtype = _SPECIAL_TYPES.get(spec.dtype, f"DT_{spec.dtype.upper()}")
    shape = {"dim": dims, "unknown_rank": spec.shape is None}
    return {"dtype": dtype, "tensor_shape": shape, "name": spec.name}


def status(versions: Sequence[Version]) -> dict[str, Any]:
    """The body of ``GET /v1/models/…`` (``GetModelStatusResponse`` as JSON)."""
    return {"model_version_status": [_version_status(version) for version in versions]}


def _version_status(version: Version) -> dict[str, Any]:
    is_over = version.state in (State.REJECTED, State.YANKED)
    message = (version.yanked_reason or f"The version was {version.state.value}.") if is_over else ""
    return {
        "version": str(version.number),
        "state": _STATES[version.state],
        "status": {"error_code": "FAILED_PRECONDITION" if is_over else "OK", "error_message": message},
    }
