"""Graphs and functions: nodes, what they call, and how often each op occurs.

Law: the nodes of functions are read one at a time and not kept (a model has most of its nodes there); the nodes of the
main graph are kept, since reachability in it goes from node to node.

Source: ``graph.proto``, ``node_def.proto``, ``function.proto``, ``attr_value.proto``.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from hub.savedmodel import wire
from hub.savedmodel.limits import MAX_CALLS, MAX_FIELDS_PER_MESSAGE, MAX_FUNCTIONS, MAX_INPUTS, MAX_NODES
from hub.savedmodel.wire import Malformed

_NODE, _LIBRARY, _VERSIONS = 0x0A, 0x12, 0x22
_NODE_ATTR = 0x2A
_ATTR_LIST, _ATTR_FUNC, _ATTR_PLACEHOLDER = 0x0A, 0x52, 0x4A
_PLAIN_NUMBERS = (0x18, 0x28, 0x30)
_PLAIN_BYTES = (0x12, 0x3A, 0x42)


class Node(NamedTuple):
    """A ``NodeDef``; ``calls`` are the functions its attributes name, ``body`` is the undecoded message."""

    name: str
    op: str
    inputs: tuple[str, ...]
    calls: tuple[str, ...]
    body: memoryview

    def attr(self, key: str) -> memoryview | None:
        """The ``AttrValue`` of that name; the last one counts, as in protobuf."""
        found = None
        for tag, _, chunk in wire.fields(self.body):
            if tag == _NODE_ATTR:
                name, value = wire.entry(chunk)
                if name == key:
                    found = value
        return found

    def attr_text(self, key: str) -> str:
        """A string attribute; empty where absent."""
        value = self.attr(key)
        texts = [chunk for tag, _, chunk in wire.fields(value) if tag == 0x12] if value is not None else []
        return str(texts[-1], "utf-8", "replace") if texts else ""

    def attr_message(self, key: str, tag: int) -> memoryview | None:
        """The tensor (0x42) or shape (0x3A) an attribute holds; None where absent."""
        value = self.attr(key)
        return wire.only(value, tag) if value is not None else None

    def attr_number(self, key: str, tag: int) -> int:
        """The integer (0x18), boolean (0x28) or type (0x30) an attribute holds; 0 where absent."""
        value = self.attr(key)
        numbers = [number for seen, number, _ in wire.fields(value) if seen == tag] if value is not None else []
        return wire.signed(numbers[-1]) if numbers else 0

    def is_attr_taken(self, key: str) -> bool:
        """Whether an attribute takes its value from whatever calls the function that the node is in."""
        value = self.attr(key)
        return value is not None and any(tag == _ATTR_PLACEHOLDER for tag, _, _ in wire.fields(value))


def _value_of(raw: memoryview) -> memoryview:
    """The value of an attribute entry; a shortcut for the form every writer uses, ``0a <n> key 12 <m> value``."""
    if len(raw) > 3 and raw[0] == 0x0A and raw[1] < 0x80:
        at = 2 + raw[1]
        if at + 2 <= len(raw) and raw[at] == 0x12 and raw[at + 1] < 0x80 and raw[at + 1] == len(raw) - at - 2:
            return raw[at + 2 :]
    return wire.entry(raw)[1]


def _is_plain(value: memoryview) -> bool:
    """Whether an ``AttrValue`` is, at first sight, one short number, text, shape or tensor and nothing else."""
    size = len(value)
    if size < 2:
        return size == 0
    if value[0] in _PLAIN_NUMBERS:
        return size == 2 and value[1] < 0x80
    return value[0] in _PLAIN_BYTES and value[1] < 0x80 and value[1] == size - 2


def _functions_in(value: memoryview, depth: int = 0) -> Iterator[str]:
    """Function names in an ``AttrValue``, also those bound as attributes of other functions."""
    if depth > 4:
        raise Malformed("functions are bound to functions too deeply")
    for tag, _, chunk in wire.fields(value):
        bound = [chunk] if tag == _ATTR_FUNC else list(wire.every(chunk, 0x4A)) if tag == _ATTR_LIST else []
        for function in bound:
            for inner, _, part in wire.fields(function):
                if inner == 0x0A:
                    yield wire.text(part)
                elif inner == 0x12:
                    yield from _functions_in(wire.entry(part)[1], depth + 1)


def read_node(data: memoryview) -> Node:
    """Decode one ``NodeDef``.

    Raises:
        Malformed: It is broken or has more inputs and attributes than any op.
    """
    name = op = ""
    inputs: list[str] = []
    calls: list[str] = []
    parts = 0
    for tag, _, chunk in wire.fields(data):
        if tag == _NODE_ATTR:
            parts += 1
            value = _value_of(chunk)
            if not _is_plain(value):
                calls += islice(_functions_in(value), MAX_FIELDS_PER_MESSAGE + 1)
        elif tag == 0x1A:
            parts += 1
            inputs.append(wire.text(chunk))
        elif tag == 0x12:
            op = wire.text(chunk)
        elif tag == 0x0A:
            name = wire.text(chunk)
        if parts > MAX_FIELDS_PER_MESSAGE:
            raise Malformed(f"node {name[:80]!r} has more than {MAX_FIELDS_PER_MESSAGE:,} inputs and attributes")
        if len(calls) > MAX_FIELDS_PER_MESSAGE:
            raise Malformed(f"node {name[:80]!r} makes more than {MAX_FIELDS_PER_MESSAGE:,} calls")
    return Node(name, op, tuple(inputs), tuple(calls), data)


@dataclass(frozen=True, slots=True)
class Function:
    """A ``FunctionDef``: what it is called with, which ops it holds and what it calls, once per call."""

    name: str
    arguments: tuple[str, ...]
    ops: Mapping[str, int]
    calls: tuple[str, ...]
    is_alternative: bool
    body: memoryview

    @property
    def size(self) -> int:
        """Nodes in it."""
        return sum(self.ops.values())

    def nodes(self) -> Iterator[Node]:
        """Its nodes, read again."""
        for chunk in wire.every(self.body, 0x1A, MAX_NODES):
            yield read_node(chunk)


def read_function(data: memoryview) -> Function:
    """Decode one ``FunctionDef``.

    Raises:
        Malformed: It is broken.
    """
    ops: Counter[str] = Counter()
    calls: list[str] = []
    signature: memoryview | None = None
    is_alternative = False
    size = 0
    for tag, _, chunk in wire.fields(data):
        if tag == 0x1A:
            node = read_node(chunk)
            ops[node.op] += 1
            calls += node.calls
            size += 1
            if len(calls) > MAX_CALLS or size > MAX_NODES:
                raise Malformed(f"a function has more than {MAX_NODES:,} nodes or {MAX_CALLS:,} calls")
        elif tag == 0x2A and wire.entry(chunk)[0] == "api_implements":
            is_alternative = True
        elif tag == 0x0A:
            if signature is not None:
                raise Malformed("a function has two signatures")
            signature = chunk
    name, arguments = _function_signature(signature) if signature is not None else ("", ())
    return Function(name, arguments, ops, tuple(calls), is_alternative, data)


def _function_signature(data: memoryview) -> tuple[str, tuple[str, ...]]:
    name, arguments = "", []
    for tag, _, chunk in wire.fields(data):
        if tag == 0x0A:
            name = wire.text(chunk)
        elif tag == 0x12:
            arguments.append("".join(wire.text(part) for inner, _, part in wire.fields(chunk) if inner == 0x0A))
            if len(arguments) > MAX_FIELDS_PER_MESSAGE:
                raise Malformed("a function has more arguments than any real one")
    return name, tuple(arguments)


@dataclass(frozen=True, slots=True)
class Graph:
    """A ``GraphDef``: the main graph's nodes by name, the function library, and the functions used as gradients."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)
    gradients: frozenset[str] = frozenset()
    min_consumer: int = 0

    def op_counts(self) -> Counter[str]:
        """How often each op occurs, in the main graph and in every function."""
        counts = Counter(node.op for node in self.nodes.values())
        for function in self.functions.values():
            counts.update(function.ops)
        return counts


