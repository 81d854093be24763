"""The object graph: what a TensorFlow 2 model is made of, as ``tf.saved_model.load`` builds it.

Law: node 0 is the root; functions are referred to by the name they have in the graph's library.

Source: ``saved_object_graph.proto``, ``trackable_object_graph.proto``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from hub.domain.tensors import Shape
from hub.savedmodel import wire
from hub.savedmodel.limits import MAX_OBJECTS, MAX_REFERENCES
from hub.savedmodel.tensor_proto import dtype_name, read_shape
from hub.savedmodel.wire import Malformed

_KINDS = {
    0x22: "user_object",
    0x2A: "asset",
    0x32: "function",
    0x3A: "variable",
    0x42: "bare_function",
    0x4A: "constant",
    0x52: "resource",
    0x62: "captured_tensor",
}


class Variable(NamedTuple):
    """A ``SavedVariable``."""

    name: str
    dtype: str
    shape: Shape


class SavedObject(NamedTuple):
    """One object.

    Attributes:
        kind: Which of the protocol's kinds it is; empty where it says none.
        children: Name and node of everything it holds.
        body: The undecoded message of that kind.
        savers: Nodes of the functions that save and restore it.
        slots: How many optimizer slots it has.
    """

    kind: str
    children: tuple[tuple[str, int], ...]
    body: memoryview
    savers: tuple[int, ...]
    slots: int

    def child(self, name: str) -> int | None:
        """The node of that name."""
        return next((node for key, node in self.children if key == name), None)

    def identifier(self) -> str:
        """A user object's identifier, such as ``signature_map``."""
        if self.kind != "user_object":
            return ""
        return "".join([wire.text(chunk) for tag, _, chunk in wire.fields(self.body) if tag == 0x0A][-1:])

    def function_names(self) -> tuple[str, ...]:
        """The concrete functions of a function object."""
        if self.kind == "function":
            return tuple(wire.text(chunk) for chunk in wire.every(self.body, 0x0A))
        if self.kind == "bare_function":
            return tuple(wire.text(chunk) for chunk in list(wire.every(self.body, 0x0A))[-1:])
        return ()

    def function_spec(self) -> memoryview | None:
        """The undecoded ``FunctionSpec`` of a function object."""
        return wire.only(self.body, 0x12) if self.kind == "function" else None

    def asset_index(self) -> int:
        """Which asset file an asset object stands for."""
        return max([0, *(wire.signed(value) for tag, value, _ in wire.fields(self.body) if tag == 0x08)])

    def variable(self) -> Variable:
        """Name, type and shape of a variable object."""
        name, number = "", 0
        shape: Shape = ()
        for tag, value, chunk in wire.fields(self.body):
            if tag == 0x08:
                number = value
            elif tag == 0x12:
                shape = read_shape(chunk)
            elif tag == 0x32:
                name = wire.text(chunk)
        return Variable(name, dtype_name(number), shape)


class ConcreteFunction(NamedTuple):
    """A trace: what it captures, and its undecoded arguments and results."""

    bound: tuple[int, ...]
    arguments: memoryview | None
    results: memoryview | None


@dataclass(frozen=True, slots=True)
class ObjectGraph:
    """All objects and all traces."""

    nodes: tuple[SavedObject, ...]
    functions: Mapping[str, ConcreteFunction]

    @property
    def root(self) -> SavedObject:
        """The object ``tf.saved_model.load`` returns."""
        return self.nodes[0]

    def at(self, node: int | None) -> SavedObject | None:
        """The object at a node; None where there is none."""
        return self.nodes[node] if node is not None and 0 <= node < len(self.nodes) else None

    def child(self, parent: SavedObject, name: str) -> SavedObject | None:
        """The object a parent holds under a name."""
        return self.at(parent.child(name))

    def items(self, owner: SavedObject, name: str) -> tuple[int, ...] | None:
        """The nodes of a list an object holds; None where it holds no such list."""
        held = self.child(owner, name)
        if held is None or held.kind not in ("user_object", ""):
            return None
        numbered = {key: node for key, node in held.children if key.isdecimal()}
        return tuple(numbered[key] for key in sorted(numbered, key=int))

    def functions_of(self, node: int | None) -> tuple[str, ...]:
        """The traces of the function object at a node."""
        found = self.at(node)
        return found.function_names() if found is not None else ()


