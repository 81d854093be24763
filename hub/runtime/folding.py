"""Folding: a frozen graph in which what follows a product is part of it: normalisations, biases, zeros padded before.

TensorFlow's optimizer does so for convolutions, not for depthwise ones, and it adds a bias and a skipped connection as
one sum of three, which no kernel takes. What is left here is a product, a bias and what is done with their sum: one
kernel each.

Laws: the folded graph gives what the graph gives, but for rounding; what is fetched, or used twice, gives the same as
before; what is not understood stays as it is.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference"
(2018), equation 14.
"""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

_DEPTHWISE, _CONVOLUTION, _PRODUCT = "DepthwiseConv2dNative", "Conv2D", "MatMul"
_RANKS = {_DEPTHWISE: 4, _CONVOLUTION: 4, _PRODUCT: 2}
_FLOATS = (tf.float32.as_datatype_enum, tf.float64.as_datatype_enum)
_MOST_GROWTH = 2  # new weights are, times the graph's bytes: old ones that many products share stay for none
_MOST_DEEP = 16  # operations between a normalisation's constants and its factor
_WAITED_FOR_IN_VAIN = {"Const", "Identity", "NoOp", "Placeholder"}
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


@dataclass(frozen=True, slots=True)
class _Line:
    """A product of something and constant weights, and the bias added to it, where one is."""

    product: Node
    bias: Node | None

    @property
    def rank(self) -> int:
        return _RANKS[self.product.op]


def fold(graph: tf.Graph, kept: Collection[str]) -> Any:
    """What a graph without variables computes, in fewer operations.

    Args:
        graph: Its constants are weights.
        kept: Names of the tensors that are fed and fetched.

    Returns:
        The ``GraphDef`` of what they take.
    """
    folding = _Folding(graph, {_node_of(name) for name in kept})
    with np.errstate(all="ignore"):
        folding.fold()
    return tf.compat.v1.graph_util.extract_sub_graph(folding.defined, sorted(folding.kept))


