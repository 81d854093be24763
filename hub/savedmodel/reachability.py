"""What runs when: from signatures, initializers, saver and gradients to the nodes and functions they reach.

Laws: a function bound in any attribute counts as called; branches that may never be taken count as taken.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from hub.savedmodel.graph import Function, Graph
from hub.savedmodel.limits import MAX_EXPANDED_NODES, MAX_RUN_STEPS
from hub.savedmodel.wire import Malformed


class Role(StrEnum):
    """Who runs something."""

    SIGNATURE = "signature"
    INITIALIZER = "initializer"
    TUNING = "tuning face"
    SAVER = "saver"
    GRADIENT = "gradient"
    DEFINITION = "signature_def"


@dataclass(frozen=True, slots=True)
class Reach:
    """Everything one root runs.

    Attributes:
        role: Who the root is.
        label: The root's own name.
        nodes: Names of nodes of the main graph.
        functions: Names of functions, each with the name of what called it.
    """

    role: Role
    label: str
    nodes: frozenset[str]
    functions: Mapping[str, str]

    def ops(self, graph: Graph) -> set[str]:
        """The ops that run."""
        found = {graph.nodes[name].op for name in self.nodes}
        for name in self.functions:
            found.update(graph.functions[name].ops)
        return found

    def path_to(self, function: str) -> str:
        """``signature serving_default → f → g``, shortened in the middle."""
        steps = [function]
        while steps[-1] in self.functions and len(steps) < 50:
            steps.append(self.functions[steps[-1]])
        named = [f"{self.role.value} {self.label}".strip(), *reversed(steps[:-1])]
        return " → ".join(named if len(named) <= 5 else [*named[:2], "…", *named[-2:]])


def node_name(reference: str) -> str:
    """The node an input like ``name:0`` or ``^name`` refers to."""
    return reference.removeprefix("^").split(":", 1)[0]


def callees(function: Function, graph: Graph) -> Iterable[str]:
    """The functions that a function calls: once per call by attribute, and once per kind where a name is used as op."""
    return [*function.calls, *(op for op in function.ops if op in graph.functions)]


def tensor_name(reference: str) -> str:
    """An input reference with its output number written out: ``name`` is ``name:0``."""
    return reference if ":" in reference or reference.startswith("^") else f"{reference}:0"


def reach(
    graph: Graph,
    role: Role,
    label: str,
    *,
    nodes: Iterable[str] = (),
    functions: Iterable[str] = (),
    fed: Iterable[str] = (),
) -> Reach:
    """Everything that runs from these nodes of the main graph and these functions.

    Args:
        graph: Where they are.
        role: Who the root is.
        label: The root's own name.
        nodes: Tensors or operations of the main graph that are fetched.
        functions: Functions that are called.
        fed: Tensors of the main graph that the caller gives: what makes them does not run.
    """
    given = {tensor_name(reference) for reference in fed}
    seen_nodes: set[str] = set()
    seen_functions: dict[str, str] = {}
    todo = [node_name(name) for name in nodes]
    calls = [(name, "") for name in functions]
    while todo:
        name = todo.pop()
        if name in seen_nodes or name not in graph.nodes:
            continue
        seen_nodes.add(name)
        node = graph.nodes[name]
        todo += [node_name(reference) for reference in node.inputs if tensor_name(reference) not in given]
        calls += [(called, "") for called in node.calls]
        if node.op in graph.functions:
            calls.append((node.op, ""))
    while calls:
        name, caller = calls.pop()
        if name in seen_functions or name not in graph.functions:
            continue
        seen_functions[name] = caller
        calls += [(called, name) for called in callees(graph.functions[name], graph)]
    return Reach(role, label, frozenset(seen_nodes), seen_functions)


@dataclass(frozen=True, slots=True)
class Expansion:
    """How large the graph becomes when calls are inlined."""

    nodes: int
    depth: int
    recursive: str | None


def expand(graph: Graph) -> Expansion:
    """Count nodes and nesting after inlining, over every function; counts stop rising beyond any allowed size."""
    called = {
        name: [to for to in callees(held, graph) if to in graph.functions] for name, held in graph.functions.items()
    }
    sizes: dict[str, tuple[int, int]] = {}
    open_now: set[str] = set()
    for start in graph.functions:
        stack = [(start, iter(called[start]))] if start not in sizes else []
        open_now.add(start)
        while stack:
            name, rest = stack[-1]
            following = next((other for other in rest if other not in sizes), None)
            if following is None:
                stack.pop()
                open_now.discard(name)
                nodes = graph.functions[name].size + sum(sizes[other][0] for other in called[name])
                depth = 1 + max((sizes[other][1] for other in called[name]), default=0)
                sizes[name] = (min(nodes, MAX_EXPANDED_NODES + 1), depth)
            elif following in open_now:
                return Expansion(0, 0, recursive=following)
            else:
                open_now.add(following)
                stack.append((following, iter(called[following])))
    return Expansion(
        nodes=len(graph.nodes) + max((nodes for nodes, _ in sizes.values()), default=0),
        depth=max((depth for _, depth in sizes.values()), default=0),
        recursive=None,
    )


def dangling(graph: Graph, running: Iterable[str]) -> list[str]:
    """Names that nodes of the main graph or functions that run refer to and that do not exist."""
    missing = []
    for node in graph.nodes.values():
        missing += [node_name(reference) for reference in node.inputs if node_name(reference) not in graph.nodes]
        missing += [name for name in node.calls if name and name not in graph.functions]
    for function in running:
        missing += [name for name in graph.functions[function].calls if name and name not in graph.functions]
    return list(dict.fromkeys(missing))


def require_affordable(roots: int, graph: Graph) -> None:
    """Refuse graphs whose roots alone make looking at them expensive.

    Raises:
        Malformed: There are too many roots for a graph of this size.
    """
    held = sum(1 + len(function.ops) + len(function.calls) for function in graph.functions.values())
    if roots * (len(graph.nodes) + held) > MAX_RUN_STEPS:
        raise Malformed(f"{roots} signatures on so large a graph are more than any real model has")