def read_object_graph(data: memoryview) -> ObjectGraph:
    """Decode a ``SavedObjectGraph``.

    Raises:
        Malformed: It is broken, or larger than any real one.
    """
    nodes: list[SavedObject] = []
    functions: dict[str, ConcreteFunction] = {}
    references = 0
    for tag, _, chunk in wire.fields(data):
        if tag == 0x0A:
            found = _read_object(chunk)
            nodes.append(found)
            references += len(found.children) + len(found.savers) + 1
        elif tag == 0x12:
            name, value = wire.entry(chunk)
            functions[name] = _read_concrete_function(value)
            references += len(functions[name].bound) + 1
        if len(nodes) > MAX_OBJECTS or references > MAX_REFERENCES:
            raise Malformed(f"the object graph has more than {MAX_OBJECTS:,} objects or {MAX_REFERENCES:,} references")
    return ObjectGraph(tuple(nodes), functions)


def _read_object(data: memoryview) -> SavedObject:
    kind, body, slots = "", memoryview(b""), 0
    children: list[tuple[str, int]] = []
    savers: list[int] = []
    for tag, _, chunk in wire.fields(data):
        if tag == 0x0A:
            children.append(_read_reference(chunk))
        elif tag in _KINDS:
            if kind:
                raise Malformed("an object is of two kinds")
            kind, body = _KINDS[tag], chunk
        elif tag == 0x5A:
            _, saveable = wire.entry(chunk)
            savers += [wire.signed(value) for inner, value, _ in wire.fields(saveable) if inner in (0x10, 0x18)]
        elif tag == 0x1A:
            slots += 1
        if len(children) + len(savers) > MAX_REFERENCES:
            raise Malformed("an object holds too many others")
    return SavedObject(kind, tuple(children), body, tuple(savers), slots)


def _read_reference(data: memoryview) -> tuple[str, int]:
    name, node = "", 0
    for tag, value, chunk in wire.fields(data):
        if tag == 0x08:
            node = wire.signed(value)
        elif tag == 0x12:
            name = wire.text(chunk)
    return name, node


def _read_concrete_function(data: memoryview) -> ConcreteFunction:
    bound: list[int] = []
    for tag, value, chunk in wire.fields(data):
        if tag in (0x10, 0x12):
            bound += islice(wire.integers(tag, value, chunk), MAX_REFERENCES + 1)
        if len(bound) > MAX_REFERENCES:
            raise Malformed(f"a function has more than {MAX_REFERENCES:,} captures")
    return ConcreteFunction(tuple(bound), wire.only(data, 0x1A), wire.only(data, 0x22))


class Checkpointed(NamedTuple):
    """One object of a checkpoint: what it holds, and the keys of its tensors by attribute name."""

    children: tuple[tuple[str, int], ...]
    keys: Mapping[str, str]


def read_checkpoint_graph(data: memoryview) -> tuple[Checkpointed, ...]:
    """Decode a ``TrackableObjectGraph``.

    Raises:
        Malformed: It is broken, or larger than any real one.
    """
    found = []
    references = 0
    for chunk in wire.every(data, 0x0A, MAX_OBJECTS):
        found.append(_read_checkpointed(chunk))
        references += len(found[-1].children)
        if references > MAX_REFERENCES:
            raise Malformed(f"the checkpoint's object graph has more than {MAX_REFERENCES:,} references")
    return tuple(found)


def _read_checkpointed(data: memoryview) -> Checkpointed:
    children, keys = [], {}
    for tag, _, chunk in wire.fields(data):
        if tag == 0x0A:
            children.append(_read_reference(chunk))
        elif tag == 0x12:
            parts = {inner: wire.text(part) for inner, _, part in wire.fields(chunk) if inner in (0x0A, 0x1A)}
            keys[parts.get(0x0A, "")] = parts.get(0x1A, "")
        if len(children) > MAX_REFERENCES:
            raise Malformed("an object of the checkpoint holds too many others")
    return Checkpointed(tuple(children), keys)


def paired_nodes(graph: ObjectGraph, checkpoint: tuple[Checkpointed, ...]) -> Iterator[tuple[int, int]]:
    """Which node of the checkpoint stands for which object: both are walked from the root along equal child names."""
    seen = {0: 0}
    todo = [(0, 0)] if graph.nodes and checkpoint else []
    while todo:
        node, stored = todo.pop()
        yield node, stored
        known = dict(checkpoint[stored].children)
        for name, child in graph.nodes[node].children:
            other = known.get(name)
            if other is None or child in seen or not 0 <= child < len(graph.nodes) or not 0 <= other < len(checkpoint):
                continue
            seen[child] = other
            todo.append((child, other))
