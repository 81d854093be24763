"""Batches: requests stacked on axis 0 and answers split again.

Laws: ``split(stack(parts))`` gives every part its own rows, in order; one part alone is not copied; padding repeats the
last row, which the model has to like anyway, and never reaches an answer.

Source: TensorFlow Serving batching guide, ``allowed_batch_sizes``.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise

import numpy as np

from hub.domain.errors import ModelFailed
from hub.domain.signatures import Signature
from hub.protocol.frames import Tensor, to_numpy
from hub.runtime.servable import Value

Arrays = Mapping[str, np.ndarray]
MAX_BATCH_BYTES = 64 << 20


def has_rows(signature: Signature) -> bool:
    """Whether every input and output has an unknown first dimension: only then can rows be independent requests."""
    specs = (*signature.inputs.values(), *signature.outputs.values())
    return bool(signature.inputs) and all(spec.shape and spec.shape[0] is None for spec in specs)


def padded_size(rows: int, sizes: Sequence[int]) -> int:
    """The smallest allowed size that holds ``rows``; ``rows`` itself where none does.

    Args:
        rows: At least 1.
        sizes: Allowed sizes, growing.
    """
    return next((size for size in sizes if size >= rows), rows)


def stack(parts: Sequence[Arrays], size: int = 0) -> dict[str, np.ndarray]:
    """Put requests together.

    Args:
        parts: At least one; the same names, types and shapes but for axis 0.
        size: Rows of the result where that is more than there are.

    Returns:
        By name: [rows, …].
    """
    stacked = {}
    for name, first in parts[0].items():
        pieces = [part[name] for part in parts]
        if size:
            missing = size - sum(len(piece) for piece in pieces)
            pieces.append(np.repeat(pieces[-1][-1:], missing, axis=0))
        stacked[name] = first if len(pieces) == 1 else np.concatenate(pieces)
    return stacked


def stack_tensors(requests: Sequence[Sequence[Tensor]]) -> dict[str, np.ndarray]:
    """Put requests together as they came.

    Args:
        requests: At least one; the same names, types and shapes but for axis 0, the bytes checked.

    Returns:
        By name: [rows, …].

    Raises:
        InvalidTensor: Strings are not well-formed.
    """
    if len(requests) == 1:
        return {tensor.name: to_numpy(tensor) for tensor in requests[0]}
    stacked = {}
    for parts in zip(*requests, strict=True):
        first = parts[0]
        if first.dtype == "string":  # each by itself: of one that is not well-formed nothing may reach another
            stacked[first.name] = np.concatenate([to_numpy(part) for part in parts])
        else:
            shape = (sum([part.shape[0] for part in parts]), *first.shape[1:])
            joined = Tensor(first.name, first.dtype, shape, b"".join([part.data for part in parts]))
            stacked[first.name] = to_numpy(joined)
    return stacked


def spans(counts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where each of the parts begins and ends, by their numbers of rows."""
    return pairwise(accumulate(counts, initial=0))


def rows_of(values: Mapping[str, Value], begin: int, end: int) -> dict[str, Value]:
    """Some rows of every value, as views.

    Args:
        values: By name: [rows, …].
        begin: The first row.
        end: The row after the last.
    """
    return {name: value[begin:end] for name, value in values.items()}


def require_rows(values: Mapping[str, Value], rows: int) -> None:
    """Refuse answers that do not have a row for each that was asked.

    Raises:
        ModelFailed: They have more or fewer.
    """
    for name, value in values.items():
        if not value.shape or value.shape[0] != rows:
            raise ModelFailed(f"Output {name!r} of a batch of {rows} has the shape {list(value.shape)}.")
