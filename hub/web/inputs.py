"""The inputs of a form that calls a signature: what each is asked as, what it is filled with, and what was sent.

Laws: what a form is filled with is valid as it stands; a field that is left empty means its example; what was sent
stays in its field, right or wrong.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hub.domain.errors import HubError, InvalidRequest, InvalidTensor
from hub.domain.signatures import Signature
from hub.domain.tensors import TensorSpec, shape_fits
from hub.protocol.codecs.json_text import parse_json, write_json
from hub.protocol.codecs.values import write_tensor
from hub.protocol.frames import Tensor, to_numpy
from hub.web.examples import Example, example_inputs

JSON, TEXT = "json.", "text."
_MAX_SHOWN_ELEMENTS = 1_024
_MAX_SIDE = 1_024
_IMAGE_DTYPES = frozenset({"float16", "float32", "float64", "uint8"})
_CHANNELS = (1, 3)


@dataclass(frozen=True, slots=True)
class Image:
    """What a picture is made into: height, width, channels, and the range of its numbers (``1``, ``-1`` or ``255``)."""

    height: int
    width: int
    channels: int
    scale: str
    reason: str


@dataclass(frozen=True, slots=True)
class Field:
    """One input of the form.

    Attributes:
        spec: The input.
        example: A valid value: as JSON, or how to make it where that is long.
        hint: What the example is, where it is too long to be shown.
        json: What stands in the field for JSON.
        text: What stands in the field for text; None where the input cannot be one text.
        image: What a picture is made into; None where the input cannot be one.
    """

    spec: TensorSpec
    example: str | Example
    hint: str
    json: str
    text: str | None
    image: Image | None


def fields_of(signature: Signature, samples: Mapping[str, Tensor]) -> list[Field] | None:
    """The form for a signature, filled with an example.

    Args:
        signature: What is to be called.
        samples: Inputs that it took before, by name.

    Returns:
        None where an input has a dtype that JSON cannot carry.
    """
    examples = example_inputs(signature, samples)
    if examples is None:
        return None
    return [_field(spec, examples[name], samples.get(name)) for name, spec in signature.inputs.items()]


def filled(fields: Sequence[Field], sent: Mapping[str, str]) -> list[Field]:
    """The form as it was sent."""
    return [
        replace(
            field,
            json=sent.get(JSON + field.spec.name, ""),
            text=None if field.text is None else sent.get(TEXT + field.spec.name, ""),
        )
        for field in fields
    ]


def body_of(signature: str, fields: Sequence[Field]) -> bytes:
    """What the fields say, as the body of a predict request in columnar format, on one line.

    Raises:
        InvalidRequest: A field is not JSON.
    """
    values = [f"{json.dumps(field.spec.name, ensure_ascii=False)}: {_value(field)}" for field in fields]
    name = json.dumps(signature, ensure_ascii=False)
    return f'{{"signature_name": {name}, "inputs": {{{", ".join(values)}}}}}'.encode()


def _value(field: Field) -> str:
    text = field.json.strip()
    if text:
        try:
            parse_json(text.encode())
        except (HubError, UnicodeEncodeError) as error:
            reason = getattr(error, "detail", str(error)).removeprefix("The body is not JSON: ")
            raise InvalidRequest(
                f"What is in {field.spec.name!r} is not JSON: {reason}", remedy="Repair it, or use the example."
            ) from error
        return " ".join(text.splitlines())  # a line break cannot be inside a JSON string
    if field.text:
        value: object = field.text
        for _ in field.spec.shape if field.spec.shape is not None else (None,):
            value = [value]
        return json.dumps(value, ensure_ascii=False)
    return field.example if isinstance(field.example, str) else _written(field.example)


def _field(spec: TensorSpec, example: Example, sample: Tensor | None) -> Field:
    if sample is not None and (sample.dtype != spec.dtype or not shape_fits(sample.shape, spec.shape)):
        sample = None
    if _is_one_text(spec):
        value = _written(example)
        is_text = isinstance(example.fill, str)  # else it took strings that were no text
        return Field(spec, value, "", "" if is_text else value, str(example.fill) if is_text else "", None)
    image = _image(spec, example, sample)
    if example.elements > _MAX_SHOWN_ELEMENTS:
        return Field(spec, example, f"{example.fill} everywhere, shape {list(example.shape)}", "", None, image)
    value = _value_of(example, sample)
    return Field(spec, value, "", value, None, image)


def _is_one_text(spec: TensorSpec) -> bool:
    return spec.dtype == "string" and all(size in (None, 1) for size in spec.shape or ())


def _value_of(example: Example, sample: Tensor | None) -> str:
    """The very sample where it can be written, else the example."""
    if sample is not None and sample.count:
        try:
            return write_json(write_tensor(sample)).decode()
        except InvalidTensor:
            pass
    return _written(example)


def _written(example: Example) -> str:
    return json.dumps(example.nested(), ensure_ascii=False, separators=(",", ":"))


def _image(spec: TensorSpec, example: Example, sample: Tensor | None) -> Image | None:
    shape = example.shape
    if len(shape) != 4 or (shape[0] != 1 and spec.shape and spec.shape[0] is not None):
        return None
    is_image = spec.dtype in _IMAGE_DTYPES and shape[3] in _CHANNELS and max(shape[1:3]) <= _MAX_SIDE
    if not is_image or min(shape[1:3]) < 2:
        return None
    scale, reason = _scale(spec, sample)
    return Image(shape[1], shape[2], shape[3], scale, reason)


def _scale(spec: TensorSpec, sample: Tensor | None) -> tuple[str, str]:
    """The range of numbers a picture is made into, and why."""
    if spec.dtype == "uint8":
        return "255", "it takes bytes"
    if sample is None or not sample.count:
        return "1", "a guess: nothing is known of the numbers it takes"
    values = to_numpy(sample)
    low, high = float(np.min(values)), float(np.max(values))
    seen = f"it was checked with numbers from {low:.3g} to {high:.3g}; what it was trained on may differ"
    if high > 2:
        return "255", seen
    return ("-1" if low < 0 else "1"), seen
