"""Frames: how tensors travel between a hub and its workers, over any byte stream.

One frame is an 8-byte length of all that follows, an 8-byte number, the 4-byte lengths of the header and of the facts
(all big-endian), the header (a JSON object), the facts (another one, or nothing), and the raw bytes of the tensors that
the header's ``tensors`` list announces, in order. The bytes of a tensor are the Open Inference Protocol's binary
representation: little-endian, row-major; each element of a string tensor is a 4-byte little-endian length and its
bytes.

What differs from one request to the next is the number, and in the facts: whoever asks the same again sends the same
header, byte for byte, and one that was read before is known.

Laws: ``decode_frame(b"".join(encode_frame(h, t))[8:])`` gives ``h`` and ``t`` back; decoding copies no tensor bytes; a
malformed frame is an ``InvalidTensor``, one beyond the limit a ``TooLarge``, never another error.

Source: Open Inference Protocol v2, "Binary Tensor Data Extension".
"""

import functools
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from hub.domain.errors import InvalidTensor, TooLarge
from hub.domain.tensors import BY_NAME

MAX_FRAME_BYTES = 256 << 20
MAX_RANK = 32
_LENGTH = struct.Struct(">Q")
_LEAD = struct.Struct(">QII")
_ELEMENT_LENGTH = struct.Struct("<I")
_PLACES = "places"
_MAX_KNOWN = 1_024
_MAX_KNOWN_BYTES = 4_096
Buffer = bytes | bytearray | memoryview


@dataclass(slots=True)  # not frozen: that takes three times as long to make
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


@dataclass(slots=True)  # not frozen: that takes three times as long to make
class Frame:
    """A decoded frame.

    Attributes:
        header: What it says; shared with other frames, so nobody changes it.
        tensors: What comes with it.
        number: Of the request that it is, or answers; 0 where it is neither.
        facts: What it says beside.
        head: The header's bytes; frames with the same ones differ in their number, facts and tensors' bytes alone.
    """

    header: Mapping[str, Any]
    tensors: tuple[Tensor, ...] = ()
    number: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    head: bytes = b""


@dataclass(frozen=True, slots=True)
class _Head:
    """A header that was read: its bytes, what it says, and of each tensor the name, type, shape and bytes."""

    data: bytes
    says: Mapping[str, Any]
    tensors: tuple[tuple[str, str, tuple[int, ...], int], ...]


_known: dict[bytes, _Head] = {}


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
    check_bytes(tensor)
    is_text = tensor.dtype == "string"
    flat = _unpacked(tensor) if is_text else np.frombuffer(tensor.data, dtype=numpy_dtype(tensor.dtype))
    try:
        return flat.reshape(tensor.shape)
    except ValueError as error:  # without elements its other dimensions may be larger than those of any array
        detail = f"Tensor {tensor.name!r} has the shape {list(tensor.shape)}, which no array has."
        raise InvalidTensor(detail, tensor=tensor.name) from error


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


def check_bytes(tensor: Tensor) -> None:
    """Refuse what has not the bytes that its type and shape take; of strings only ``to_numpy`` can tell.

    Raises:
        InvalidTensor: It has more or fewer, or a type that no tensor has.
    """
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
    header: Mapping[str, Any],
    tensors: Sequence[Tensor] = (),
    *,
    number: int = 0,
    facts: Mapping[str, Any] | None = None,
    places: Sequence[int] | None = None,
    limit: int = MAX_FRAME_BYTES,
) -> list[Buffer]:
    """The buffers of one frame, for ``writelines``; tensor bytes are not copied.

    Args:
        header: What the frame says, most often the same.
        tensors: What comes with it.
        number: Of the request; 0 where there is none.
        facts: What else it says, which is hardly ever the same.
        places: Where in the memory that the reader sees each of the tensors begins, if they do not come with it.
        limit: Bytes of the largest frame.

    Raises:
        TooLarge: The frame would be longer than ``limit`` bytes.
    """
    announced = tuple([(tensor.name, tensor.dtype, tensor.shape, len(tensor.data)) for tensor in tensors])
    head = orjson.dumps({**header, "tensors": announced}) if header else _bare_head(announced)
    size = _LEAD.size + (sum([each[3] for each in announced]) if places is None else 0)
    if places is not None:
        facts = {**(facts or {}), _PLACES: places}
    beside = orjson.dumps(facts) if facts else b""
    size += len(head) + len(beside)
    if size > limit:
        raise TooLarge(
            f"{size} bytes of tensors are more than the {limit} that fit into one message.", limit_bytes=limit
        )
    lead = _LENGTH.pack(size) + _LEAD.pack(number, len(head), len(beside)) + head + beside
    return [lead] if places is not None else [lead, *[tensor.data for tensor in tensors]]


