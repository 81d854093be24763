"""Figures about a model, for people.

Law: parameters are counted once: those in the root's ``variables``, else those that signatures capture. A SavedModel
may store each of them two or three times (optimizer slots, Keras variables beside TensorFlow's).
"""

from collections.abc import Iterator, Sequence
from math import prod

from hub.domain.reports import Facts
from hub.domain.tensors import Shape
from hub.savedmodel.layout import Layout
from hub.savedmodel.metagraph import MetaGraph
from hub.savedmodel.objects import ObjectGraph
from hub.savedmodel.reachability import Reach, Role
from hub.savedmodel.rules import clip
from hub.savedmodel.tensor_proto import read_shape
from hub.savedmodel.variable_rules import VARIABLE_OPS

_MAX_COUNT = (1 << 63) - 1


def facts_of(layout: Layout, meta: MetaGraph | None, reaches: Sequence[Reach]) -> Facts:
    """Everything that can be counted."""
    shards = [entry.size for path, entry in layout.files.items() if path.startswith("variables/variables.data-")]
    if meta is None:
        return Facts(total_bytes=layout.size, variables_bytes=sum(shards))
    counts = sorted(meta.graph.op_counts().items(), key=lambda item: (-item[1], item[0]))
    return Facts(
        tensorflow_version=clip(meta.tensorflow_version) if meta.tensorflow_version else None,
        tags=tuple(clip(tag) for tag in meta.tags),
        parameters=min(_parameters(meta, reaches), _MAX_COUNT),
        variables_bytes=sum(shards),
        total_bytes=layout.size,
        ops={clip(op): count for op, count in counts},
        assets=tuple(clip(asset.filename) for asset in meta.assets),
        saved_by=_saved_by(meta.objects),
    )


def _saved_by(objects: ObjectGraph | None) -> str:
    if objects is None:
        return "TensorFlow 1"
    identifier = objects.root.identifier() if objects.nodes else ""
    if identifier.startswith("_tf_keras"):
        return "Keras 2"
    names = {name for name, _ in objects.root.children} if objects.nodes else set()
    if names & {"_tracked", "_endpoint_names", "_misc_assets"} or any(name.startswith("_layers") for name in names):
        return "Keras 3"
    return "TensorFlow 2"


def _parameters(meta: MetaGraph, reaches: Sequence[Reach]) -> int:
    if meta.objects is not None and meta.objects.nodes:
        return sum(_elements(shape) for shape in _object_shapes(meta.objects, reaches))
    read = {name for reached in reaches if reached.role is Role.SIGNATURE for name in reached.nodes}
    total = 0
    for name in read:
        node = meta.graph.nodes[name]
        shape = node.attr_message("shape", 0x3A) if node.op in VARIABLE_OPS else None
        total += _elements(read_shape(shape)) if shape is not None else 0
    return total


def _elements(shape: Shape) -> int:
    return 0 if shape is None else prod(size or 0 for size in shape)


def _object_shapes(objects: ObjectGraph, reaches: Sequence[Reach]) -> Iterator[Shape]:
    listed = objects.items(objects.root, "variables")
    if listed is None:
        run = {name for reached in reaches if reached.role is Role.SIGNATURE for name in reached.functions}
        listed = tuple(node for name in run if name in objects.functions for node in objects.functions[name].bound)
    for node in dict.fromkeys(listed):
        held = objects.at(node)
        if held is not None and held.kind != "variable":
            held = next((inner for _, child in held.children if (inner := objects.at(child)) is not None), None)
        if held is not None and held.kind == "variable":
            yield held.variable().shape
