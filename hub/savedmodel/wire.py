"""The protobuf wire format, read lazily and in bounded memory.

Why no generated classes: a parser that builds every message needs 57 times the bytes of a file made of empty ones, and
generated classes of TensorFlow's messages clash with TensorFlow's own in one process. Here a message is a
``memoryview``; only what is asked for is decoded.

Laws: only ``Malformed`` is raised; fields of an unexpected wire type are skipped as protobuf skips them; a nested
message that may appear once and appears twice is refused, since readers disagree on what that means.

Source: Protocol Buffers "Encoding". Tags below are written as ``number << 3 | wire type``.
"""

from collections.abc import Iterator

from hub.savedmodel.limits import MAX_FIELDS_PER_MESSAGE

VARINT, FIXED64, BYTES = 0, 1, 2
_GROUPS = (3, 4, 6, 7)
"""Groups, which no writer of these messages uses, and wire types that do not exist."""
_EMPTY = memoryview(b"")
_MAX_VARINT_BITS = 63


class Malformed(ValueError):
    """The bytes are not a well-formed message, or more of it than any real model has."""


def read_varint(data: memoryview | bytes, at: int) -> tuple[int, int]:
    """Read one base-128 integer; return it with the position behind it.

    Raises:
        Malformed: It is cut off, or longer than 64 bits.
    """
    value = shift = 0
    try:
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, at
            shift += 7
            if shift > _MAX_VARINT_BITS:
                raise Malformed("an integer has more than 64 bits")
    except IndexError:
        raise Malformed("a message is cut off inside an integer") from None


def fields(data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Walk the fields of one message.

    Yields:
        Tag (field number and wire type), the integer of a varint or fixed field (else 0), and the bytes of a
        length-delimited one (else empty).

    Raises:
        Malformed: The bytes are not a message.
    """
    at, end = 0, len(data)
    while at < end:
        tag = data[at]
        at += 1
        if tag >= 0x80:
            tag, at = read_varint(data, at - 1)
        wire = tag & 7
        if tag < 8 or wire in _GROUPS:
            raise Malformed("a message has a field that no writer makes")
        if wire == BYTES:
            if at < end and data[at] < 0x80:
                size = data[at]
                at += 1
            else:
                size, at = read_varint(data, at)
            start, at = at, at + size
            if at > end:
                raise Malformed("a message is cut off")
            yield tag, 0, data[start:at]
        elif wire == VARINT:
            value, at = read_varint(data, at)
            yield tag, value, _EMPTY
        else:
            start, at = at, at + (8 if wire == FIXED64 else 4)
            if at > end:
                raise Malformed("a message is cut off")
            yield tag, int.from_bytes(data[start:at], "little"), _EMPTY


def text(data: memoryview) -> str:
    """Decode a string field.

    Raises:
        Malformed: It is not UTF-8.
    """
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        raise Malformed("a text is not UTF-8") from None


def signed(value: int) -> int:
    """The int32 or int64 that a varint stands for."""
    return value - (1 << 64) if value >= 1 << 63 else value


def integers(tag: int, value: int, chunk: memoryview) -> Iterator[int]:
    """The integers of one occurrence of a repeated field, packed or not."""
    if tag & 7 != BYTES:
        yield signed(value)
        return
    at = 0
    while at < len(chunk):
        number, at = read_varint(chunk, at)
        yield signed(number)


def only(data: memoryview, tag: int) -> memoryview | None:
    """The nested message of that tag; None where absent.

    Raises:
        Malformed: It is there twice.
    """
    found = None
    for seen, _, chunk in fields(data):
        if seen == tag:
            if found is not None:
                raise Malformed("a message that may appear once appears twice")
            found = chunk
    return found


def every(data: memoryview, tag: int, limit: int = MAX_FIELDS_PER_MESSAGE) -> Iterator[memoryview]:
    """The chunks of a repeated field.

    Raises:
        Malformed: There are more than ``limit``.
    """
    count = 0
    for seen, _, chunk in fields(data):
        if seen == tag:
            count += 1
            if count > limit:
                raise Malformed(f"a message repeats one field more than {limit:,} times")
            yield chunk


def entry(data: memoryview) -> tuple[str, memoryview]:
    """Key and value of one entry of a map from text to messages or bytes.

    Raises:
        Malformed: One of them is there twice; protobuf would merge two values.
    """
    key: str | None = None
    value: memoryview | None = None
    for tag, _, chunk in fields(data):
        if tag == 0x0A:
            if key is not None:
                raise Malformed("the key of a map's entry appears twice")
            key = text(chunk)
        elif tag == 0x12:
            if value is not None:
                raise Malformed("the value of a map's entry appears twice")
            value = chunk
    return key or "", value if value is not None else _EMPTY
