"""TensorFlow Serving's classify and regress bodies: feature objects become serialized ``tf.Example`` strings.

``{"examples": [{"age": 3, "name": ["a", "b"]}, …], "context": {…}}``: an integer or boolean becomes an int64 feature,
a decimal number a float feature, text or ``{"b64": …}`` a bytes feature; the context's features are added to every
example.

Laws: a feature holds one kind of value, integers beside decimal numbers count as decimal; the bytes are what
``tf.io.parse_example`` reads.

Source: TensorFlow Serving "RESTful API", classify and regress; ``tensorflow/core/example/{example,feature}.proto``.
"""

import base64
import binascii
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hub.domain.errors import InvalidRequest, TooLarge
from hub.domain.signatures import Signature, choose_signature
from hub.domain.tensors import TensorSpec, check_tensor
from hub.protocol.codecs.json_text import parse_json_object, writable, write_json
from hub.protocol.codecs.tfserving import signature_name
from hub.protocol.codecs.values import is_base64, pack_elements, to_array
from hub.protocol.frames import Tensor, pack_strings

_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3
_MAX_BYTES = 64 << 20
_PREDICT_REMEDY = "Call it through :predict."


@dataclass(frozen=True, slots=True)
class ExamplesCall:
    """A decoded classify or regress request: the signature it means, and its one input of serialized examples."""

    signature: Signature
    tensors: tuple[Tensor, ...]


def decode_examples(body: bytes, signatures: Mapping[str, Signature]) -> ExamplesCall:
    """Read a classify or regress body.

    Raises:
        InvalidRequest: Not of the format, or the signature does not take serialized examples.
        InvalidTensor: The signature takes another number of examples.
        SignatureNotFound: The signature that is asked for does not exist.
    """
    request = parse_json_object(body)
    signature = choose_signature(signatures, signature_name(request))
    taken = examples_input(signature)
    examples = request.get("examples")
    if not isinstance(examples, list) or not examples:
        raise InvalidRequest("'examples' is not a list with at least one object.", remedy='Send {"examples": [{…}]}.')
    context = encode_example(request["context"]) if request.get("context") else b""
    rows = with_context(context, [encode_example(example) for example in examples])
    check_tensor(taken.name, "string", rows.shape, taken)
    return ExamplesCall(signature, (Tensor(taken.name, "string", rows.shape, pack_strings(rows)),))


def with_context(context: bytes, examples: Sequence[bytes]) -> np.ndarray:
    """Serialized examples with the context's features before their own: one message after another is their merger.

    Raises:
        TooLarge: They would become more than 64 MiB, which a long context makes of many short examples.
    """
    size = len(context) * len(examples) + sum(map(len, examples))
    if size > _MAX_BYTES:
        raise TooLarge(
            f"With the context in each, the examples have {size} bytes; {_MAX_BYTES} are taken.",
            remedy="Send fewer examples at once.",
            limit_bytes=_MAX_BYTES,
        )
    rows = np.empty(len(examples), dtype=object)
    rows[:] = [context + example for example in examples]
    return rows


def examples_input(signature: Signature) -> TensorSpec:
    """The input that takes serialized examples.

    Raises:
        InvalidRequest: The signature has none, or others as well.
    """
    inputs = list(signature.inputs.values())
    if len(inputs) != 1 or inputs[0].dtype != "string":
        raise InvalidRequest(
            f"Signature {signature.name!r} takes {[str(spec) for spec in inputs]}, not serialized examples.",
            remedy=_PREDICT_REMEDY,
        )
    return inputs[0]


def encode_example(features: Any) -> bytes:
    """Serialize one feature object as ``tf.Example``.

    Raises:
        InvalidRequest: Not an object, or a feature has values of mixed or unknown kinds.
    """
    if not isinstance(features, dict):
        raise InvalidRequest("An example is not an object.", remedy='Send examples like {"age": 3}.')
    entries = (_field(1, name.encode()) + _field(2, _feature(name, value)) for name, value in features.items())
    return _field(1, b"".join(_field(1, entry) for entry in entries))


