"""Answers: outputs as tensors that can be sent, within what one answer may have, and the frames that they go in.

Law: an answer that is too large is refused for what its outputs say of themselves, before they are copied or encoded.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import structlog
import tensorflow as tf

from hub.domain.errors import HubError, OutputTooLarge
from hub.protocol.frames import Buffer, Tensor, encode_frame, from_numpy
from hub.protocol.problems import to_problem
from hub.runtime.askers import id_of
from hub.runtime.batches import rows_of
from hub.runtime.failures import model_failed
from hub.runtime.limits import AnswerLimits
from hub.runtime.servable import Value, as_array

_log = structlog.get_logger()
_LENGTH_BYTES = 4  # before each element of a string tensor
_PLAIN = "biufc"  # kinds of types whose elements take the same bytes each


def as_tensors(
    values: Mapping[str, Value], limits: AnswerLimits, prefix: str = "", before: Sequence[Tensor] = ()
) -> list[Tensor]:
    """Outputs as tensors.

    Args:
        values: The outputs by name.
        limits: What all of the answer may have.
        prefix: What the tensors' names begin with.
        before: What the answer has already.

    Raises:
        OutputTooLarge: The answer would have more.
        ModelFailed: An output is no dense tensor.
    """
    elements = sum(tensor.count for tensor in before)
    size = sum(len(tensor.data) for tensor in before)
    arrays = {}
    for name, value in values.items():
        count, each_bytes = _announced(value)
        elements, size = elements + count, size + count * each_bytes
        _require(elements, limits.elements, "elements", name)
        _require(size, limits.size_bytes, "bytes", name)
        array = arrays[name] = as_array(value)
        if array.dtype.kind == "O":
            size += sum(map(len, array.flat))
            _require(size, limits.size_bytes, "bytes", name)
    return [from_numpy(prefix + name, array) for name, array in arrays.items()]


def rows_as_tensors(
    values: Mapping[str, Value], places: Sequence[tuple[int, int]], limits: AnswerLimits
) -> list[list[Tensor]]:
    """Some rows of the outputs of a batch as tensors, for each of those who asked; see `as_tensors`.

    Args:
        values: By name: [rows, …], as many rows as ``places`` have together.
        places: The first row of each, and the row after its last.
        limits: What the answer to each may have.
    """
    arrays = {name: as_array(value) for name, value in values.items()}
    most = max([end - begin for begin, end in places])
    size = sum([array[:1].nbytes for array in arrays.values()]) * most
    elements = sum([array[:1].size for array in arrays.values()]) * most
    is_plain = all(array.dtype.kind in _PLAIN for array in arrays.values())
    if not is_plain or size > limits.size_bytes or elements > limits.elements:
        return [as_tensors(rows_of(arrays, begin, end), limits) for begin, end in places]
    answers: list[list[Tensor]] = [[] for _ in places]
    for name, array in arrays.items():
        whole = from_numpy(name, array)
        rest, row_bytes = whole.shape[1:], array[:1].nbytes
        for answer, (begin, end) in zip(answers, places, strict=True):
            data = whole.data[begin * row_bytes : end * row_bytes]
            answer.append(Tensor(name, whole.dtype, (end - begin, *rest), data))
    return answers


def _announced(value: Value) -> tuple[int, int]:
    """Elements, and bytes of each as far as they can be told: of a text only its length's."""
    if isinstance(value, bytes | str):
        return 1, _LENGTH_BYTES
    dtype = getattr(value, "dtype", None)
    if isinstance(dtype, tf.DType):
        return math.prod(value.shape), dtype.size if dtype != tf.string else _LENGTH_BYTES
    if isinstance(value, np.ndarray | np.generic):
        return value.size, value.itemsize if value.dtype.kind != "O" else _LENGTH_BYTES
    return 0, 0  # no dense tensor: that is refused when it is made an array


def _require(has: int, may: int, what: str, name: str) -> None:
    if has > may:
        raise OutputTooLarge(
            f"With output {name!r} the answer has {has:,} {what}, it may have {may:,}.",
            remedy="Send less at once, or ask who runs the hub to allow more: HUB_ANSWER_MAX_BYTES, "
            "HUB_ANSWER_MAX_ELEMENTS.",
            limit=may,
        )


def encoded(
    number: int, answer: Sequence[Tensor] | Exception, facts: Mapping[str, Any], signature: str
) -> list[Buffer]:
    """The frame that answers a request: tensors, or what went wrong with the signature that was called."""
    try:
        if not isinstance(answer, Exception):
            return encode_frame({}, answer, number=id_of(number), facts=facts)
    except HubError as error:
        answer = error
    _log.info("request.failed", signature=signature, error=f"{type(answer).__name__}: {answer}"[:2000])
    return encode_frame({"problem": to_problem(model_failed(answer, signature))}, number=id_of(number))
