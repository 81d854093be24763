"""Writers of SavedModels, byte by byte: what no TensorFlow would write can be written with them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import snappy

from hub.savedmodel.table import masked_crc32c

FIXTURES = Path(__file__).parents[1] / "fixtures" / "savedmodels"
"""Small models that TensorFlow wrote."""

Value = int | str | bytes


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(*fields: tuple[int, Value]) -> bytes:
    """A protobuf message: integers as varints, texts and bytes length-delimited."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            raw = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(raw)) + raw
    return out


def shape(*sizes: int) -> bytes:
    return message(*((2, message((1, size))) for size in sizes))


def node(name: str, op: str, inputs: Iterable[str] = (), **attrs: bytes) -> bytes:
    entries = [(5, message((1, key), (2, value))) for key, value in attrs.items()]
    return message((1, name), (2, op), *((3, each) for each in inputs), *entries)


def call_attr(function: str) -> bytes:
    return message((10, message((1, function))))


def text_attr(value: str) -> bytes:
    return message((2, value))


def text_const(name: str, value: str) -> bytes:
    """A constant that is one text."""
    tensor = message((1, 7), (2, b""), (8, value))
    return node(name, "Const", [], value=message((8, tensor)), dtype=message((6, 7)))


def number_const(name: str, *sizes: int) -> bytes:
    """A constant of floats of that shape, written down as one value."""
    tensor = message((1, 1), (2, shape(*sizes)), (5, b"\0\0\0\0"))
    return node(name, "Const", [], value=message((8, tensor)), dtype=message((6, 1)))


def function(name: str, nodes: Iterable[bytes] = (), arguments: Iterable[str] = ()) -> bytes:
    signature = message((1, name), *((2, message((1, each))) for each in arguments))
    return message((1, signature), *((3, each) for each in nodes))


def spec(name: str, dtype: int, *sizes: int) -> bytes:
    """A StructuredValue that holds a TensorSpec."""
    return message((33, message((1, name), (2, shape(*sizes)), (3, dtype))))


def structure_dict(**values: bytes) -> bytes:
    return message((53, message(*((1, message((1, key), (2, value))) for key, value in values.items()))))


def structure_tuple(*values: bytes) -> bytes:
    return message((52, message(*((1, value) for value in values))))


def saved_object(kind: int, body: bytes = b"", children: Iterable[tuple[str, int]] = ()) -> bytes:
    return message(*((1, message((1, index), (2, name))) for name, index in children), (kind, body))


def tensor_info(tensor: str, dtype: int, *sizes: int) -> bytes:
    return message((1, tensor), (2, dtype), (3, shape(*sizes)))


def table(rows: Iterable[tuple[bytes, bytes]], *, is_packed: bool = False) -> bytes:
    """A sorted table with one block of data, without prefix compression."""
    entries = b"".join(b"\0" + varint(len(key)) + varint(len(value)) + key + value for key, value in rows)
    block = entries + _RESTARTS
    return sealed_table(snappy.compress(block) if is_packed else block, int(is_packed))


def sealed_table(block: bytes, kind: int = 0, *, named: int = 1) -> bytes:
    """A table with one block of data as it is stored, whatever is in it, which its index names so many times."""
    out = b""

    def add_block(stored: bytes, kind: int) -> bytes:
        nonlocal out
        handle = varint(len(out)) + varint(len(stored))
        out += stored + bytes([kind]) + masked_crc32c(stored + bytes([kind])).to_bytes(4, "little")
        return handle

    data = add_block(block, kind)
    meta = add_block(_RESTARTS, 0)
    rows = [b"\0\5" + varint(len(data)) + b"\xff" + at.to_bytes(4, "big") + data for at in range(named)]
    index = add_block(b"".join(rows) + _RESTARTS, 0)
    return out + (meta + index).ljust(40, b"\0") + (0xDB4775248B80FB57).to_bytes(8, "little")


_RESTARTS = (0).to_bytes(4, "little") + (1).to_bytes(4, "little")
"""The end of a block: whole keys begin at its first entry, and there only."""


def entry(dtype: int, sizes: tuple[int, ...], offset: int, size: int, shard: int = 0) -> bytes:
    return message((1, dtype), (2, shape(*sizes)), (3, shard), (4, offset), (5, size))


CHECKPOINT_KEY = b"_CHECKPOINTABLE_OBJECT_GRAPH"


