"""Frames: how tensors travel between a hub and its workers, over any byte stream.

One frame is an 8-byte big-endian length of all that follows, a 4-byte big-endian length of the header, the header
(a JSON object), and the raw bytes of the tensors that the header's ``tensors`` list announces, in order. The bytes of
a tensor are the Open Inference Protocol's binary representation: little-endian, row-major; each element of a string
tensor is a 4-byte little-endian length and its bytes.

Laws: ``decode_frame(b"".join(encode_frame(h, t))[8:])`` gives ``h`` and ``t`` back; decoding copies no tensor bytes; a
malformed frame is an ``InvalidTensor``, one beyond the limit a ``TooLarge``, never another error.

Source: Open Inference Protocol v2, "Binary Tensor Data Extension".
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from hub.domain.errors import InvalidTensor, TooLarge
from hub.domain.tensors import BY_NAME

MAX_FRAME_BYTES = 256 << 20
MAX_RANK = 32
_LENGTH = struct.Struct(">Q")
_HEADER_LENGTH = struct.Struct(">I")
_ELEMENT_LENGTH = struct.Struct("<I")
Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named tensor as bytes, not yet (or no longer) an array.

    Attributes:
        name: The signature's key.
        dtype: TensorFlow's name of the element type.
        shape: Concrete dimensions.
        data: The Open Inference Protocol's binary representation.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: Buffer

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame: what the header says, and the tensors."""

    header: dict[str, Any]
    tensors: tuple[Tensor, ...] = ()


def pack_strings(array: np.ndarray) -> bytes:
    """The binary representation of a string tensor.

    Args:
        array: Any shape, elements ``bytes`` or ``str`` (encoded as UTF-8).
    """
    parts: list[bytes] = []
    for element in array.ravel().tolist():
        data = element.encode() if isinstance(element, str) else bytes(element)
        parts += (_ELEMENT_LENGTH.pack(len(data)), data)
    return b"".join(parts)


def unpack_strings(data: Buffer, count: int) -> np.ndarray:
    """The ``count`` elements of a packed string tensor.

    Returns:
        [count] object, each element ``bytes``.

    Raises:
        InvalidTensor: The bytes hold fewer or more elements.
    """
    if count * _ELEMENT_LENGTH.size > len(data):
        raise InvalidTensor(f"{len(data)} bytes cannot hold {count} strings.")
    view, at = memoryview(data), 0
    elements = np.empty(count, dtype=object)
    for index in range(count):
        if at + _ELEMENT_LENGTH.size > len(view):
            raise InvalidTensor(f"The bytes end before string {index} of {count}.")
        (size,) = _ELEMENT_LENGTH.unpack_from(view, at)
        at += _ELEMENT_LENGTH.size
        if at + size > len(view):
            raise InvalidTensor(f"String {index} of {count} announces {size} bytes, {len(view) - at} are left.")
        elements[index] = bytes(view[at : at + size])
        at += size
    if at != len(view):
        raise InvalidTensor(f"{len(view) - at} bytes are left after the last of {count} strings.")
    return elements


def to_numpy(tensor: Tensor) -> np.ndarray:
    """The tensor as an array that shares its bytes (strings are copied into ``bytes`` objects).

    Raises:
        InvalidTensor: The bytes do not make that dtype and shape, or NumPy has no such type here.
    """
    _check_bytes(tensor)
    if tensor.dtype == "string":
        return _unpacked(tensor).reshape(tensor.shape)
    return np.frombuffer(tensor.data, dtype=numpy_dtype(tensor.dtype)).reshape(tensor.shape)


def _unpacked(tensor: Tensor) -> np.ndarray:
    try:
        return unpack_strings(tensor.data, tensor.count)
    except InvalidTensor as error:
        raise InvalidTensor(f"Tensor {tensor.name!r} cannot be read: {error.detail}", tensor=tensor.name) from error


def from_numpy(name: str, array: np.ndarray) -> Tensor:
    """An array as a tensor; ``str`` and ``bytes`` elements become a string tensor.

    Raises:
        InvalidTensor: The array has an element type that no tensor has.
    """
    if array.dtype.kind in "OSU":
        return Tensor(name, "string", array.shape, pack_strings(array))
    known = BY_NAME.get(array.dtype.name)
    if known is None or known.size_bytes == 0:
        raise InvalidTensor(f"Array {name!r} has type {array.dtype}, which no tensor has.", tensor=name)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    flat = np.ascontiguousarray(array).reshape(-1)
    return Tensor(name, known.name, array.shape, flat.view(np.uint8).data if flat.size else b"")


