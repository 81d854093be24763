"""``saved_model.pb``: meta graphs with their tags, signatures, collections, assets and saver.

Law: which meta graph is served is decided here, the same for every reader: the only one; else the one tagged exactly
``serve``; else the only one whose tags hold ``serve``; else the only one without tags (TensorFlow 1 hub modules).

Source: ``saved_model.proto``, ``meta_graph.proto``, ``saver.proto``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.domain.tensors import Shape
from hub.savedmodel import wire
from hub.savedmodel.graph import Graph, read_graph
from hub.savedmodel.limits import MAX_ENTRIES, MAX_META_GRAPHS
from hub.savedmodel.objects import ObjectGraph, read_object_graph
from hub.savedmodel.tensor_proto import read_shape
from hub.savedmodel.wire import Malformed

INIT_SIGNATURES = ("__saved_model_init_op", "__saved_model_train_op")
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_ASSET_COLLECTION = "saved_model_assets"


class TensorInfo(NamedTuple):
    """A tensor of the main graph; ``tensor`` is empty where it is sparse or made of several."""

    tensor: str
    dtype: int
    shape: Shape


class SignatureDef(NamedTuple):
    """A signature as ``signature_def`` has it."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    method: str
    defaults: tuple[str, ...]


class AssetFile(NamedTuple):
    """An asset: which tensor of the main graph gets the path of which file."""

    tensor: str
    filename: str


class Saver(NamedTuple):
    """The tensors and operations that save and restore the main graph's variables."""

    filename_tensor: str = ""
    save_tensor: str = ""
    restore_operation: str = ""


_NO_SAVER = Saver()


@dataclass(frozen=True, slots=True)
class MetaGraph:
    """One meta graph."""

    tags: tuple[str, ...] = ()
    tensorflow_version: str | None = None
    graph: Graph = field(default_factory=Graph)
    saver: Saver = _NO_SAVER
    signatures: Mapping[str, SignatureDef] = field(default_factory=dict)
    init_operations: tuple[str, ...] = ()
    assets: tuple[AssetFile, ...] = ()
    objects: ObjectGraph | None = None

    @property
    def label(self) -> str:
        """How people call it."""
        return f"meta graph [{', '.join(self.tags)}]"


def read_saved_model(data: memoryview) -> tuple[MetaGraph, ...]:
    """Decode ``saved_model.pb``.

    Raises:
        Malformed: It is broken, or larger than any real one.
    """
    return tuple(_read_meta_graph(chunk) for chunk in wire.every(data, 0x12, MAX_META_GRAPHS))


def served(meta_graphs: Sequence[MetaGraph]) -> MetaGraph | None:
    """The meta graph that is served; None where that is not clear."""
    candidates = (
        list(meta_graphs),
        [found for found in meta_graphs if found.tags == ("serve",)],
        [found for found in meta_graphs if "serve" in found.tags],
        [found for found in meta_graphs if not found.tags],
    )
    return next((found[0] for found in candidates if len(found) == 1), None)


def _read_meta_graph(data: memoryview) -> MetaGraph:
    signatures: dict[str, SignatureDef] = {}
    collections: dict[str, memoryview] = {}
    assets: list[AssetFile] = []
    for tag, _, chunk in wire.fields(data):
        if tag == 0x2A:
            name, value = wire.entry(chunk)
            signatures[name] = _read_signature(value)
        elif tag == 0x22:
            name, value = wire.entry(chunk)
            collections[name] = value
        elif tag == 0x32:
            assets.append(_read_asset(chunk))
        if max(len(signatures), len(assets), len(collections)) > MAX_ENTRIES:
            raise Malformed("a meta graph has more signatures, collections or assets than any real one")
    info, graph, saver, objects = (wire.only(data, tag) for tag in (0x0A, 0x12, 0x1A, 0x3A))
    tags, version = _read_info(info) if info is not None else ((), None)
    assets += _collected_assets(collections)
    return MetaGraph(
        tags=tags,
        tensorflow_version=version,
        graph=read_graph(graph) if graph is not None else Graph(),
        saver=_read_saver(saver) if saver is not None else _NO_SAVER,
        signatures={name: found for name, found in sorted(signatures.items()) if name not in INIT_SIGNATURES},
        init_operations=_init_operations(collections, signatures),
        assets=tuple(dict.fromkeys(assets)),
        objects=read_object_graph(objects) if objects is not None else None,
    )


