"""What came out of a prediction, for people: figures, the highest classes, a strip of colours, and the raw JSON. Pure.

Law: what is not shown whole says so; values that are not finite are counted, never drawn.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hub.domain.errors import InvalidTensor
from hub.protocol.codecs.json_text import write_json
from hub.protocol.codecs.values import texts, to_array, write_tensor
from hub.protocol.frames import Tensor

TOP = 5
_MAX_CLASSES = 1_000
_MAX_RAW_ELEMENTS = 4_096
_MAX_TEXTS = 20
_CELLS = 96


@dataclass(frozen=True, slots=True)
class Class:
    """One of the highest values of a row: where it stands, and its share of the highest."""

    index: int
    value: float
    width: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One colour of a strip: its place, how strong it is (0 to 1), and whether its value is negative."""

    x: int
    strength: float
    is_negative: bool


@dataclass(frozen=True, slots=True)
class Output:
    """One output.

    Attributes:
        name: Its name.
        dtype: Its type.
        shape: Its shape.
        figures: Name and value of what is known of all its numbers.
        classes: The highest of the first row, where its last axis looks like classes.
        cells: The first row as colours.
        texts: The first strings.
        raw: Its values as JSON, cut where there are many.
        is_cut: Whether ``raw`` or ``texts`` are not all.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    figures: tuple[tuple[str, str], ...] = ()
    classes: tuple[Class, ...] = ()
    cells: tuple[Cell, ...] = ()
    texts: tuple[str, ...] = ()
    raw: str = ""
    is_cut: bool = False


def output_of(tensor: Tensor, *, gives_classes: bool) -> Output:
    """Describe one output.

    Args:
        tensor: It.
        gives_classes: Whether the version is a head, whose numbers are most likely classes.
    """
    try:
        array = to_array(tensor)
    except InvalidTensor:
        return Output(tensor.name, tensor.dtype, tensor.shape, (("values", "have no JSON form"),))
    if tensor.dtype == "string":
        return _strings(tensor, array)
    numbers = array.astype(np.float64)
    row = numbers.reshape(-1, numbers.shape[-1])[0] if numbers.ndim and numbers.size else numbers.reshape(-1)
    is_float = array.dtype.kind == "f"
    return Output(
        tensor.name,
        tensor.dtype,
        tensor.shape,
        _figures(numbers),
        _classes(row) if is_float and _looks_like_classes(numbers, gives_classes=gives_classes) else (),
        _cells(row) if row.size > 1 else (),
        (),
        _raw(tensor, array),
        array.size > _MAX_RAW_ELEMENTS,
    )


def _figures(numbers: np.ndarray) -> tuple[tuple[str, str], ...]:
    finite = numbers[np.isfinite(numbers)]
    found = []
    if finite.size:
        found = [(name, f"{pick(finite):.4g}") for name, pick in (("min", np.min), ("mean", np.mean), ("max", np.max))]
        found.append(("norm", f"{float(np.sqrt(np.sum(np.square(finite)))):.4g}"))
    strange = numbers.size - finite.size
    return (*found, ("not finite", f"{strange:,}")) if strange else tuple(found)


def _looks_like_classes(numbers: np.ndarray, *, gives_classes: bool) -> bool:
    """Shares of one (softmax) or of one each (sigmoid); whatever a head gives."""
    is_row = numbers.ndim in (1, 2) and 2 <= numbers.shape[-1] <= _MAX_CLASSES and numbers.size > 0
    if not is_row or not np.isfinite(numbers).all():
        return False
    sums_to_one = bool(np.allclose(numbers.sum(axis=-1), 1, atol=1e-3) and numbers.min() >= 0)
    return gives_classes or sums_to_one


def _classes(row: np.ndarray) -> tuple[Class, ...]:
    order = np.argsort(-row, kind="stable")[:TOP]
    low, high = min(0.0, float(row.min())), float(row.max())
    span = (high - low) or 1.0
    return tuple(Class(int(index), float(row[index]), (float(row[index]) - low) / span) for index in order)


def _cells(row: np.ndarray) -> tuple[Cell, ...]:
    row = np.where(np.isfinite(row), row, 0.0)
    means = [float(np.mean(part)) for part in np.array_split(row, min(_CELLS, row.size))]
    most = max(map(abs, means))
    if not most or not math.isfinite(most):
        return ()
    return tuple(Cell(x, round(abs(mean) / most, 3), mean < 0) for x, mean in enumerate(means))


def _strings(tensor: Tensor, array: np.ndarray) -> Output:
    first = texts(array.reshape(-1)[:_MAX_TEXTS], always_base64=False)
    shown = tuple(one if isinstance(one, str) else f"{one['b64'][:60]} (base64)" for one in first)
    return Output(
        tensor.name,
        tensor.dtype,
        tensor.shape,
        texts=tuple(one[:1_000] for one in shown),
        raw=_raw(tensor, array),
        is_cut=array.size > _MAX_TEXTS,
    )


def _raw(tensor: Tensor, array: np.ndarray) -> str:
    if array.size <= _MAX_RAW_ELEMENTS:
        return write_json(write_tensor(tensor)).decode()
    flat: Sequence[object] = array.reshape(-1)[:_MAX_RAW_ELEMENTS].tolist()
    shown = ", ".join(str(value) for value in flat[:_MAX_RAW_ELEMENTS])
    return f"[{shown}, …"