def numpy_dtype(name: str) -> np.dtype:
    """NumPy's type for a TensorFlow type.

    Types beyond NumPy's own (``bfloat16``, ``float8_…``) exist only where ``ml_dtypes`` is loaded, as TensorFlow does.

    Raises:
        InvalidTensor: There is none in this process.
    """
    known = BY_NAME.get(name)
    try:
        return np.dtype((known.numpy or known.name) if known else name)
    except TypeError as error:
        raise InvalidTensor(f"Tensors of type {name!r} cannot be read here.", got=name) from error


def _check_bytes(tensor: Tensor) -> None:
    known = BY_NAME.get(tensor.dtype)
    if known is None or (known.size_bytes == 0 and known.name != "string"):
        raise InvalidTensor(
            f"Tensor {tensor.name!r} has type {tensor.dtype!r}, which cannot be sent.", tensor=tensor.name
        )
    if known.size_bytes and len(tensor.data) != tensor.count * known.size_bytes:
        raise InvalidTensor(
            f"Tensor {tensor.name!r} of type {tensor.dtype} and shape {list(tensor.shape)} takes "
            f"{tensor.count * known.size_bytes} bytes, {len(tensor.data)} came.",
            tensor=tensor.name,
        )


def encode_frame(
    header: Mapping[str, Any], tensors: Sequence[Tensor] = (), *, limit: int = MAX_FRAME_BYTES
) -> list[Buffer]:
    """The buffers of one frame, for ``writelines``; tensor bytes are not copied.

    Raises:
        TooLarge: The frame would be longer than ``limit`` bytes.
    """
    announced = [[tensor.name, tensor.dtype, tensor.shape, len(tensor.data)] for tensor in tensors]
    head = orjson.dumps({**header, "tensors": announced})
    size = _HEADER_LENGTH.size + len(head) + sum(len(tensor.data) for tensor in tensors)
    if size > limit:
        raise TooLarge(
            f"{size} bytes of tensors are more than the {limit} that fit into one message.", limit_bytes=limit
        )
    lead = _LENGTH.pack(size) + _HEADER_LENGTH.pack(len(head)) + head
    return [lead, *(tensor.data for tensor in tensors)]


def decode_frame(body: Buffer) -> Frame:
    """Read what follows the 8-byte length.

    Raises:
        InvalidTensor: The bytes are not a frame.
    """
    view = memoryview(body).toreadonly()
    header, at = _decode_header(view)
    tensors: list[Tensor] = []
    announced = header.pop("tensors", [])
    if not isinstance(announced, list):
        raise InvalidTensor("The frame's header announces no list of tensors.")
    for entry in announced:
        name, dtype, shape, size = _announced(entry)
        if at + size > len(view):
            raise InvalidTensor(f"The frame ends within tensor {name!r}.", tensor=name)
        tensors.append(Tensor(name, dtype, shape, view[at : at + size]))
        at += size
    if at != len(view):
        raise InvalidTensor(f"{len(view) - at} bytes follow the last tensor of the frame.")
    return Frame(header, tuple(tensors))


def _decode_header(view: memoryview) -> tuple[dict[str, Any], int]:
    if len(view) < _HEADER_LENGTH.size:
        raise InvalidTensor("The frame ends before its header.")
    (size,) = _HEADER_LENGTH.unpack_from(view)
    end = _HEADER_LENGTH.size + size
    if end > len(view):
        raise InvalidTensor("The frame ends within its header.")
    try:
        header = orjson.loads(view[_HEADER_LENGTH.size : end])
    except orjson.JSONDecodeError as error:
        raise InvalidTensor(f"The frame's header is not JSON: {error}.") from error
    if not isinstance(header, dict):
        raise InvalidTensor("The frame's header is not a JSON object.")
    return header, end


def _announced(entry: Any) -> tuple[str, str, tuple[int, ...], int]:
    match entry:
        case [str(name), str(dtype), [*shape], int(size)] if (
            size >= 0 and len(shape) <= MAX_RANK and all(isinstance(dim, int) and dim >= 0 for dim in shape)
        ):
            return name, dtype, tuple(shape), size
    raise InvalidTensor(f"{str(entry)[:80]} does not announce a tensor: a name, a type, a shape and a size.")
