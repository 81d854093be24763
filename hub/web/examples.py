"""Example inputs: a value for each input of a signature, written as JSON and as Python.

Laws: an example has the dtype and a shape that the signature takes; where the hub has seen the model take an input
(a golden sample), the example has that input's shape, and for strings its very bytes, since no made-up text is a PNG.
"""

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from hub.domain.signatures import Signature
from hub.domain.tensors import TensorSpec, shape_fits
from hub.protocol.frames import Tensor, to_numpy

Fill = str | bytes | bool | int | float
_TEXT = "text"
_MAX_STRING_BYTES = 600
_UNKNOWN_SIDE = 64
_UNKNOWN_LENGTH = 4
_IMAGE_RANK = 4
_INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
_FLOATS = frozenset({"float16", "float32", "float64"})


@dataclass(frozen=True, slots=True)
class Example:
    """A tensor that holds one value everywhere."""

    dtype: str
    shape: tuple[int, ...]
    fill: Fill

    @property
    def elements(self) -> int:
        """How many there are."""
        return math.prod(self.shape)

    def nested(self) -> object:
        """Nested lists, ready for JSON; bytes as TensorFlow Serving takes them (``b64``)."""
        value: object = self._json_fill()
        for size in reversed(self.shape):
            value = [value] * size
        return value

    def expression(self) -> str:
        """Python that builds :meth:`nested`, short however many elements there are."""
        fill = self._json_fill()
        return self._lists(json.dumps(fill, ensure_ascii=False) if isinstance(fill, str | dict) else repr(fill))

    def array(self) -> str:
        """Python that builds the array; strings from lists, because ``np.full`` drops their trailing zero bytes."""
        if self.dtype == "string":
            fill = quoted(self.fill) if isinstance(self.fill, str) else repr(self.fill)
            return f"np.array({self._lists(fill)}, dtype=object)"
        return f"np.full({self.shape}, {self.fill}, {'bool' if self.dtype == 'bool' else f'np.{self.dtype}'})"

    def _lists(self, text: str) -> str:
        for size in reversed(self.shape):
            text = f"[{text}]" if size == 1 else f"[{text}] * {size}"
        return text

    def _json_fill(self) -> object:
        return {"b64": base64.b64encode(self.fill).decode()} if isinstance(self.fill, bytes) else self.fill


def quoted(text: str) -> str:
    """A string literal that Python and JSON both read as ``text``."""
    return json.dumps(text, ensure_ascii=False)


def example_inputs(signature: Signature, samples: Mapping[str, Tensor]) -> dict[str, Example] | None:
    """An example for every input.

    Args:
        signature: What is to be called.
        samples: Inputs it took before, by name; those that do not fit are passed over.

    Returns:
        None where an input has a dtype that JSON cannot carry.
    """
    found = {name: _example(spec, samples.get(name)) for name, spec in signature.inputs.items()}
    complete = {name: example for name, example in found.items() if example is not None}
    return complete if len(complete) == len(found) else None


def needs_samples(signature: Signature) -> bool:
    """Whether a made-up example may well be refused: strings have a form, and unknown sizes have limits."""
    return any(
        spec.dtype == "string" or spec.shape is None or None in spec.shape[1:] for spec in signature.inputs.values()
    )


def _example(spec: TensorSpec, sample: Tensor | None) -> Example | None:
    if sample is not None and (sample.dtype != spec.dtype or not shape_fits(sample.shape, spec.shape)):
        sample = None
    fill = _fill(spec.dtype, sample)
    if fill is None:
        return None
    return Example(spec.dtype, _shape(spec) if sample is None else sample.shape, fill)


def _shape(spec: TensorSpec) -> tuple[int, ...]:
    """One row, small squares for images, four steps for sequences."""
    if spec.shape is None:
        return (1,)
    unknown = _UNKNOWN_SIDE if len(spec.shape) >= _IMAGE_RANK else _UNKNOWN_LENGTH
    return tuple((1 if axis == 0 else unknown) if size is None else size for axis, size in enumerate(spec.shape))


def _fill(dtype: str, sample: Tensor | None) -> Fill | None:
    if dtype == "string":
        return _TEXT if sample is None else _sampled_string(sample)
    if dtype == "bool":
        return False
    if dtype in _INTEGERS:
        return 0
    return 0.5 if dtype in _FLOATS else None


def _sampled_string(sample: Tensor) -> str | bytes:
    elements = to_numpy(sample).ravel()
    data = bytes(elements[0]) if elements.size else b""
    if not data or len(data) > _MAX_STRING_BYTES:
        return _TEXT
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data
    return text if text.isprintable() else data
