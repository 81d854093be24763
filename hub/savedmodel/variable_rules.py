"""Rules over the variables: are they there, whole, and those the graph asks for.

Law: what the session loader would leave without a value is found without running it: a variable that a signature
reads in the main graph and that neither the restore operation nor an initializer writes.

Source: ``load.py`` (object graph), ``loader_impl.py`` (session).
"""

from collections.abc import Iterator, Sequence

from hub.domain.reports import Finding
from hub.domain.tensors import format_shape, shape_fits
from hub.savedmodel.bundle import INDEX, Bundle, contradictions, not_finite
from hub.savedmodel.layout import Layout
from hub.savedmodel.metagraph import MetaGraph
from hub.savedmodel.objects import ObjectGraph, paired_nodes, read_checkpoint_graph
from hub.savedmodel.reachability import Reach, Role, node_name, reach
from hub.savedmodel.rules import clip, finding
from hub.savedmodel.tensor_proto import read_constant

VARIABLE_OPS = {"VarHandleOp", "VariableV2", "Variable"}
_VALUE = "VARIABLE_VALUE"


def check_presence(layout: Layout, meta: MetaGraph | None, reaches: Sequence[Reach]) -> Iterator[Finding]:
    """Whether there is an index where one is needed."""
    files = layout.files
    if INDEX in files:
        return
    if "variables.index" in files:
        yield finding("layout.flattened-variables", "variables.index is not in a folder variables/.", "variables.index")
    elif meta is not None and _needs_variables(meta, reaches):
        yield finding("layout.missing-variables", "There is no variables/variables.index.", "variables/")


def _needs_variables(meta: MetaGraph, reaches: Sequence[Reach]) -> bool:
    if meta.objects is not None or meta.saver.restore_operation:
        return True
    run = {name for reached in reaches if reached.role is Role.SIGNATURE for name in reached.nodes}
    return any(meta.graph.nodes[name].op in VARIABLE_OPS for name in run)


def check_bundle(bundle: Bundle) -> Iterator[Finding]:
    """The index by itself and against the shards."""
    for path in bundle.missing_shards():
        yield finding("layout.missing-shard", f"{path} is missing: the model has no weights.", path)
    for name, clause in contradictions(bundle):
        yield finding("variables.contradiction", f"The stored tensor {clip(name)} {clause}.", INDEX)


def check_numbers(bundle: Bundle) -> Iterator[Finding]:
    """Whether the weights are numbers, as far as their first ones tell."""
    for name in not_finite(bundle):
        yield finding("variables.not-finite", f"The stored tensor {clip(name)} has NaN or infinite numbers.", INDEX)


def check_stored_objects(objects: ObjectGraph, bundle: Bundle) -> Iterator[Finding]:
    """The stored tensors against the object graph's variables.

    Raises:
        Malformed: The checkpoint's own object graph is broken.
        OSError: The shard cannot be read.
    """
    packed = bundle.object_graph()
    if packed is None:
        yield finding("variables.missing-tensor", "The checkpoint has no object graph.", INDEX)
        return
    checkpoint = read_checkpoint_graph(packed)
    for node, stored_node in paired_nodes(objects, checkpoint):
        key = checkpoint[stored_node].keys.get(_VALUE)
        if objects.nodes[node].kind != "variable" or key is None:
            continue
        variable = objects.nodes[node].variable()
        stored = bundle.tensors.get(key)
        if stored is None:
            yield finding(
                "variables.missing-tensor", f"The variable {clip(variable.name or key)} is not stored.", INDEX
            )
        elif stored.dtype != variable.dtype or not shape_fits(stored.shape, variable.shape):
            message = (
                f"The variable {clip(variable.name or key)} is {variable.dtype}{format_shape(variable.shape)}, "
                f"stored is {stored.dtype}{format_shape(stored.shape)}."
            )
            yield finding("variables.mismatch", message, INDEX)


def check_stored_nodes(meta: MetaGraph, bundle: Bundle) -> Iterator[Finding]:
    """The stored tensors against what the main graph's restore operation asks for."""
    graph = meta.graph
    restoring = reach(graph, Role.SAVER, "", nodes=[name for name in (meta.saver.restore_operation,) if name])
    for name in sorted(restoring.nodes):
        node = graph.nodes[name]
        source = graph.nodes.get(node_name(node.inputs[1])) if len(node.inputs) > 1 else None
        if node.op != "RestoreV2" or source is None or source.op != "Const":
            continue
        tensor = source.attr_message("value", 0x42)
        for key in read_constant(tensor).strings if tensor is not None else ():
            if key not in bundle.tensors:
                yield finding("variables.missing-tensor", f"The variable {clip(key)} is not stored.", INDEX)


def check_portable(meta: MetaGraph, reaches: Sequence[Reach]) -> Iterator[Finding]:
    """Variables that a signature reads and the session loader never fills."""
    if not meta.saver.restore_operation:
        return
    graph = meta.graph
    starts = [meta.saver.restore_operation, *meta.init_operations]
    filled = reach(graph, Role.SAVER, "", nodes=[name for name in starts if name]).nodes
    read = {name for reached in reaches if reached.role is Role.SIGNATURE for name in reached.nodes}
    empty = sorted(name for name in read - filled if graph.nodes[name].op == "VarHandleOp")
    if empty:
        message = (
            f"{len(empty)} variables that signatures read are not restored by the session loader, "
            f"which TensorFlow Serving, C, Java and Go use (the first is {clip(empty[0])})."
        )
        yield finding("portable.unrestored", message, meta.label)
