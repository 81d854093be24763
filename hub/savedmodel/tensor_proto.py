"""Types, shapes and constants as TensorFlow's protos write them.

Source: ``tensor_shape.proto``, ``types.proto``, ``tensor.proto``.
"""

from math import prod
from typing import NamedTuple

from hub.domain.tensors import BY_NUMBER, Shape
from hub.savedmodel import wire
from hub.savedmodel.limits import MAX_FIELDS_PER_MESSAGE, MAX_RANK, TEXT_BYTES
from hub.savedmodel.wire import Malformed

_REFERENCE_OFFSET = 100
_MAX_ELEMENTS = 1 << 62


def dtype_name(number: int) -> str:
    """TensorFlow's name of ``DataType`` ``number``; reference types read as what they refer to.

    Raises:
        Malformed: TensorFlow has no such type, or none that a model can be called with.
    """
    plain = number - _REFERENCE_OFFSET if number > _REFERENCE_OFFSET else number
    if plain not in BY_NUMBER:
        raise Malformed(f"{number} is no tensor type the hub knows")
    return BY_NUMBER[plain].name


def read_shape(data: memoryview) -> Shape:
    """Decode a ``TensorShapeProto``: -1 reads as an unknown dimension.

    Raises:
        Malformed: A dimension is below -1, or there are more than TensorFlow allows.
    """
    sizes: list[int | None] = []
    for tag, value, chunk in wire.fields(data):
        if tag == 0x18 and value:
            return None
        if tag != 0x12:
            continue
        size = 0
        for inner, number, _ in wire.fields(chunk):
            if inner == 0x08:
                size = wire.signed(number)
        if size < -1 or len(sizes) >= MAX_RANK:
            raise Malformed("a shape has a negative dimension or too many of them")
        sizes.append(None if size < 0 else size)
    if prod(size or 1 for size in sizes) >= _MAX_ELEMENTS:
        raise Malformed("a shape has more elements than can be counted")
    return tuple(sizes)


class Constant(NamedTuple):
    """A ``TensorProto``: its declared type and shape, the bytes it takes as written, and its strings."""

    dtype: int
    shape: Shape
    stored_bytes: int
    strings: tuple[str, ...]

    @property
    def declared_bytes(self) -> int:
        """What it takes once it is a tensor, without the characters of its texts."""
        known = BY_NUMBER.get(self.dtype)
        width = known.size_bytes if known else 1
        return prod(size or 0 for size in self.shape or ()) * (width or TEXT_BYTES)


def read_constant(data: memoryview) -> Constant:
    """Decode a ``TensorProto`` without its numbers."""
    dtype = 0
    shape: Shape = ()
    strings: list[str] = []
    for tag, value, chunk in wire.fields(data):
        if tag == 0x08:
            dtype = value
        elif tag == 0x12:
            shape = read_shape(chunk)
        elif tag == 0x42 and len(strings) < MAX_FIELDS_PER_MESSAGE:
            strings.append(str(chunk, "utf-8", "replace"))
    return Constant(dtype, shape, len(data), tuple(strings))