def _feature(name: str, value: Any) -> bytes:
    values = value if isinstance(value, list) else [value]
    kinds = set(map(type, values))
    if not kinds:
        return b""
    if kinds <= {int, bool}:
        return _field(_INT64_LIST, _field(1, b"".join(_varint(_int64(name, item)) for item in values)))
    if kinds <= {int, float}:
        floats = pack_elements(name, "float32", (len(values),), [float(item) for item in values])
        return _field(_FLOAT_LIST, _field(1, bytes(floats.data)))
    if kinds <= {str, dict}:
        return _field(_BYTES_LIST, b"".join(_field(1, _bytes(name, item)) for item in values))
    raise InvalidRequest(
        f"Feature {name[:80]!r} does not hold values of one kind.", remedy="Send numbers, or text, or b64 objects."
    )


def _int64(name: str, value: int) -> int:
    if not -(1 << 63) <= value < 1 << 63:
        raise InvalidRequest(f"Feature {name[:80]!r} has a value that does not fit into int64.")
    return value & 0xFFFF_FFFF_FFFF_FFFF


def _bytes(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    try:
        if is_base64(value):
            return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError):
        pass
    raise InvalidRequest(f"Feature {name[:80]!r} has an object that is not {{'b64': base64 text}}.")


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append((value & 0x7F) | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _field(number: int, data: bytes) -> bytes:
    """One length-delimited protobuf field."""
    return struct.pack("B", number << 3 | 2) + _varint(len(data)) + data


def encode_classes(tensors: Sequence[Tensor], signature: Signature) -> bytes:
    """Write the answer to classify: for each example a list of ``[label, score]``.

    Raises:
        InvalidRequest: See :func:`classes_of`.
    """
    rows = classes_of(tensors, signature)
    return write_json({"results": [[[label, writable(score)] for label, score in row] for row in rows]})


def classes_of(tensors: Sequence[Tensor], signature: Signature) -> list[list[tuple[str, Any]]]:
    """What a signature that classifies gave: for each example its labels (empty where it has none) with their scores.

    Raises:
        InvalidRequest: The signature has neither ``classes`` nor ``scores``.
    """
    by_name = {tensor.name: tensor for tensor in tensors}
    classes, scores = by_name.get("classes"), by_name.get("scores")
    if classes is None and scores is None:
        raise InvalidRequest(
            f"Signature {signature.name!r} gives {sorted(by_name)}, neither 'classes' nor 'scores'.",
            remedy=_PREDICT_REMEDY,
        )
    labels = None if classes is None else _matrix(classes)
    numbers = None if scores is None else _matrix(scores)
    if labels is not None and numbers is not None and labels.shape != numbers.shape:
        raise InvalidRequest(
            f"'classes' has shape {list(labels.shape)} and 'scores' {list(numbers.shape)}; they do not pair up.",
            remedy=_PREDICT_REMEDY,
        )
    rows, columns = next(array.shape for array in (labels, numbers) if array is not None)
    return [[(_label(labels, row, at), _score(numbers, row, at)) for at in range(columns)] for row in range(rows)]


def _matrix(tensor: Tensor) -> np.ndarray:
    array = to_array(tensor)
    return array.reshape(array.shape[0] if array.ndim else 1, -1)


def _label(labels: np.ndarray | None, row: int, at: int) -> str:
    return "" if labels is None else labels[row, at].decode("utf-8", "replace")


def _score(numbers: np.ndarray | None, row: int, at: int) -> Any:
    return 0.0 if numbers is None else numbers[row, at]


def encode_values(tensors: Sequence[Tensor], signature: Signature) -> bytes:
    """Write the answer to regress: one number for each example.

    Raises:
        InvalidRequest: See :func:`values_of`.
    """
    return write_json({"results": writable(values_of(tensors, signature))})


def values_of(tensors: Sequence[Tensor], signature: Signature) -> np.ndarray:
    """What a signature that regresses gave: one number for each example.

    Raises:
        InvalidRequest: The signature does not give one number for each example.
    """
    chosen = next((tensor for tensor in tensors if tensor.name == "outputs" or len(tensors) == 1), None)
    if chosen is None or not chosen.shape or chosen.count != chosen.shape[0] or chosen.dtype == "string":
        given = [str(spec) for spec in signature.outputs.values()]
        raise InvalidRequest(
            f"Signature {signature.name!r} gives {given}, not one number for each example.", remedy=_PREDICT_REMEDY
        )
    return to_array(chosen).reshape(-1)
