"""JSON values to tensors and back, by the dtype that the signature gives.

Laws: nothing is guessed or rounded to an integer: a string is not a number, a boolean is not a number, 1.0 is not an
integer; a list that is not rectangular is refused; every refusal names the tensor and says what was expected.

Lists are walked level by level with ``map`` and ``chain``, which keeps the checks at the speed of C: an image of
150,000 floats is one million bytes of JSON and may not cost a Python loop.
"""

import base64
import binascii
import math
from itertools import chain
from typing import Any

import numpy as np

from hub.domain.errors import InvalidTensor
from hub.domain.tensors import BY_NAME, TensorSpec, check_tensor
from hub.protocol.codecs.json_text import writable
from hub.protocol.codecs.numbers import Numbers
from hub.protocol.frames import MAX_RANK, Buffer, Tensor, pack_strings, to_numpy

BYTES_SUFFIX = "_bytes"
_BASE64_KEY = "b64"
_BFLOAT16 = "bfloat16"
_NO_JSON = (None, "<c8", "<c16")


def is_base64(value: Any) -> bool:
    """Whether ``value`` is ``{"b64": text}``, the form in which bytes travel."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(_BASE64_KEY), str)


def read_tensor(value: Any, spec: TensorSpec) -> Tensor:
    """Make a tensor of nested lists (or of one bare value) and check it against ``spec``.

    Raises:
        InvalidTensor: Not rectangular, elements of another type, out of range, or another shape.
    """
    shape, elements = flatten_for(spec, value)
    check_tensor(spec.name, spec.dtype, shape, spec)
    return pack_elements(spec.name, spec.dtype, shape, elements)


def flatten_for(spec: TensorSpec, value: Any) -> tuple[tuple[int, ...], list[Any] | np.ndarray]:
    """Shape and elements of nested lists, of numbers that were cut out, or of a list of such.

    Raises:
        InvalidTensor: See :func:`flatten`.
        InvalidRequest: What was cut out is not JSON.
    """
    rows = value if isinstance(value, list) else [value]
    if not rows or not all(isinstance(row, Numbers) for row in rows):
        return flatten(spec.name, _plain(value))
    arrays = [array for row in rows if (array := row.array(spec.dtype)) is not None]
    shapes = {row.shape(len(array)) for row, array in zip(rows, arrays, strict=False)}
    shape = shapes.pop() if len(shapes) == 1 and len(arrays) == len(rows) else None
    if shape is None or any(len(array) != math.prod(shape) for array in arrays):
        return flatten(spec.name, _plain(value))
    return ((len(rows), *shape), np.concatenate(arrays)) if isinstance(value, list) else (shape, arrays[0])


def _plain(value: Any) -> Any:
    if isinstance(value, Numbers):
        return value.value()
    if isinstance(value, list) and Numbers in set(map(type, value)):
        return [_plain(item) for item in value]
    return value


def flatten(name: str, value: Any) -> tuple[tuple[int, ...], list[Any]]:
    """Shape and elements, row-major, of nested lists.

    Raises:
        InvalidTensor: The lists are not rectangular, or nested deeper than 32.
    """
    shape: list[int] = []
    level: list[Any] = [value]
    while level and list in set(map(type, level)):
        if set(map(type, level)) != {list} or len(sizes := set(map(len, level))) != 1:
            raise InvalidTensor(
                f"Input {name!r} is ragged: its lists at depth {len(shape)} differ in length or are mixed with values.",
                remedy="Send a rectangular list.",
                tensor=name,
            )
        if len(shape) == MAX_RANK:
            raise InvalidTensor(f"Input {name!r} is nested deeper than {MAX_RANK} lists.", tensor=name)
        shape.append(sizes.pop())
        level = list(chain.from_iterable(level))
    return tuple(shape), level


def pack_elements(name: str, dtype: str, shape: tuple[int, ...], elements: list[Any] | np.ndarray) -> Tensor:
    """Make a tensor of JSON scalars, or of numbers of the dtype's kind, in row-major order.

    Raises:
        InvalidTensor: An element has another type or does not fit into the dtype, or the dtype has no JSON form.
    """
    if dtype == "string":
        data = pack_strings(_object_array([_to_bytes(name, element) for element in elements]))
        return Tensor(name, dtype, shape, data)
    if isinstance(elements, np.ndarray):
        return Tensor(name, dtype, shape, _pack_numbers(name, dtype, elements))
    kinds = set(map(type, elements))
    allowed = _allowed_types(name, dtype)
    if not kinds <= allowed:
        wrong = next(element for element in elements if type(element) not in allowed)
        raise _wrong_element(name, dtype, wrong)
    return Tensor(name, dtype, shape, _pack_numbers(name, dtype, elements))


def _allowed_types(name: str, dtype: str) -> set[type]:
    numpy_type = BY_NAME[dtype].numpy if dtype in BY_NAME else None
    if dtype == _BFLOAT16:
        return {float, int}
    if numpy_type in _NO_JSON:
        raise InvalidTensor(
            f"Input {name!r} is {dtype}, which has no JSON form.",
            remedy="Send it through another signature or protocol.",
            tensor=name,
            expected=dtype,
        )
    kind = np.dtype(numpy_type).kind
    return {"f": {float, int}, "b": {bool}}.get(kind, {int})


def _pack_numbers(name: str, dtype: str, elements: list[Any] | np.ndarray) -> bytes:
    try:
        if dtype not in (_BFLOAT16, "float16", "float32", "float64"):
            return _integers(elements, np.dtype(BY_NAME[dtype].numpy)).tobytes()
        exact = np.asarray(elements, dtype=np.float64)
    except OverflowError as error:
        raise InvalidTensor(
            f"Input {name!r} has a value that does not fit into {dtype}.", tensor=name, expected=dtype
        ) from error
    with np.errstate(over="ignore"):
        narrow = exact.astype(np.float32 if dtype == _BFLOAT16 else BY_NAME[dtype].numpy)
    if np.isinf(narrow).any() and not np.array_equal(np.isinf(narrow), np.isinf(exact)):
        raise InvalidTensor(f"Input {name!r} has a value that does not fit into {dtype}.", tensor=name, expected=dtype)
    return _float32_to_bfloat16(narrow) if dtype == _BFLOAT16 else narrow.tobytes()


def _integers(elements: list[Any] | np.ndarray, dtype: np.dtype) -> np.ndarray:
    if not isinstance(elements, np.ndarray):
        return np.array(elements, dtype=dtype)
    narrow = elements.astype(dtype)
    if not np.array_equal(narrow, elements):
        raise OverflowError
    return narrow


def _to_bytes(name: str, element: Any) -> bytes:
    if isinstance(element, str):
        return element.encode()
    if not is_base64(element):
        raise _wrong_element(name, "string", element)
    try:
        return base64.b64decode(element[_BASE64_KEY], validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidTensor(f"Input {name!r} has a b64 value that is not base64: {error}.", tensor=name) from error


def _wrong_element(name: str, dtype: str, element: Any) -> InvalidTensor:
    words = {bool: "a boolean", int: "an integer", float: "a decimal number", str: "a string", dict: "an object"}
    got = words.get(type(element), "null")
    return InvalidTensor(
        f"Input {name!r} has {got} ({str(element)[:40]!r}) where the signature takes {dtype}.",
        tensor=name,
        expected=dtype,
        got=got,
    )


def _object_array(items: list[bytes]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def to_array(tensor: Tensor) -> np.ndarray:
    """The tensor as an array that JSON can hold: numbers, booleans, or an object array of bytes.

    Raises:
        InvalidTensor: The dtype has no JSON form.
    """
    if tensor.dtype == _BFLOAT16:
        return _bfloat16_to_float32(tensor.data).reshape(tensor.shape)
    known = BY_NAME.get(tensor.dtype)
    if known is None or known.numpy in _NO_JSON:
        raise InvalidTensor(f"Output {tensor.name!r} is {tensor.dtype}, which has no JSON form.", tensor=tensor.name)
    return to_numpy(tensor)


def texts(array: np.ndarray, *, always_base64: bool) -> np.ndarray:
    """An object array of bytes as text where it is UTF-8, else (or always) as ``{"b64": …}``."""
    converted = np.empty(array.shape, dtype=object)
    flat = [_text_or_base64(item, always_base64=always_base64) for item in array.ravel()]
    converted.ravel()[:] = flat
    return converted


def _text_or_base64(item: bytes, *, always_base64: bool) -> str | dict[str, str]:
    if not always_base64:
        try:
            return item.decode()
        except UnicodeDecodeError:
            pass
    return {_BASE64_KEY: base64.b64encode(item).decode()}


def write_array(tensor: Tensor) -> np.ndarray:
    """An output as an array of JSON values: bytes outputs named ``…_bytes`` travel as base64."""
    array = to_array(tensor)
    if tensor.dtype != "string":
        return array
    return texts(array, always_base64=tensor.name.endswith(BYTES_SUFFIX))


def write_tensor(tensor: Tensor) -> Any:
    """An output as a nested list, ready for :func:`hub.protocol.codecs.json_text.write_json`."""
    return writable(write_array(tensor))


def _float32_to_bfloat16(array: np.ndarray) -> bytes:
    """Round to nearest even, as TensorFlow does; bfloat16 is float32's upper half."""
    bits = array.astype("<f4").view("<u4")
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(array), 0x7FC0, rounded).astype("<u2").tobytes()


def _bfloat16_to_float32(data: Buffer) -> np.ndarray:
    return (np.frombuffer(data, dtype="<u2").astype("<u4") << 16).view("<f4")
