"""Folding: a frozen graph in which what follows a product is part of it: normalisations, biases, zeros padded before.

TensorFlow's optimizer does so for convolutions, not for depthwise ones, and it adds a bias and a skipped connection as
one sum of three, which no kernel takes. What is left here is a product, a bias and what is done with their sum: one
kernel each.

Laws: the folded graph gives what the graph gives, but for rounding; what is fetched, or used twice, gives the same as
before; what has to wait for something still does; what is not understood stays as it is; nothing grows by more than
a bound, whatever the graph says.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference"
(2018), equation 14.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from hub.runtime.constants import Constants, node_of, write

_DEPTHWISE, _CONVOLUTION, _PRODUCT = "DepthwiseConv2dNative", "Conv2D", "MatMul"
_RANKS = {_DEPTHWISE: 4, _CONVOLUTION: 4, _PRODUCT: 2}
_WAITED_FOR_IN_VAIN = {"Const", "Identity", "NoOp", "Placeholder"}
_FLOATS = (tf.float32.as_datatype_enum, tf.float64.as_datatype_enum)
Node = Any  # tensorflow's NodeDef


@dataclass(slots=True)
class _Line:
    """A product with constant weights, and what is done to each of its channels after it, up to ``end``."""

    product: Node
    weights: Node
    channels: int
    end: Node
    factor: np.ndarray | None = None
    shift: np.ndarray | None = None

    def scale(self, by: np.ndarray) -> None:
        self.factor = by if self.factor is None else self.factor * by
        self.shift = None if self.shift is None else self.shift * by

    def move(self, by: np.ndarray) -> None:
        self.shift = by if self.shift is None else self.shift + by


def fold(graph: tf.Graph, kept: Collection[str]) -> Any:
    """What a graph without variables computes, in fewer operations.

    Args:
        graph: Its constants are weights.
        kept: Names of the tensors that are fed and fetched.

    Returns:
        The ``GraphDef`` of what they take.
    """
    folding = _Folding(graph, kept)
    with np.errstate(all="ignore"):
        folding.fold()
    return _reachable(folding.defined, kept)


def _reachable(defined: Any, kept: Collection[str]) -> Any:
    return tf.compat.v1.graph_util.extract_sub_graph(defined, sorted(set(map(node_of, kept))))


class _Folding:
    def __init__(self, graph: tf.Graph, kept: Collection[str]) -> None:
        self.defined = _reachable(graph.as_graph_def(), kept)
        self._graph = graph
        self._kept = set(map(node_of, kept))
        self._nodes: dict[str, Node] = {node.name: node for node in self.defined.node}
        self._leave_waiting()
        inputs = [name for node in self.defined.node for name in node.input]
        self._users = Counter(map(node_of, inputs))
        self._many = {node_of(name) for name in (*inputs, *kept) if not name.endswith(":0") and ":" in name}
        self._constants = Constants(self._nodes, self._kept)
        self._lines: dict[str, _Line] = {}

    def fold(self) -> None:
        """Go through the graph in its order, which is the order of computing but for loops; then write."""
        for node in self.defined.node:
            if any(name.startswith("^") for name in node.input):
                continue
            if node.op in ("Mul", "Add", "AddV2", "BiasAdd"):
                self._take_in(node)
            elif node.op in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
                self._normalize(node)
            elif node.op in (_CONVOLUTION, _DEPTHWISE):
                self._pad(node)
        for line in self._lines.values():
            self._write(line)

    def _leave_waiting(self) -> None:
        """Let nothing wait for, or be beside, what does nothing: functions that were put into each other leave much."""
        idle: set[str] = set()
        for node in self.defined.node:
            node.attr.pop("_class", None)  # names operations to be beside, which may be gone
            if node.op in _WAITED_FOR_IN_VAIN and all(node_of(name) in idle for name in node.input):
                idle.add(node.name)
            node.input[:] = [name for name in node.input if not name.startswith("^") or node_of(name) not in idle]

    def _take_in(self, node: Node) -> None:
        """Make a constant that multiplies or is added part of the line that gives the other operand."""
        if node.op == "BiasAdd" and not _has_channels_last(node):
            return
        for given, constant in (tuple(node.input), tuple(node.input)[::-1]):
            line = self._line(given)
            value = None if line is None else self._constants.value(constant)
            if line is None or value is None or value.ndim > _RANKS[line.product.op]:
                continue
            if value.shape[-1:] != (value.size,) or value.size != line.channels:
                continue
            (line.scale if node.op == "Mul" else line.move)(value.ravel())
            self._end_with(line, node)
            return

    def _normalize(self, node: Node) -> None:
        line = self._line(node.input[0])
        if line is None or node.attr["is_training"].b or not _has_channels_last(node) or node.name in self._many:
            return
        gamma, beta, mean, variance = (self._constants.value(name) for name in node.input[1:])
        if gamma is None or beta is None or mean is None or variance is None:
            return
        if any(value.shape != (line.channels,) for value in (gamma, beta, mean, variance)):
            return
        factor = gamma / np.sqrt(variance + np.float32(node.attr["epsilon"].f))
        line.scale(factor)
        line.move(beta - mean * factor)
        self._end_with(line, node)

    def _pad(self, node: Node) -> None:
        """Leave zeros to a convolution where it would add the same ones itself."""
        padding, weights = self._sole(node.input[0]), self._constants.node(node.input[1])
        is_plain = node.attr["padding"].s == b"VALID" and set(node.attr["dilations"].list.i) <= {1}
        if padding is None or padding.op != "Pad" or weights is None or not is_plain or not _has_channels_last(node):
            return
        zeros, kernel = self._constants.value(padding.input[1]), self._constants.shape(weights)
        shape = self._graph.get_operation_by_name(padding.name).inputs[0].shape
        if zeros is None or kernel is None or not len(kernel) == shape.rank == _RANKS[node.op]:
            return
        wanted = [[0, 0]]
        for size, length, stride in zip(shape[1:3], kernel, node.attr["strides"].list.i[1:3], strict=False):
            if not size:
                return
            missing = length - (size - 1) % stride - 1
            wanted.append([missing // 2, missing - missing // 2])
        if zeros.tolist() == [*wanted, [0, 0]] and self._constants.are_finite(weights):
            node.input[0] = padding.input[0]
            node.attr["padding"].s = b"SAME"

    def _end_with(self, line: _Line, node: Node) -> None:
        self._lines.pop(line.end.name, None)
        line.end = node
        self._lines[node.name] = line

    def _line(self, name: str) -> _Line | None:
        """What gives a tensor, where that is a line, and nobody else uses anything of it."""
        node = self._sole(name)
        if node is None or node.name in self._lines:
            return None if node is None else self._lines[node.name]
        if node.op not in _RANKS or node.attr["T"].type not in _FLOATS or not _has_channels_last(node):
            return None
        if "transpose_b" in node.attr and node.attr["transpose_b"].b:
            return None
        weights = self._sole(node.input[1])
        shape = None if weights is None else self._constants.shape(weights)
        if shape is None or len(shape) != _RANKS[node.op]:
            return None
        return _Line(node, weights, shape[2] * shape[3] if node.op == _DEPTHWISE else shape[-1], node)

    def _sole(self, name: str) -> Node | None:
        """The operation that gives a tensor which is used once and not kept; what only hands it on is passed over."""
        while True:
            node = self._nodes[node_of(name)]
            if self._users[node.name] != 1 or node.name in self._kept or node.name in self._many:
                return None
            if any(each.startswith("^") for each in node.input):
                return None
            if node.op != "Identity":
                return node
            name = node.input[0]

    def _write(self, line: _Line) -> None:
        """Have the product do what is done after it, if its weights stay numbers."""
        product, end = line.product, line.end
        if line.shift is not None and not np.isfinite(line.shift).all():
            return
        if line.factor is not None:
            weights = self._constants.array(line.weights)
            if weights is None:
                return
            scaled = weights * (line.factor.reshape(weights.shape[2:]) if product.op == _DEPTHWISE else line.factor)
            if not np.isfinite(scaled).all():
                return
            write(line.weights, scaled.astype(weights.dtype))
        kind = product.attr["T"].type
        end.op = "Identity" if line.shift is None else "BiasAdd"
        end.input[:] = [product.name]
        end.attr.clear()
        end.attr["T"].type = kind
        if line.shift is not None:
            bias = self.defined.node.add(name=self._free(f"{end.name}/folded"), op="Const")
            write(bias, line.shift.astype(tf.as_dtype(kind).as_numpy_dtype))
            end.input.append(bias.name)

    def _free(self, name: str) -> str:
        while name in self._nodes:
            name += "_"
        return name


def _has_channels_last(node: Node) -> bool:
    return "data_format" not in node.attr or node.attr["data_format"].s in (b"", b"NHWC")
