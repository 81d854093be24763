"""TensorFlow's ``TensorProto`` to tensors and back.

Laws: a tensor is checked against the signature before its elements are looked at; elements come as ``tensor_content``
or in the field of their type, where the last one stands for those that are left out, within :data:`MAX_FILLED_BYTES`;
answers use the field of the type, which every client reads, also one that knows no ``tensor_content``.

Source: ``tensorflow/core/framework/tensor.proto``.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hub.domain.errors import InvalidTensor
from hub.domain.tensors import BY_NAME, BY_NUMBER, DType, Shape, TensorSpec, check_tensor
from hub.protocol.frames import MAX_RANK, Buffer, Tensor, pack_strings, to_numpy
from hub.protocol.messages import numbers_of

MAX_FILLED_BYTES = 64 << 20
_AS_BYTES = {"float32": "float_val", "float64": "double_val", "complex64": "scomplex_val", "complex128": "dcomplex_val"}
_AS_BITS = {"float16": "half_val", "bfloat16": "half_val"}
_AS_NUMBERS = {
    "int8": "int_val",
    "int16": "int_val",
    "int32": "int_val",
    "uint8": "int_val",
    "uint16": "int_val",
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "bool": "bool_val",
}


def read_tensor_proto(proto: Any, spec: TensorSpec) -> Tensor:
    """Make a tensor of a ``TensorProto`` and check it against ``spec``.

    Raises:
        InvalidTensor: Another type or shape than the signature takes, or too few or too many elements.
    """
    dtype = BY_NUMBER.get(proto.dtype)
    if dtype is None:
        raise InvalidTensor(f"Input {spec.name!r} has no known dtype ({proto.dtype}).", tensor=spec.name)
    shape = _read_shape(proto.tensor_shape, spec.name)
    check_tensor(spec.name, dtype.name, shape, spec)
    count = math.prod(shape)
    if dtype.name == "string":
        return Tensor(spec.name, dtype.name, shape, _strings(proto.string_val, count, spec.name))
    if proto.tensor_content:
        if len(proto.tensor_content) != count * dtype.size_bytes:
            raise _wrong_size(spec.name, shape, count * dtype.size_bytes, len(proto.tensor_content), "bytes")
        return Tensor(spec.name, dtype.name, shape, proto.tensor_content)
    return Tensor(
        spec.name, dtype.name, shape, _filled(_elements(proto, dtype, shape, spec.name), dtype, shape, spec.name)
    )


def _read_shape(proto: Any, name: str) -> tuple[int, ...]:
    shape = tuple(dim.size for dim in proto.dim)
    if proto.unknown_rank or len(shape) > MAX_RANK or any(size < 0 for size in shape):
        raise InvalidTensor(f"Input {name!r} has a shape that is not a list of sizes.", tensor=name)
    return shape


def _strings(items: Sequence[bytes], count: int, name: str) -> bytes:
    if len(items) != count:
        raise _wrong_size(name, (count,), count, len(items), "strings")
    array = np.empty(count, dtype=object)
    array[:] = list(items)
    return pack_strings(array)


def _elements(proto: Any, dtype: DType, shape: tuple[int, ...], name: str) -> bytes:
    """The elements that were sent, little-endian; too many are refused before any is looked at."""
    if dtype.name in _AS_BYTES:
        return numbers_of(proto, _AS_BYTES[dtype.name], math.prod(shape) * dtype.size_bytes)
    field = _AS_BITS.get(dtype.name) or _AS_NUMBERS.get(dtype.name)
    sent = getattr(proto, field) if field else ()
    if len(sent) > math.prod(shape):
        raise _wrong_size(name, shape, math.prod(shape), len(sent), "elements")
    try:
        if field:
            return np.array(list(sent), dtype="<u2" if dtype.name in _AS_BITS else dtype.numpy).tobytes()
    except OverflowError as error:
        raise InvalidTensor(f"Input {name!r} has a value that does not fit into {dtype.name}.", tensor=name) from error
    raise InvalidTensor(f"Input {name!r} is {dtype.name}, which can be sent as tensor_content only.", tensor=name)


def _filled(data: bytes, dtype: DType, shape: tuple[int, ...], name: str) -> bytes:
    size, wanted = dtype.size_bytes, math.prod(shape) * dtype.size_bytes
    if len(data) == wanted:
        return data
    if not data or len(data) % size or len(data) > wanted or wanted > MAX_FILLED_BYTES:
        raise _wrong_size(name, shape, wanted // size, len(data) // size, "elements")
    return data + data[-size:] * ((wanted - len(data)) // size)


def _wrong_size(name: str, shape: tuple[int, ...], expected: int, got: int, what: str) -> InvalidTensor:
    return InvalidTensor(
        f"Input {name!r} of shape {list(shape)} takes {expected} {what}, {got} were sent.",
        tensor=name,
        expected=expected,
        got=got,
    )


def write_tensor_proto(proto: Any, tensor: Tensor) -> None:
    """Fill a ``TensorProto``.

    Raises:
        InvalidTensor: The protocol has no field for the dtype.
    """
    proto.dtype = BY_NAME[tensor.dtype].number
    write_shape(proto.tensor_shape, tensor.shape)
    if tensor.dtype in _AS_BYTES:
        if len(tensor.data):
            getattr(proto, _AS_BYTES[tensor.dtype]).append(bytes(tensor.data))
    elif tensor.dtype in _AS_BITS:
        getattr(proto, _AS_BITS[tensor.dtype]).extend(_bits(tensor.data))
    elif tensor.dtype == "string":
        proto.string_val.extend(to_numpy(tensor).reshape(-1).tolist())
    elif tensor.dtype in _AS_NUMBERS:
        getattr(proto, _AS_NUMBERS[tensor.dtype]).extend(to_numpy(tensor).reshape(-1).tolist())
    else:
        raise InvalidTensor(
            f"Output {tensor.name!r} is {tensor.dtype}, which has no form here.",
            remedy="Ask for other outputs.",
            tensor=tensor.name,
        )


def _bits(data: Buffer) -> list[int]:
    return np.frombuffer(data, dtype="<u2").tolist()


def write_shape(proto: Any, shape: Shape) -> None:
    """Fill a ``TensorShapeProto``: -1 for a dimension that may vary."""
    if shape is None:
        proto.unknown_rank = True
        return
    add: Callable[..., Any] = proto.dim.add
    for size in shape:
        add(size=-1 if size is None else size)
    proto.SetInParent()