@functools.lru_cache(_MAX_KNOWN)
def _bare_head(announced: tuple[tuple[str, str, tuple[int, ...], int], ...]) -> bytes:
    """The header of a frame that says nothing beside its tensors: of answers, which are mostly alike."""
    return orjson.dumps({"tensors": announced})


def decode_frame(body: Buffer, memory: Buffer = b"") -> Frame:
    """Read what follows the 8-byte length.

    Args:
        body: What came.
        memory: Where tensors are that did not come with it.

    Raises:
        InvalidTensor: The bytes are not a frame.
    """
    view = memoryview(body).toreadonly()
    if len(view) < _LEAD.size:
        raise InvalidTensor("The frame ends before its header.")
    number, head_size, facts_size = _LEAD.unpack_from(view)
    facts_at = _LEAD.size + head_size
    at = facts_at + facts_size
    if at > len(view):
        raise InvalidTensor("The frame ends within its header.")
    head = _read_head(bytes(view[_LEAD.size : facts_at]))
    facts = _json_object(view[facts_at : facts_at + facts_size], "facts") if facts_size else {}
    tensors: list[Tensor] = []
    if _PLACES in facts:
        _require_end(view, at)
        return Frame(head.says, _placed(head, facts.pop(_PLACES), memory), number, facts, head.data)
    for name, dtype, shape, size in head.tensors:
        end = at + size
        if end > len(view):
            raise InvalidTensor(f"The frame ends within tensor {name!r}.", tensor=name)
        tensors.append(Tensor(name, dtype, shape, view[at:end]))
        at = end
    _require_end(view, at)
    return Frame(head.says, tuple(tensors), number, facts, head.data)


def _require_end(view: memoryview, at: int) -> None:
    if at != len(view):
        raise InvalidTensor(f"{len(view) - at} bytes follow the last tensor of the frame.")


def _placed(head: _Head, places: Any, memory: Buffer) -> tuple[Tensor, ...]:
    if not isinstance(places, list) or len(places) != len(head.tensors):
        raise InvalidTensor("The frame does not say of each tensor where it is.")
    tensors, view = [], memoryview(memory)
    for (name, dtype, shape, size), at in zip(head.tensors, places, strict=True):
        if not isinstance(at, int) or not 0 <= at <= len(view) - size:
            raise InvalidTensor(f"Tensor {name!r} is not in the memory that both see.", tensor=name)
        tensors.append(Tensor(name, dtype, shape, view[at : at + size]))
    return tuple(tensors)


def _read_head(data: bytes) -> _Head:
    head = _known.get(data)
    if head is None:
        says = _json_object(data, "header")
        announced = says.pop("tensors", [])
        if not isinstance(announced, list):
            raise InvalidTensor("The frame's header announces no list of tensors.")
        head = _Head(data, says, tuple(map(_announced, announced)))
        if len(data) <= _MAX_KNOWN_BYTES:
            if len(_known) >= _MAX_KNOWN:
                _known.clear()
            _known[data] = head
    return head


def _json_object(data: Buffer, what: str) -> dict[str, Any]:
    try:
        says = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidTensor(f"The frame's {what} is not JSON: {error}.") from error
    if not isinstance(says, dict):
        raise InvalidTensor(f"The frame's {what} is not a JSON object.")
    return says


def _announced(entry: Any) -> tuple[str, str, tuple[int, ...], int]:
    match entry:
        case [str(name), str(dtype), [*shape], int(size)] if (
            size >= 0 and len(shape) <= MAX_RANK and all(isinstance(dim, int) and dim >= 0 for dim in shape)
        ):
            return name, dtype, tuple(shape), size
    raise InvalidTensor(f"{str(entry)[:80]} does not announce a tensor: a name, a type, a shape and a size.")
