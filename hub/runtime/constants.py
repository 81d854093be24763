"""Constants: what a graph says are numbers, read without computing the graph.

Laws: what waits for something, is fed, or is no number is no constant here; no value is larger than those it is made
of; all of them together stay below a bound, whatever a graph of a few bytes says that it holds.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

_MOST_ELEMENTS = 1 << 16  # of a value that is not read as weights: one for each channel
_MOST_BYTES = 64 << 20  # of all values, and of what weights take more than their graph
_MOST_AXES = 32  # TensorFlow takes more, NumPy does not
_MOST_DEEP = 16  # operations between a constant and a value
_ELEMENTWISE: dict[str, Callable[..., np.ndarray]] = {
    "Add": np.add,
    "AddV2": np.add,
    "Mul": np.multiply,
    "Neg": np.negative,
    "RealDiv": np.divide,
    "Rsqrt": lambda value: np.reciprocal(np.sqrt(value)),
    "Sqrt": np.sqrt,
    "Sub": np.subtract,
}
Node = Any  # tensorflow's NodeDef


def node_of(name: str) -> str:
    """The operation that a tensor, or something to wait for, is of."""
    return name.removeprefix("^").split(":")[0]


def write(node: Node, value: np.ndarray) -> None:
    """Have a constant hold ``value``."""
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))


class Constants:
    """Those of one graph."""

    def __init__(self, nodes: Mapping[str, Node], kept: Collection[str]) -> None:
        """Read ``nodes``, by name; what is among ``kept`` may be fed, and so be anything."""
        self._nodes = nodes
        self._kept = kept
        self._values: dict[str, np.ndarray | None] = {}
        self._room_bytes = _MOST_BYTES

    def node(self, name: str) -> Node | None:
        """The constant that a tensor is, handed on or not."""
        node = self._nodes[node_of(name)]
        while node.op == "Identity" and len(node.input) == 1 and node.name not in self._kept:
            node = self._nodes[node_of(node.input[0])]
        return node if self.shape(node) is not None else None

    def shape(self, node: Node) -> tuple[int, ...] | None:
        """Of a constant of numbers; None of anything else."""
        if node.op != "Const" or node.input or node.name in self._kept:
            return None
        tensor = node.attr["value"].tensor
        dtype = tf.as_dtype(tensor.dtype)
        if not (dtype.is_floating or dtype.is_integer) or dtype.as_numpy_dtype.__module__ != "numpy":
            return None
        shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
        return shape if len(shape) <= _MOST_AXES else None

    def array(self, node: Node) -> np.ndarray | None:
        """What a constant holds; None where that is much more than it takes in the graph."""
        shape = self.shape(node)
        if shape is None:
            return None
        tensor = node.attr["value"].tensor
        size = int(np.prod(shape, dtype=object)) * tf.as_dtype(tensor.dtype).size
        more = max(0, size - tensor.ByteSize())
        if more > self._room_bytes:
            return None
        self._room_bytes -= more
        return tf.make_ndarray(tensor)

    def are_finite(self, node: Node) -> bool:
        """Whether a constant is known to hold numbers alone."""
        values = self.array(node)
        return values is not None and bool(np.isfinite(values).all())

    def value(self, name: str, depth: int = 0) -> np.ndarray | None:
        """What a tensor is, where constants alone say so."""
        if name not in self._values:
            value = (
                self._computed(self._nodes[node_of(name)], depth) if ":" not in name or name.endswith(":0") else None
            )
            if value is not None and (value.nbytes > self._room_bytes or value.size > _MOST_ELEMENTS):
                value = None
            self._room_bytes -= 0 if value is None else value.nbytes
            self._values[name] = value
        return self._values[name]

    def _computed(self, node: Node, depth: int) -> np.ndarray | None:
        shape = self.shape(node)
        if shape is not None:
            return self.array(node) if int(np.prod(shape, dtype=object)) <= _MOST_ELEMENTS else None
        if node.op not in {"Identity", "Reshape", "Squeeze", *_ELEMENTWISE} or node.name in self._kept:
            return None
        if depth >= _MOST_DEEP or any(each.startswith("^") for each in node.input):
            return None
        values = [self.value(each, depth + 1) for each in node.input]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        try:
            return _applied(node, known)
        except ValueError:  # shapes that do not go together: nobody computes that either
            return None


def _applied(node: Node, values: Sequence[np.ndarray]) -> np.ndarray | None:
    first = values[0]
    if node.op == "Identity":
        return first
    if node.op == "Reshape":
        return first.reshape(values[1])
    if node.op == "Squeeze":
        return first.squeeze(tuple(node.attr["squeeze_dims"].list.i) or None)
    if any(value.dtype.kind != "f" for value in values):
        return None
    size = np.broadcast(*values).size if len(values) > 1 else first.size
    return _ELEMENTWISE[node.op](*values) if size <= max(value.size for value in values) else None