def _read_info(data: memoryview) -> tuple[tuple[str, ...], str | None]:
    tags, version = [], None
    for tag, _, chunk in wire.fields(data):
        if tag == 0x22:
            tags.append(wire.text(chunk))
            if len(tags) > MAX_ENTRIES:
                raise Malformed(f"a meta graph has more than {MAX_ENTRIES:,} tags")
        elif tag == 0x2A:
            version = wire.text(chunk)
    return tuple(tags), version


def _read_saver(data: memoryview) -> Saver:
    parts = {tag: wire.text(chunk) for tag, _, chunk in wire.fields(data) if tag in (0x0A, 0x12, 0x1A)}
    return Saver(parts.get(0x0A, ""), parts.get(0x12, ""), parts.get(0x1A, ""))


def _read_signature(data: memoryview) -> SignatureDef:
    inputs: dict[str, TensorInfo] = {}
    outputs: dict[str, TensorInfo] = {}
    defaults: list[str] = []
    method = ""
    for tag, _, chunk in wire.fields(data):
        if tag in (0x0A, 0x12):
            name, value = wire.entry(chunk)
            (inputs if tag == 0x0A else outputs)[name] = _read_tensor_info(value)
        elif tag == 0x1A:
            method = wire.text(chunk)
        elif tag == 0x22:
            defaults.append(wire.entry(chunk)[0])
        if max(len(inputs), len(outputs), len(defaults)) > MAX_ENTRIES:
            raise Malformed(f"a signature has more than {MAX_ENTRIES:,} inputs, outputs or defaults")
    return SignatureDef(dict(sorted(inputs.items())), dict(sorted(outputs.items())), method, tuple(defaults))


def _read_tensor_info(data: memoryview) -> TensorInfo:
    tensor, dtype = "", 0
    shape: Shape = None  # a scalar is written as an empty shape; TensorFlow 1.0 wrote none at all, for any rank
    for tag, value, chunk in wire.fields(data):
        if tag == 0x0A:
            tensor = wire.text(chunk)
        elif tag == 0x10:
            dtype = value
        elif tag == 0x1A:
            shape = read_shape(chunk)
    return TensorInfo(tensor, dtype, shape)


def _read_asset(data: memoryview) -> AssetFile:
    info = wire.only(data, 0x0A)
    filename = "".join([wire.text(chunk) for tag, _, chunk in wire.fields(data) if tag == 0x12][-1:])
    return AssetFile(_read_tensor_info(info).tensor if info is not None else "", filename)


def _collected_assets(collections: Mapping[str, memoryview]) -> list[AssetFile]:
    listed = wire.only(collections.get(_ASSET_COLLECTION, memoryview(b"")), 0x2A)
    if listed is None:
        return []
    packed = (wire.only(chunk, 0x12) for chunk in wire.every(listed, 0x0A))
    return [_read_asset(chunk) for chunk in packed if chunk is not None]


def _init_operations(collections: Mapping[str, memoryview], signatures: Mapping[str, SignatureDef]) -> tuple[str, ...]:
    names = [info.tensor for key in INIT_SIGNATURES if key in signatures for info in signatures[key].outputs.values()]
    for key in _INIT_COLLECTIONS:
        listed = wire.only(collections.get(key, memoryview(b"")), 0x0A)
        names += [wire.text(chunk) for chunk in wire.every(listed, 0x0A)] if listed is not None else []
    return tuple(dict.fromkeys(names))
