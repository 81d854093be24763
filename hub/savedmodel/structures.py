"""Nested arguments as TensorFlow saves them: which tensors a function takes, under which names.

Law: nesting is bounded; a value the hub cannot pass (ragged, sparse, a Python object) reads as ``Opaque`` with the
name of its type, so that rules can say what it is.

Source: ``struct.proto`` (StructuredValue), ``saved_object_graph.proto`` (FunctionSpec).
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from hub.domain.tensors import TensorSpec
from hub.savedmodel import wire
from hub.savedmodel.limits import MAX_STRUCTURE_DEPTH
from hub.savedmodel.tensor_proto import dtype_name, read_shape
from hub.savedmodel.wire import Malformed


class Opaque(NamedTuple):
    """A value that is neither a plain tensor nor a plain Python value."""

    kind: str


Container: TypeAlias = "list[Structure] | tuple[Structure, ...] | dict[str, Structure]"
Structure: TypeAlias = "bool | int | float | str | TensorSpec | Opaque | Container | None"


def read_structure(data: memoryview, depth: int = 0) -> Structure:
    """Decode a ``StructuredValue``.

    Raises:
        Malformed: It is broken or nested too deeply.
    """
    if depth > MAX_STRUCTURE_DEPTH:
        raise Malformed(f"an argument is nested more than {MAX_STRUCTURE_DEPTH} levels deep")
    for tag, value, chunk in wire.fields(data):
        number = tag >> 3
        if number in (51, 52, 53, 54):
            return _read_container(number, chunk, depth + 1)
        if number in (33, 35):
            return read_spec(chunk)
        if number == 34:
            return Opaque(_type_spec_name(chunk))
        if number in _SCALARS:
            return _read_scalar(number, value, chunk)
    return None


_SCALARS = {1, 11, 12, 13, 14, 31, 32, 55, 56}


def _read_scalar(number: int, value: int, chunk: memoryview) -> Structure:
    match number:
        case 1:
            return None
        case 11:
            return float(struct.unpack("<d", value.to_bytes(8, "little"))[0])
        case 12:
            return (value >> 1) ^ -(value & 1)
        case 13:
            return wire.text(chunk)
        case 14:
            return bool(value)
        case _:
            return Opaque({31: "a shape", 32: "a type"}.get(number, "an array"))


def _read_container(number: int, data: memoryview, depth: int) -> Structure:
    if number == 53:
        pairs = (wire.entry(chunk) for chunk in wire.every(data, 0x0A))
        return {key: read_structure(value, depth) for key, value in pairs}
    if number == 54:
        pairs = (wire.entry(chunk) for chunk in wire.every(data, 0x12))
        return {key: read_structure(value, depth) for key, value in pairs}
    values = [read_structure(chunk, depth) for chunk in wire.every(data, 0x0A)]
    return values if number == 51 else tuple(values)


def read_spec(data: memoryview) -> TensorSpec:
    """Decode a ``TensorSpecProto``; a missing shape reads as unknown rank.

    Raises:
        Malformed: The type or shape is none.
    """
    name, number, shape = "", 0, None
    for tag, value, chunk in wire.fields(data):
        if tag == 0x0A:
            name = wire.text(chunk)
        elif tag == 0x12:
            shape = read_shape(chunk)
        elif tag == 0x18:
            number = value
    return TensorSpec(name=name, dtype=dtype_name(number), shape=shape)


_TYPE_SPECS = {1: "a sparse tensor", 2: "indexed slices", 3: "a ragged tensor", 4: "a tensor array", 5: "a dataset"}


def _type_spec_name(data: memoryview) -> str:
    kind, name = 0, ""
    for tag, value, chunk in wire.fields(data):
        if tag == 0x08:
            kind = value
        elif tag == 0x1A:
            name = wire.text(chunk)
    return _TYPE_SPECS.get(kind, name or "a composite tensor")


def flatten(value: Structure, path: str = "") -> Iterator[tuple[str, TensorSpec | Opaque]]:
    """The tensors in a structure with their paths (``a/0/b``; empty for one bare tensor); plain values are left out."""
    if isinstance(value, TensorSpec | Opaque):
        yield path, value
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from flatten(item, f"{path}/{index}" if path else str(index))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from flatten(item, f"{path}/{key}" if path else key)


class Arguments(NamedTuple):
    """The canonical arguments of one trace: ``((positional, …), {keyword: …})``."""

    positional: tuple[Structure, ...]
    keyword: dict[str, Structure]

    def by_name(self, names: tuple[str, ...]) -> dict[str, Structure]:
        """Every argument by name, positional ones named in order."""
        named = dict(zip(names, self.positional, strict=False))
        return named | self.keyword


def read_arguments(data: memoryview) -> Arguments:
    """Decode a ``canonicalized_input_signature``.

    Raises:
        Malformed: It does not have the canonical form.
    """
    value = read_structure(data)
    if not isinstance(value, tuple) or len(value) != 2:
        raise Malformed("a function's arguments do not have the canonical form")
    positional, keyword = value
    if not isinstance(positional, tuple | list) or not isinstance(keyword, dict):
        raise Malformed("a function's arguments do not have the canonical form")
    return Arguments(tuple(positional), keyword)


class Parameters(NamedTuple):
    """The names of a function's positional parameters in order, without ``self``, and of all that have a default."""

    names: tuple[str, ...] = ()
    with_default: frozenset[str] = frozenset()


def read_parameters(function_spec: memoryview) -> Parameters:
    """Decode the ``FullArgSpec`` of a ``FunctionSpec``; what is not as Python writes it is left out."""
    full = wire.only(function_spec, 0x0A)
    spec = read_structure(full) if full is not None else None
    if not isinstance(spec, dict):
        return Parameters()
    listed, defaults, named = (spec.get(part) for part in ("args", "defaults", "kwonlydefaults"))
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list | tuple) else []
    count = len(defaults) if isinstance(defaults, list | tuple) else 0
    with_default = {*names[max(0, len(names) - count) :], *(named if isinstance(named, dict) else ())}
    is_method = any(value for tag, value, _ in wire.fields(function_spec) if tag == 0x10)
    return Parameters(tuple(names[1:] if is_method else names), frozenset(with_default))
