"""Rules over the graph, the object graph and the assets: is everything there that is referred to, and of sane size.

Law: reachability is worked out here once and handed to everyone who asks what a signature runs.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from hub.domain.reports import Finding
from hub.savedmodel import limits
from hub.savedmodel.layout import Layout
from hub.savedmodel.metagraph import MetaGraph
from hub.savedmodel.objects import ObjectGraph, SavedObject
from hub.savedmodel.reachability import Reach, Role, dangling, expand, reach, require_affordable
from hub.savedmodel.reader import Reading
from hub.savedmodel.rules import clip, finding
from hub.savedmodel.tuning_face import tuning_functions

RESOURCE_FUNCTIONS = ("_create_resource", "_initialize", "_destroy_resource")
_HARMLESS_DUNDERS = {"__call__"}
LOADER_INTERNALS = {
    "_add_trackable_child",
    "_add_variable_with_custom_getter",
    "_checkpoint_adapter",
    "_checkpoint_dependencies",
    "_copy_trackable_to_cpu",
    "_deferred_dependencies",
    "_delete_tracking",
    "_deserialization_dependencies",
    "_deserialize_from_proto",
    "_destruction_context",
    "_export_to_saved_model_graph",
    "_gather_saveables_for_checkpoint",
    "_handle_deferred_dependencies",
    "_lookup_dependency",
    "_maybe_initialize_trackable",
    "_name_based_attribute_restore",
    "_name_based_restores",
    "_no_dependency",
    "_object_identifier",
    "_preload_simple_restoration",
    "_resource_handle",
    "_resource_type",
    "_restore_from_tensors",
    "_serialize_to_proto",
    "_serialize_to_tensors",
    "_setattr_tracking",
    "_tf_api_names",
    "_tf_api_names_v1",
    "_track_trackable",
    "_trackable_children",
    "_unconditional_checkpoint_dependencies",
    "_unconditional_dependency_names",
    "_update_uid",
}
"""Attributes of TensorFlow's trackable objects. The loader sets children as attributes and then calls some of these:
a function of the model in their place would run while the model is loaded."""
_HELD_BY_FUNCTIONS = re.compile(r"(trace|capture)_\d+", re.ASCII)
_FUNCTIONS = ("function", "bare_function")
_VALUES = ("variable", "asset", "constant", "captured_tensor")


def reaches_of(meta: MetaGraph, readings: Mapping[str, Reading]) -> list[Reach]:
    """What each signature, the initializers, the tuning face, the saver and the gradients run.

    Raises:
        Malformed: There are too many signatures for a graph of this size.
    """
    graph, objects = meta.graph, meta.objects
    require_affordable(len({*readings, *meta.signatures}) + 4, graph)
    found = [
        reach(graph, Role.SIGNATURE, name, nodes=reading.tensors, functions=reading.functions, fed=reading.inputs)
        for name, reading in readings.items()
    ]
    init_functions = list(_resource_functions(objects)) if objects is not None else []
    found.append(reach(graph, Role.INITIALIZER, "", nodes=meta.init_operations, functions=init_functions))
    if objects is not None and objects.nodes:
        found.append(reach(graph, Role.TUNING, "", functions=tuning_functions(objects)))
    saver_functions = list(_saver_functions(objects)) if objects is not None else []
    saver_nodes = [name for name in meta.saver if name]
    found.append(reach(graph, Role.SAVER, "", nodes=saver_nodes, functions=saver_functions))
    alternatives = [name for name, function in graph.functions.items() if function.is_alternative]
    found.append(reach(graph, Role.GRADIENT, "", functions=[*graph.gradients, *alternatives]))
    found += _unmapped(meta)
    return found


def _unmapped(meta: MetaGraph) -> Iterator[Reach]:
    """What signatures run that only ``signature_def`` has: the session loader serves them, the hub does not."""
    objects = meta.objects
    held = objects.child(objects.root, "signatures") if objects is not None and objects.nodes else None
    if held is None:
        return
    mapped = {name for name, _ in held.children}
    for name, definition in meta.signatures.items():
        if name not in mapped:
            fetched = [info.tensor for info in definition.outputs.values()]
            fed = [info.tensor for info in definition.inputs.values()]
            yield reach(meta.graph, Role.DEFINITION, name, nodes=fetched, fed=fed)


def _resource_functions(objects: ObjectGraph) -> Iterator[str]:
    for held in objects.nodes:
        for name, node in held.children:
            if name in RESOURCE_FUNCTIONS:
                yield from objects.functions_of(node)


def _saver_functions(objects: ObjectGraph) -> Iterator[str]:
    for held in objects.nodes:
        for node in held.savers:
            yield from objects.functions_of(node)


def check_meta_graphs(meta_graphs: Sequence[MetaGraph], meta: MetaGraph | None) -> Iterator[Finding]:
    """Whether it is clear what is served."""
    if not meta_graphs:
        yield finding("graph.no-meta-graph", "saved_model.pb has no meta graph.", "saved_model.pb")
        return
    labels = ", ".join(clip(found.label) for found in meta_graphs)
    has_objects = any(found.objects is not None for found in meta_graphs)
    if len(meta_graphs) > 1 and (has_objects or meta is None):
        yield finding("graph.ambiguous", f"saved_model.pb has several: {labels}.", "saved_model.pb")
    elif len(meta_graphs) > 1:
        chosen = clip(meta.label) if meta is not None else ""
        yield finding("graph.more-meta-graphs", f"saved_model.pb has {labels}; {chosen} is served.", "saved_model.pb")


def check_graph(meta: MetaGraph, reaches: Sequence[Reach]) -> Iterator[Finding]:
    """Versions, references and sizes of the graph."""
    if meta.graph.min_consumer > limits.GRAPH_VERSION:
        message = f"The graph asks for version {meta.graph.min_consumer}, TensorFlow 2.21 is {limits.GRAPH_VERSION}."
        yield finding("graph.future", message, meta.label)
    run = {name for reached in reaches for name in reached.functions}
    for name in dangling(meta.graph, run):
        yield finding("graph.dangling", f"There is no node or function {clip(name)!r}.", meta.label)
    expansion = expand(meta.graph)
    if expansion.recursive is not None:
        yield finding("graph.recursion", f"Function {clip(expansion.recursive)} calls itself.", meta.label)
    if expansion.depth > limits.MAX_CALL_DEPTH:
        message = f"Functions call each other {expansion.depth:,} levels deep."
        yield finding("graph.call-depth", message, meta.label)
    if expansion.nodes > limits.MAX_EXPANDED_NODES:
        message = f"The graph grows beyond {limits.MAX_EXPANDED_NODES:,} nodes when its calls are inlined."
        yield finding("graph.expansion", message, meta.label)
    if meta.objects is None:
        yield finding("graph.tf1", "The model is in TensorFlow 1's format, without an object graph.", meta.label)


def check_objects(meta: MetaGraph, objects: ObjectGraph) -> Iterator[Finding]:
    """References and names in the object graph."""
    slots = 0
    for number, held in enumerate(objects.nodes):
        slots += held.slots
        for name, node in held.children:
            if not 0 <= node < len(objects.nodes):
                yield _no_object(f"child {clip(name)} of object {number}")
            if _replaces(name, held, objects.at(node)):
                message = f"Object {number} has a child {clip(name)!r}, which would replace a part of Python objects."
                yield finding("objects.child-name", message, f"object {number}")
        for name in held.function_names():
            if name not in meta.graph.functions or name not in objects.functions:
                yield _no_object(f"function {clip(name)} of object {number}")
        if held.kind == "asset" and not 0 <= held.asset_index() < len(meta.assets):
            yield _no_object(f"asset of object {number}")
    for name, trace in objects.functions.items():
        if any(not 0 <= node < len(objects.nodes) for node in trace.bound):
            yield _no_object(f"capture of function {clip(name)}")
    if not objects.nodes:
        yield _no_object("root")
    if slots:
        yield finding("objects.optimizer-slots", f"{slots} optimizer slots are stored with the weights.")


def _replaces(name: str, holder: SavedObject, child: SavedObject | None) -> bool:
    """Whether a child would take the place of something the loader or a caller uses of its holder."""
    if name in LOADER_INTERNALS or (_is_dunder(name) and name not in _HARMLESS_DUNDERS):
        return True
    if child is None or child.kind not in _FUNCTIONS:
        return False
    if holder.kind in _FUNCTIONS:
        return _HELD_BY_FUNCTIONS.fullmatch(name) is None
    return holder.kind in _VALUES


def _is_dunder(name: str) -> bool:
    return len(name) > 4 and name.startswith("__") and name.endswith("__")


def _no_object(what: str) -> Finding:
    return finding("objects.dangling", f"The {what} does not exist.", "object graph")


def check_assets(meta: MetaGraph, layout: Layout) -> Iterator[Finding]:
    """Whether every asset is a plain file below ``assets/`` that is there."""
    files = layout.files
    for asset in meta.assets:
        name = asset.filename
        parts = name.split("/")
        if not name or "\\" in name or ":" in name or any(part in ("", ".", "..") for part in parts):
            yield finding("assets.path", f"The asset {clip(name)!r} lies outside assets/.", "saved_model.pb")
        elif f"assets/{name}" not in files:
            yield finding("layout.missing-asset", f"The asset file assets/{clip(name)} is missing.", "assets/")