class _Folding:
    def __init__(self, graph: tf.Graph, kept: set[str]) -> None:
        self.kept = kept
        self.defined = graph.as_graph_def()
        self._graph = graph
        self._nodes: dict[str, Node] = {node.name: node for node in self.defined.node}
        inputs = [name for node in self.defined.node for name in node.input]
        self._users = Counter(map(_node_of, inputs))
        self._many = {_node_of(name) for name in inputs if not _is_first(name)}
        self._values: dict[str, np.ndarray | None] = {}
        self._room_bytes = _MOST_GROWTH * self.defined.ByteSize()

    def fold(self) -> None:
        """Go through the graph in its order, which is the order of computing but for loops."""
        self._leave_waiting()
        for node in list(self.defined.node):
            if any(name.startswith("^") for name in node.input):
                continue
            if node.op in ("Mul", "Add", "AddV2"):
                self._take_in(node)
            elif node.op in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
                self._normalize(node)
            elif node.op in (_CONVOLUTION, _DEPTHWISE):
                self._pad(node)

    def _leave_waiting(self) -> None:
        """Let nothing wait for, or be beside, what does nothing: functions that were put into each other leave much."""
        idle: set[str] = set()
        for node in self.defined.node:
            node.attr.pop("_class", None)  # names operations to be beside, which may be gone
            if node.op in _WAITED_FOR_IN_VAIN and all(_node_of(name) in idle for name in node.input):
                idle.add(node.name)
            waited = [name for name in node.input if name.startswith("^") and _node_of(name) in idle]
            for name in waited:
                node.input.remove(name)
                self._users[_node_of(name)] -= 1

    def _take_in(self, node: Node) -> None:
        """Make a constant that multiplies or is added part of the line that gives the other operand."""
        for given, constant in (tuple(node.input), tuple(node.input)[::-1]):
            value, line = self._value(constant), self._line(given)
            if value is None or line is None or value.ndim > line.rank:
                continue
            if value.shape[-1:] != (value.size,) or value.size != self._channels(line):
                continue
            if node.op != "Mul":
                self._shift(node, given, line, value.ravel())
            elif self._scale(line, value.ravel()):
                _become(node, "Identity", given)
            return

    def _normalize(self, node: Node) -> None:
        values = [self._value(name) for name in node.input[1:]]
        line = self._line(node.input[0])
        if line is None or node.attr["is_training"].b or not _has_channels_last(node) or node.name in self._many:
            return
        gamma, beta, mean, variance = values
        if gamma is None or beta is None or mean is None or variance is None:
            return
        if any(value.shape != (self._channels(line),) for value in (gamma, beta, mean, variance)):
            return
        factor = gamma / np.sqrt(variance + np.float32(node.attr["epsilon"].f))
        if self._scale(line, factor):
            self._shift(node, node.input[0], line, beta - mean * factor)

    def _pad(self, node: Node) -> None:
        """Leave zeros to a convolution where it would add the same ones itself."""
        padding = self._sole(node.input[0])
        weights = self._value(node.input[1])
        if padding is None or padding.op != "Pad" or weights is None or weights.ndim != _RANKS[node.op]:
            return
        zeros = self._value(padding.input[1])
        shape = self._graph.get_operation_by_name(padding.name).inputs[0].shape
        is_plain = node.attr["padding"].s == b"VALID" and set(node.attr["dilations"].list.i) <= {1}
        if zeros is None or shape.rank != _RANKS[node.op] or not is_plain or not _has_channels_last(node):
            return
        wanted = [[0, 0]]
        for size, kernel, stride in zip(shape[1:3], weights.shape, node.attr["strides"].list.i[1:3], strict=False):
            if not size:
                return
            missing = kernel - (size - 1) % stride - 1
            wanted.append([missing // 2, missing - missing // 2])
        if zeros.tolist() == [*wanted, [0, 0]]:
            node.input[0] = padding.input[0]
            node.attr["padding"].s = b"SAME"

    def _scale(self, line: _Line, factor: np.ndarray) -> bool:
        """Multiply what a line gives, channel by channel; whether that can be done."""
        product = line.product
        weights = self._must(product.input[1])
        if weights.nbytes > self._room_bytes:
            return False
        scaled = weights * (factor.reshape(weights.shape[2:]) if product.op == _DEPTHWISE else factor)
        moved = None if line.bias is None else self._must(line.bias.input[1]) * factor
        if not np.isfinite(scaled).all() or not (moved is None or np.isfinite(moved).all()):
            return False
        self._room_bytes -= weights.nbytes
        product.input[1] = self._constant(product.input[1], scaled, weights)
        if line.bias is not None and moved is not None:
            line.bias.input[1] = self._constant(line.bias.input[1], moved, weights)
        return True

    def _shift(self, node: Node, given: str, line: _Line, value: np.ndarray) -> None:
        """Have a node that adds to what a line gives be its bias."""
        if line.bias is None:
            name = self._constant(node.name, value, self._must(line.product.input[1]))
            _become(node, "BiasAdd", given, name)
        else:
            bias = self._must(line.bias.input[1])
            line.bias.input[1] = self._constant(line.bias.input[1], bias + value, bias)
            _become(node, "Identity", given)

    def _line(self, name: str) -> _Line | None:
        """What gives a tensor, where that is a line and nobody else uses anything of it."""
        bias = None
        node = self._sole(name)
        if node is not None and node.op == "BiasAdd" and _has_channels_last(node):
            bias, node = node, self._sole(node.input[0])
        if node is None or node.op not in _RANKS or node.attr["T"].type not in _FLOATS:
            return None
        is_turned = "transpose_b" in node.attr and node.attr["transpose_b"].b
        if is_turned or not _has_channels_last(node):
            return None
        weights = self._value(node.input[1])
        if weights is None or weights.ndim != _RANKS[node.op]:
            return None
        return None if bias is not None and self._value(bias.input[1]) is None else _Line(node, bias)

    def _channels(self, line: _Line) -> int:
        shape = self._must(line.product.input[1]).shape
        return shape[2] * shape[3] if line.product.op == _DEPTHWISE else shape[-1]

    def _sole(self, name: str) -> Node | None:
        """The operation that gives a tensor which is used once and not kept; what only hands it on is passed over."""
        while True:
            node = self._nodes[_node_of(name)]
            if self._users[node.name] != 1 or node.name in self.kept or node.name in self._many:
                return None
            if any(each.startswith("^") for each in node.input):
                return None
            if node.op != "Identity":
                return node
            name = node.input[0]

    def _must(self, name: str) -> np.ndarray:
        value = self._value(name)
        if value is None:
            raise ValueError(f"{name} is no constant.")
        return value

    def _value(self, name: str, depth: int = 0) -> np.ndarray | None:
        """What a tensor is, where constants alone say so; None also where it is larger than each of them."""
        if name not in self._values:
            self._values[name] = self._computed(name, depth)
        return self._values[name]

    def _computed(self, name: str, depth: int) -> np.ndarray | None:
        node = self._nodes[_node_of(name)]
        if node.name in self.kept:  # what is fed is what it is fed
            return None
        if node.op == "Const":
            return tf.make_ndarray(node.attr["value"].tensor)
        if depth >= _MOST_DEEP or not _is_first(name) or node.op not in {"Identity", "Reshape", *_ELEMENTWISE}:
            return None
        values = [None if each.startswith("^") else self._value(each, depth + 1) for each in node.input]
        known = [value for value in values if value is not None]
        if not known or len(known) < len(values):
            return None
        if node.op == "Identity":
            return known[0]
        if node.op == "Reshape":
            return known[0].reshape(known[1])
        size = np.broadcast(*known).size if len(known) > 1 else known[0].size
        return _ELEMENTWISE[node.op](*known) if size <= max(value.size for value in known) else None

    def _constant(self, beside: str, value: np.ndarray, like: np.ndarray) -> str:
        """A new constant, its name like another node's."""
        name = f"{_node_of(beside)}/folded"
        while name in self._nodes:
            name += "_"
        node = self.defined.node.add(name=name, op="Const")
        node.attr["dtype"].type = tf.as_dtype(like.dtype).as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value.astype(like.dtype)))
        self._nodes[name] = node
        return name


def _become(node: Node, op: str, *inputs: str) -> None:
    kind = node.attr["T"].type
    node.op = op
    node.input[:] = inputs
    node.attr.clear()
    node.attr["T"].type = kind


def _has_channels_last(node: Node) -> bool:
    return "data_format" not in node.attr or node.attr["data_format"].s in (b"", b"NHWC")


def _node_of(name: str) -> str:
    return name.removeprefix("^").split(":")[0]


def _is_first(name: str) -> bool:
    return ":" not in name or name.endswith(":0")
