"""Long lists of numbers in JSON, read without making an object of every number.

A tensor in JSON is one list of numbers, flat or nested, between two keys. It is cut out of the text, the rest is read
as JSON, and the numbers are read straight into an array once the signature has said of which type they are.

Laws: what is read so is what would be read otherwise; where anything is unusual (a value that is no number, lists that
are not rectangular, an integer that is written as a decimal number) nothing is read here, and who asked reads the text
in the usual way, which says what is wrong.

Source: simdjson (Langdale, Lemire 2019), through pysimdjson's buffers.
"""

import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import simdjson

from hub.domain.tensors import BY_NAME
from hub.protocol.codecs.json_text import parse_json, parse_json_object
from hub.protocol.frames import MAX_RANK

_LEAST_BYTES = 2 << 10
_MOST_PIECES = 10_000
_MARK = secrets.token_hex(16)
_NUMBER_TEXT = b"0123456789.+-eE \n\r\t"
_threads = threading.local()
_KINDS: dict[str, tuple[Literal["d", "i", "u"], str]] = {"f": ("d", "<f8"), "i": ("i", "<i8"), "u": ("u", "<u8")}


@dataclass(frozen=True, slots=True)
class Numbers:
    """A list of numbers as text: ``[1, 2]`` or ``[[1], [2]]``."""

    text: bytes

    @property
    def is_flat(self) -> bool:
        """Whether no list is in it."""
        return self.text.find(b"[", 1) < 0

    def shape(self, count: int) -> tuple[int, ...] | None:
        """The dimensions of the lists; None where they are not rectangular. Whether one is empty does not show here.

        Args:
            count: How many numbers there are in all.
        """
        if self.is_flat:
            return (count,)
        found = self.text.translate(None, _NUMBER_TEXT)
        rank = len(found) - len(found.lstrip(b"["))
        if not 0 < rank <= MAX_RANK:
            return None
        # From the innermost lists outwards: those of one level must all have one text, which the whole then repeats.
        count = found.find(b"]") - rank + 1
        text, shape = b"[%s]" % (b"," * (count - 1)), [count]
        for begin in range(rank - 1, 0, -1):
            end = found.find(text + b"]", begin)
            if end < 0:
                return None
            count = (end - begin) // (len(text) + 1) + 1
            text = b"[%s]" % b",".join([text] * count)
            shape.append(count)
        return tuple(reversed(shape)) if text == found else None

    def array(self, dtype: str) -> np.ndarray | None:
        """The numbers.

        Args:
            dtype: TensorFlow's name of a type; its kind decides how they are read.

        Returns:
            [n] float64, int64 or uint64; None where they are not all numbers of that kind.
        """
        known = BY_NAME.get(dtype)
        kind = _KINDS.get("f" if dtype == "bfloat16" else np.dtype(known.numpy).kind if known and known.numpy else "")
        if kind is None:
            return None
        try:
            read = _parser().parse(self.text)
            return np.frombuffer(read.as_buffer(of_type=kind[0]), kind[1]) if isinstance(read, simdjson.Array) else None
        except (ValueError, TypeError, RuntimeError, OverflowError):
            return None

    def value(self) -> Any:
        """The same as nested lists.

        Raises:
            InvalidRequest: It is not JSON.
        """
        return parse_json(self.text)


def parse_object_with_numbers(body: bytes | memoryview) -> dict[str, Any]:
    """Read a JSON object; its long lists of numbers become :class:`Numbers`.

    Raises:
        InvalidRequest: It is not JSON, or not an object.
    """
    text = bytes(body)
    cut = _cut(text) if len(text) >= _LEAST_BYTES and b"\\" not in text else None
    if cut is None:
        return parse_json_object(text)
    rest, lists = cut
    found = _restored(parse_json_object(rest), lists)
    assert isinstance(found, dict)
    return found


def _cut(text: bytes) -> tuple[bytes, list[Numbers]] | None:
    """The text with marks in the places of its long lists of numbers, and those; None where there are none."""
    kept: list[bytes] = []
    lists: list[Numbers] = []
    done = 0
    for begin, end in _between_strings(text):
        found = _find(text, begin, end) if end - begin >= _LEAST_BYTES else None
        if found is not None:
            first, last, numbers = found
            kept += (text[done:first], b'{"%s":%d}' % (_MARK.encode(), len(lists)))
            lists.append(numbers)
            done = last
    return (b"".join([*kept, text[done:]]), lists) if lists else None


def _between_strings(text: bytes) -> Iterator[tuple[int, int]]:
    """Where what stands between strings begins and ends, of a text without escapes; at most so much as is worth it."""
    begin = 0
    for _ in range(_MOST_PIECES):
        end = text.find(b'"', begin)
        if end < 0:
            yield begin, len(text)
            return
        yield begin, end
        begin = text.find(b'"', end + 1) + 1
        if not begin:
            return


def _find(text: bytes, begin: int, end: int) -> tuple[int, int, Numbers] | None:
    """A long list of numbers that is a key's value: where it begins and ends, and itself."""
    first = text.find(b"[", begin, end)
    if first < 0 or text[begin:first].strip() != b":":
        return None
    braces = [at for brace in (b"{", b"}") if (at := text.find(brace, first, end)) >= 0]
    last = text.rfind(b"]", first, min(braces, default=end)) + 1
    if last - first < _LEAST_BYTES:
        return None
    numbers = Numbers(text[first:last])
    # As many lists must end as begin; two values in a row are no JSON, which their reader will find.
    if numbers.is_flat:
        is_whole = text.find(b"]", first, last) == last - 1
    else:
        chars = np.frombuffer(numbers.text, np.uint8)  # bytes.count looks at one after the other
        is_whole = np.count_nonzero(chars == ord("[")) == np.count_nonzero(chars == ord("]"))
    return (first, last, numbers) if is_whole else None


def _parser() -> simdjson.Parser:
    """This thread's parser, whose memory is used again."""
    if not hasattr(_threads, "parser"):
        _threads.parser = simdjson.Parser()
    parser: simdjson.Parser = _threads.parser
    return parser


def _restored(value: Any, lists: list[Numbers]) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and _MARK in value:
            return lists[value[_MARK]]
        return {key: _restored(item, lists) for key, item in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_restored(item, lists) for item in value]
    return value
