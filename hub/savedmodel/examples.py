"""What a serialized ``tf.Example`` must hold for a signature that parses one.

Law: only features whose names and types are written in the graph are found; a signature that has none has no entry.

Source: ``parsing_ops.cc`` (ParseExample, ParseExampleV2, ParseSingleExample).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hub.domain.tensors import Shape
from hub.savedmodel import wire
from hub.savedmodel.graph import Graph, Node
from hub.savedmodel.reachability import Reach, node_name
from hub.savedmodel.tensor_proto import dtype_name, read_constant, read_shape

_PARSERS = frozenset({"ParseExample", "ParseExampleV2", "ParseSingleExample"})


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One feature of a ``tf.Example``.

    Attributes:
        dtype: ``float32``, ``int64`` or ``string``.
        shape: Of a dense feature; None where any number of values may come.
    """

    dtype: str
    shape: Shape


def example_features(graph: Graph, reached: Reach) -> dict[str, FeatureSpec]:
    """The features that a signature parses, by name."""
    features: dict[str, FeatureSpec] = {}
    scopes: list[list[Node]] = [[graph.nodes[name] for name in reached.nodes if graph.nodes[name].op in _PARSERS]]
    lookup = [graph.nodes]
    for name in reached.functions:
        function = graph.functions[name]
        if not _PARSERS.isdisjoint(function.ops):
            held = {node.name: node for node in function.nodes()}
            scopes.append([node for node in held.values() if node.op in _PARSERS])
            lookup.append(held)
    for parsers, nodes in zip(scopes, lookup, strict=True):
        for node in parsers:
            features.update(_features_of(node, nodes))
    return features


def _features_of(node: Node, nodes: Mapping[str, Node]) -> Iterator[tuple[str, FeatureSpec]]:
    sparse, dense = _keys(node, nodes)
    sparse_types = _list(node, "sparse_types", 0x30, 0x32)
    dense_types = _list(node, "Tdense", 0x30, 0x32)
    shapes = [read_shape(chunk) for chunk in _chunks(node, "dense_shapes", 0x3A)]
    for name, dtype in zip(sparse, sparse_types, strict=False):
        yield name, FeatureSpec(dtype_name(dtype), None)
    for name, dtype, shape in zip(dense, dense_types, shapes, strict=False):
        yield name, FeatureSpec(dtype_name(dtype), shape)


def _keys(node: Node, nodes: Mapping[str, Node]) -> tuple[list[str], list[str]]:
    """Names of the variable-length and of the dense features, in the order of their types."""
    if node.op == "ParseSingleExample":
        attrs = ("sparse_keys", "dense_keys")
        sparse, dense = ([str(chunk, "utf-8", "replace") for chunk in _chunks(node, key, 0x12)] for key in attrs)
        return sparse, dense
    if node.op == "ParseExampleV2":
        return _strings(node, 2, nodes), _strings(node, 3, nodes)
    n_sparse, n_dense = node.attr_number("Nsparse", 0x18), node.attr_number("Ndense", 0x18)
    last = min(2 + n_sparse + n_dense, len(node.inputs))
    names = ["".join(_strings(node, index, nodes)[:1]) for index in range(2, last)]
    return names[:n_sparse], names[n_sparse:]


def _strings(node: Node, index: int, nodes: Mapping[str, Node]) -> list[str]:
    source = nodes.get(node_name(node.inputs[index])) if index < len(node.inputs) else None
    tensor = source.attr_message("value", 0x42) if source is not None and source.op == "Const" else None
    return list(read_constant(tensor).strings) if tensor is not None else []


def _chunks(node: Node, key: str, tag: int) -> list[memoryview]:
    value = node.attr(key)
    listed = wire.only(value, 0x0A) if value is not None else None
    return list(wire.every(listed, tag)) if listed is not None else []


def _list(node: Node, key: str, plain: int, packed: int) -> list[int]:
    value = node.attr(key)
    listed = wire.only(value, 0x0A) if value is not None else None
    if listed is None:
        return []
    found: list[int] = []
    for tag, number, chunk in wire.fields(listed):
        if tag in (plain, packed):
            found += wire.integers(tag, number, chunk)
    return found
