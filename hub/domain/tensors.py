"""Tensor types and specs: what goes into a signature and what comes out.

The table below is the only place that knows how TensorFlow, NumPy and the Open Inference Protocol name the same type.
Sources: ``tensorflow/core/framework/types.proto`` (enum numbers), Open Inference Protocol v2 "Tensor Data Types".
"""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from hub.domain.errors import InvalidTensor


@dataclass(frozen=True, slots=True)
class DType:
    """One element type.

    Attributes:
        name: TensorFlow's name, such as ``float32``.
        number: ``DataType`` in TensorFlow's protos.
        size_bytes: Bytes of one element; 0 where elements have no fixed size.
        oip: The Open Inference Protocol's name; None where it has none.
        numpy: NumPy's name of the little-endian type; None where NumPy alone has none.
    """

    name: str
    number: int
    size_bytes: int
    oip: str | None = None
    numpy: str | None = None


_TABLE = (
    DType("float32", 1, 4, "FP32", "<f4"),
    DType("float64", 2, 8, "FP64", "<f8"),
    DType("int32", 3, 4, "INT32", "<i4"),
    DType("uint8", 4, 1, "UINT8", "u1"),
    DType("int16", 5, 2, "INT16", "<i2"),
    DType("int8", 6, 1, "INT8", "i1"),
    DType("string", 7, 0, "BYTES", "O"),
    DType("complex64", 8, 8, None, "<c8"),
    DType("int64", 9, 8, "INT64", "<i8"),
    DType("bool", 10, 1, "BOOL", "?"),
    DType("qint8", 11, 1),
    DType("quint8", 12, 1),
    DType("qint32", 13, 4),
    DType("bfloat16", 14, 2, "BF16"),
    DType("qint16", 15, 2),
    DType("quint16", 16, 2),
    DType("uint16", 17, 2, "UINT16", "<u2"),
    DType("complex128", 18, 16, None, "<c16"),
    DType("float16", 19, 2, "FP16", "<f2"),
    DType("resource", 20, 0),
    DType("variant", 21, 0),
    DType("uint32", 22, 4, "UINT32", "<u4"),
    DType("uint64", 23, 8, "UINT64", "<u8"),
    DType("float8_e5m2", 24, 1),
    DType("float8_e4m3fn", 25, 1),
)
BY_NAME = {dtype.name: dtype for dtype in _TABLE}
BY_NUMBER = {dtype.number: dtype for dtype in _TABLE}
BY_OIP = {dtype.oip: dtype for dtype in _TABLE if dtype.oip}

Shape = tuple[int | None, ...] | None
"""Dimensions, None where one is unknown; the whole is None where even the rank is unknown."""


class TensorSpec(BaseModel):
    """What a signature says of one input or output.

    ``name`` is the key people use (``inputs``), never a graph node's.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    dtype: str
    shape: Shape

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}{format_shape(self.shape)}"


def format_shape(shape: Shape) -> str:
    """``[?, 224, 224, 3]``; ``[...]`` where the rank is unknown."""
    if shape is None:
        return "[...]"
    return "[" + ", ".join("?" if dim is None else str(dim) for dim in shape) + "]"


def short_name(name: str) -> str:
    """A tensor's name without what every name in a checkpoint ends with."""
    return name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")


def shape_fits(shape: tuple[int, ...], spec: Shape) -> bool:
    """Whether a concrete shape is one that the spec allows."""
    if spec is None:
        return True
    return len(shape) == len(spec) and all(want is None or want == got for got, want in zip(shape, spec, strict=True))


def check_tensor(name: str, dtype: str, shape: tuple[int, ...], spec: TensorSpec) -> None:
    """Compare what was sent with what the signature takes.

    Raises:
        InvalidTensor: dtype or shape differ; says what was expected and what came.
    """
    if dtype != spec.dtype:
        raise InvalidTensor(
            f"Input {name!r} is {dtype}, the signature takes {spec.dtype}.", tensor=name, expected=spec.dtype, got=dtype
        )
    if not shape_fits(shape, spec.shape):
        raise InvalidTensor(
            f"Input {name!r} has shape {format_shape(shape)}, the signature takes {format_shape(spec.shape)}.",
            tensor=name,
            expected=format_shape(spec.shape),
            got=format_shape(shape),
        )