@dataclass
class ModelWriter:
    """A TensorFlow 2 model ``y = f(x)`` with one variable ``w``; every part can be replaced before it is written."""

    root: Path
    body: list[bytes] = field(default_factory=lambda: [node("y", "Identity", ["x"])])
    functions: list[bytes] = field(default_factory=list)
    nodes: list[bytes] = field(default_factory=list)
    gradients: list[str] = field(default_factory=list)
    objects: list[bytes] = field(default_factory=list)
    root_children: list[tuple[str, int]] = field(default_factory=list)
    captures: dict[str, list[int]] = field(default_factory=dict)
    assets: list[bytes] = field(default_factory=list)
    variable_children: list[tuple[str, int]] = field(default_factory=list)
    signature_children: list[tuple[str, int]] = field(default_factory=list)
    arguments: bytes = structure_tuple(structure_tuple(), structure_dict(x=spec("x", 1, -1)))
    claimed_input: bytes = tensor_info("serving_default_x:0", 1, -1)
    claimed_output: bytes = tensor_info("call:0", 1, -1)
    call_inputs: list[str] = field(default_factory=list)
    saver: bytes = b""
    versions: bytes = b""
    more_fields: list[tuple[int, Value]] = field(default_factory=list)
    meta_graphs: int = 1
    shards: int = 1
    variable: bytes = message((1, 1), (2, shape(2)), (6, "w"))
    stored: bytes = entry(1, (2,), 0, 8)
    data: bytes = b"\0" * 8

    def write(self) -> Path:
        (self.root / "variables").mkdir(parents=True, exist_ok=True)
        meta_graph = self._meta_graph()
        (self.root / "saved_model.pb").write_bytes(message((1, 1), *((2, meta_graph) for _ in range(self.meta_graphs))))
        (self.root / "variables/variables.index").write_bytes(self._index())
        graph = self._checkpoint_graph()
        (self.root / "variables/variables.data-00000-of-00001").write_bytes(
            self.data + varint(len(graph)) + b"\0\0\0\0" + graph
        )
        return self.root

    def _meta_graph(self) -> bytes:
        library = message(
            *((1, each) for each in (function("f", self.body, ["x"]), *self.functions)),
            *((2, message((1, "f"), (2, each))) for each in self.gradients),
        )
        main = [node("serving_default_x", "Placeholder"), *self.nodes]
        main.append(node("call", "StatefulPartitionedCall", ["serving_default_x", *self.call_inputs], f=call_attr("f")))
        graph = message(*((1, each) for each in main), (2, library), (4, self.versions))
        signature = message((1, message((1, "x"), (2, self.claimed_input))))
        signature += message((2, message((1, "y"), (2, self.claimed_output))))
        info = message((4, "serve"), (5, "2.21.0"))
        return message(
            (1, info),
            (2, graph),
            *([(3, self.saver)] if self.saver else []),
            (5, message((1, "serving_default"), (2, signature))),
            *((6, each) for each in self.assets),
            (7, self._object_graph()),
            *self.more_fields,
        )

    def _object_graph(self) -> bytes:
        results = structure_dict(y=spec("y", 1, -1))
        objects = [
            saved_object(4, b"", [("signatures", 1), ("w", 3), *self.root_children]),
            saved_object(4, message((1, "signature_map")), [("serving_default", 2), *self.signature_children]),
            saved_object(8, message((1, "f"))),
            saved_object(7, self.variable, self.variable_children),
            *self.objects,
        ]
        functions = []
        for name in ("f", *(f"extra{index}" for index in range(len(self.functions)))):
            bound = b"".join(varint(each) for each in self.captures.get(name, []))
            functions.append(message((1, name), (2, message((2, bound), (3, self.arguments), (4, results)))))
        return message(*((1, each) for each in objects), *((2, each) for each in functions))

    def _checkpoint_graph(self) -> bytes:
        attribute = message((1, "VARIABLE_VALUE"), (2, "w"), (3, "w/.ATTRIBUTES/VARIABLE_VALUE"))
        return message((1, message((1, message((1, 1), (2, "w"))))), (1, message((2, attribute))))

    def _index(self) -> bytes:
        graph = self._checkpoint_graph()
        size = len(varint(len(graph))) + 4 + len(graph)
        return table(
            [
                (b"", message((1, self.shards))),
                (CHECKPOINT_KEY, entry(7, (), len(self.data), size)),
                (b"w/.ATTRIBUTES/VARIABLE_VALUE", self.stored),
            ]
        )


class Write:
    """The writers under one name, for tests."""

    message = staticmethod(message)
    varint = staticmethod(varint)
    shape = staticmethod(shape)
    node = staticmethod(node)
    call_attr = staticmethod(call_attr)
    text_attr = staticmethod(text_attr)
    text_const = staticmethod(text_const)
    number_const = staticmethod(number_const)
    function = staticmethod(function)
    spec = staticmethod(spec)
    structure_dict = staticmethod(structure_dict)
    structure_tuple = staticmethod(structure_tuple)
    saved_object = staticmethod(saved_object)
    tensor_info = staticmethod(tensor_info)
    table = staticmethod(table)
    entry = staticmethod(entry)
