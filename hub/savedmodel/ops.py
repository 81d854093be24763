"""Which ops run, who runs them, and what the policy says about that.

Laws: an unknown op anywhere keeps the model from loading, whoever runs it; a denied op counts where a signature, the
tuning face, an initializer, the saver, a gradient or what only ``signature_def`` has reaches it, and is only a warning
elsewhere; a function of the library that has the name of one of TensorFlow's ops does not hide what that op may do.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from hub.domain.reports import Finding
from hub.savedmodel.graph import Graph, Node
from hub.savedmodel.limits import MAX_CONSTANT_BYTES, MAX_CONSTANTS_BYTES
from hub.savedmodel.op_policy import OpPolicy, policies, probable_package
from hub.savedmodel.reachability import Reach, Role
from hub.savedmodel.rules import clip, finding
from hub.savedmodel.tensor_proto import read_constant

_PRINT_STREAMS = {"", "stdout", "stderr", "log(info)", "log(warning)", "log(error)"}
FILE_ATTRIBUTES = {
    "PrintV2": "output_stream",
    "FixedUnigramCandidateSampler": "vocab_file",
    "DecodeProtoV2": "descriptor_source",
    "EncodeProto": "descriptor_source",
}
JAX_MODULE = "XlaCallModule"
_SHOWN_OPS = 20


class Use(NamedTuple):
    """That somebody runs an op: the place of one occurrence, and the way there."""

    role: Role
    label: str
    place: str


class Growth(NamedTuple):
    """How many bytes a constant is written with, and what they stand for; 0 where that is about as much."""

    stored: int
    bytes: int


def uses(graph: Graph, reaches: Iterable[Reach]) -> dict[str, dict[tuple[Role, str], Use]]:
    """For every op who runs it, with one place each; ops that nobody runs are there with nobody."""
    found: dict[str, dict[tuple[Role, str], Use]] = {}
    for node in graph.nodes.values():
        found.setdefault(node.op, {})
    for function in graph.functions.values():
        for op in function.ops:
            found.setdefault(op, {})
    for reached in reaches:
        root = (reached.role, reached.label)
        for name in reached.nodes:
            found[graph.nodes[name].op].setdefault(root, Use(*root, f"node {clip(name)}"))
        for name in reached.functions:
            for op in graph.functions[name].ops:
                if root not in found[op]:
                    found[op][root] = Use(*root, clip(reached.path_to(name)))
    return found


def place_of(graph: Graph, op: str) -> str:
    """One place where an op occurs."""
    for node in graph.nodes.values():
        if node.op == op:
            return f"node {clip(node.name)}"
    return next((f"function {clip(name)}" for name, held in graph.functions.items() if op in held.ops), "")


def check_ops(graph: Graph, reaches: list[Reach]) -> Iterator[Finding]:
    """Everything the policy says about a graph."""
    table = policies()
    signatures = {(reached.role, reached.label) for reached in reaches if reached.role is Role.SIGNATURE}
    unknown: list[str] = []
    for op, users in sorted(uses(graph, reaches).items()):
        policy = table.get(op)
        if op in graph.functions and policy is None:
            continue
        if policy is None:
            unknown.append(op)
        elif policy.permission == "absent":
            yield _absent(graph, op, policy, users, signatures)
        elif policy.permission == "deny":
            yield _denied(graph, op, policy, users)
        elif policy.permission == "checkpoint":
            yield from _checkpoint_io(op, users)
        elif not policy.has_cpu_kernel and any(role is Role.SIGNATURE for role, _ in users):
            place = next(iter(users.values())).place
            yield finding("ops.no-cpu-kernel", f"{op} has no implementation for CPUs.", place)
    yield from _unknown(graph, unknown)
    yield from _check_attributes(graph)


def _unknown(graph: Graph, ops: list[str]) -> Iterator[Finding]:
    """One finding for all ops that come from the same package, one each for ops from nobody knows where."""
    by_source: dict[str, list[str]] = {}
    for op in ops:
        by_source.setdefault(probable_package(op) or op, []).append(op)
    for source, held in by_source.items():
        named = ", ".join(clip(op) for op in held[:_SHOWN_OPS])
        more = f" and {len(held) - _SHOWN_OPS} more" if len(held) > _SHOWN_OPS else ""
        origin = f", probably from {source}" if source not in held else ""
        message = f"unknown custom op{'s' if len(held) > 1 else ''} {named}{more}{origin}"
        yield finding("ops.unknown", message, place_of(graph, held[0]))


def _absent(
    graph: Graph,
    op: str,
    policy: OpPolicy,
    users: Mapping[tuple[Role, str], Use],
    signatures: set[tuple[Role, str]],
) -> Finding:
    place = next((use.place for use in users.values()), place_of(graph, op))
    message = f"TensorFlow ships no kernel for {op}: {policy.reason}."
    failing = sorted(label for role, label in users if role is Role.SIGNATURE)
    loads = not any(role is Role.INITIALIZER for role, _ in users)
    if loads and not (signatures and signatures <= users.keys()):
        which = f" Signatures that need it: {', '.join(clip(label) for label in failing)}." if failing else ""
        return finding("ops.no-kernel-somewhere", message + which, place)
    return finding("ops.no-kernel", message, place)


def _denied(graph: Graph, op: str, policy: OpPolicy, users: Mapping[tuple[Role, str], Use]) -> Finding:
    if not users:
        message = f"{op} is not allowed, but nothing the hub runs reaches it: {policy.reason}."
        return finding("ops.denied-unused", message, place_of(graph, op))
    return finding("ops.denied", f"{op} is not allowed: {policy.reason}.", next(iter(users.values())).place)


def _checkpoint_io(op: str, users: Mapping[tuple[Role, str], Use]) -> Iterator[Finding]:
    for use in users.values():
        if use.role is not Role.SAVER:
            yield finding("ops.checkpoint-io", f"{op} is not allowed outside the saver: it opens any path.", use.place)
            return


def scoped_nodes(graph: Graph, ops: frozenset[str] | set[str]) -> Iterator[tuple[str, Node]]:
    """Nodes of these ops with the function they are in (empty for the main graph)."""
    for node in graph.nodes.values():
        if node.op in ops:
            yield "", node
    for name, function in graph.functions.items():
        if not ops.isdisjoint(function.ops):
            for node in function.nodes():
                if node.op in ops:
                    yield name, node


def _check_attributes(graph: Graph) -> Iterator[Finding]:
    grown = 0
    for scope, node in scoped_nodes(graph, {*FILE_ATTRIBUTES, JAX_MODULE, "Const"}):
        place = f"node {clip(node.name)}" + (f" in function {clip(scope)}" if scope else "")
        if node.op == "Const":
            by = _growth(node)
            grown += by.bytes
            if by.bytes > MAX_CONSTANT_BYTES:
                yield finding("graph.constant", f"A constant of {by.stored:,} bytes stands for {by.bytes:,}.", place)
        elif node.op == JAX_MODULE:
            yield from _check_module(node, place)
        else:
            yield from _check_file_attribute(node, FILE_ATTRIBUTES[node.op], place)
    if grown > MAX_CONSTANTS_BYTES:
        message = f"Constants that are written down as one value stand for {grown:,} bytes, all of them together."
        yield finding("graph.constant", message)


def _check_file_attribute(node: Node, key: str, place: str) -> Iterator[Finding]:
    value = node.attr_text(key)
    if node.is_attr_taken(key):
        message = f"{node.op} takes {key} from whatever calls its function, and would open what it names."
        yield finding("ops.file-attribute", message, place)
    elif not _is_harmless(node.op, value):
        message = f"{node.op} has {key}={clip(value)!r}, which would be opened."
        yield finding("ops.file-attribute", message, place)


def _is_harmless(op: str, value: str) -> bool:
    if op == "PrintV2":
        return value in _PRINT_STREAMS
    if op == "FixedUnigramCandidateSampler":
        return not value
    return value in ("", "local://") or value.startswith("bytes://")


def _growth(node: Node) -> Growth:
    tensor = node.attr_message("value", 0x42)
    if tensor is None:
        return Growth(0, 0)
    constant = read_constant(tensor)
    grows = constant.declared_bytes > 4 * constant.stored_bytes
    return Growth(constant.stored_bytes, constant.declared_bytes if grows else 0)


def _check_module(node: Node, place: str) -> Iterator[Finding]:
    if "custom_call" in node.attr_text("module"):
        yield finding("ops.native-call", "A compiled module calls native functions by name.", place)
    else:
        message = "XlaCallModule holds a compiled module, whose computation is not visible."
        yield finding("ops.opaque-module", message, place)


def written_state(graph: Graph, reached: Reach) -> list[str]:
    """Ops by which a root writes variables or tables."""
    table = policies()
    return sorted(op for op in reached.ops(graph) if op in table and table[op].writes_state)