def read_graph(data: memoryview) -> Graph:
    """Decode a ``GraphDef``.

    Raises:
        Malformed: It is broken, larger than any real one, or has two nodes or functions of one name.
    """
    nodes: dict[str, Node] = {}
    functions: dict[str, Function] = {}
    gradients: set[str] = set()
    min_consumer = total = inputs = 0
    for tag, _, chunk in wire.fields(data):
        if tag == _NODE:
            node = read_node(chunk)
            total += 1
            inputs += len(node.inputs) + len(node.calls)
            if node.name in nodes:
                raise Malformed(f"two nodes are called {node.name[:80]!r}")
            nodes[node.name] = node
        elif tag == _LIBRARY:
            total += _read_library(chunk, functions, gradients)
        elif tag == _VERSIONS:
            min_consumer = max([0, *(number for inner, number, _ in wire.fields(chunk) if inner == 0x10)])
        if total > MAX_NODES or inputs > MAX_INPUTS:
            raise Malformed(f"the graph has more than {MAX_NODES:,} nodes or {MAX_INPUTS:,} inputs")
    return Graph(nodes, functions, frozenset(gradients), min_consumer)


def _read_library(data: memoryview, functions: dict[str, Function], gradients: set[str]) -> int:
    total = calls = 0
    for tag, _, chunk in wire.fields(data):
        if tag == 0x0A:
            function = read_function(chunk)
            if function.name in functions:
                raise Malformed(f"two functions are called {function.name[:80]!r}")
            functions[function.name] = function
            total += function.size
            calls += len(function.calls)
        elif tag in (0x12, 0x1A):
            name_tag = 0x12 if tag == 0x12 else 0x0A
            gradients.update(wire.text(part) for inner, _, part in wire.fields(chunk) if inner == name_tag)
        if max(len(functions), len(gradients)) > MAX_FUNCTIONS or total > MAX_NODES or calls > MAX_CALLS:
            most = f"{MAX_FUNCTIONS:,} functions, {MAX_NODES:,} nodes or {MAX_CALLS:,} calls"
            raise Malformed(f"the function library has more than {most}")
    return total
