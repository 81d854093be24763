"""JSON as prediction clients write and read it: plain JSON, and the tokens NaN, Infinity and -Infinity.

Laws: bytes that are not JSON are an :class:`InvalidRequest`, never another exception; a float that is not finite is
written as the token that Python's and TensorFlow Serving's parsers read, never as null.
"""

import json
from typing import Any

import numpy as np
import orjson

from hub.domain.errors import InvalidRequest

_TOKENS = (b"NaN", b"Infinity")
_ESCAPE = b"\\u"


def parse_json(body: bytes | memoryview) -> Any:
    """Read JSON.

    Raises:
        InvalidRequest: It is not JSON, not UTF-8, or nested too deep.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        text = bytes(body)
        if not any(token in text for token in _TOKENS):
            raise _not_json(str(error)) from error
    return _parse_with_tokens(text)


def _parse_with_tokens(text: bytes) -> Any:
    try:
        value = json.loads(text.decode())
        if _ESCAPE in text:
            json.dumps(value, ensure_ascii=False).encode()  # refuses halves of surrogate pairs, as orjson does
    except (ValueError, RecursionError) as error:
        raise _not_json(str(error)) from error
    return value


def _not_json(reason: str) -> InvalidRequest:
    return InvalidRequest(f"The body is not JSON: {reason[:200]}.", remedy="Send one JSON object.")


def parse_json_object(body: bytes | memoryview) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InvalidRequest: It is not JSON, or not an object.
    """
    value = parse_json(body)
    if not isinstance(value, dict):
        raise InvalidRequest("The body is not a JSON object.", remedy="Send one JSON object.")
    return value


def write_json(value: Any) -> bytes:
    """Write JSON; arrays in ``value`` have come through :func:`writable`."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def writable(array: Any) -> Any:
    """An array (or a scalar, or one element of an object array) in a form that :func:`write_json` takes.

    float32 keeps its shortest digits; where a value is not finite the whole array is written by the slower way that
    knows the tokens.
    """
    if not isinstance(array, np.ndarray | np.generic):
        return array
    array = np.asarray(array)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return orjson.Fragment(json.dumps(array.tolist()).encode())
    if array.dtype.kind == "O" or array.size == 0:
        return array.tolist()
    return array[()] if array.ndim == 0 else np.ascontiguousarray(array)
