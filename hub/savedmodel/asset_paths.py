"""Whether lookup tables read the model's own assets and nothing else.

A table's file name is traced back to where it comes from: through identities, function arguments to every caller, and
variables that only hold a path, until an asset is found. Anything else could be any file of the machine.

Source: ``InitializeTableFromTextFileV2``; ``load.py`` gives assets their path as a captured input.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from hub.domain.reports import Finding
from hub.savedmodel.graph import Graph, Node
from hub.savedmodel.limits import MAX_TRACE_STEPS
from hub.savedmodel.metagraph import MetaGraph
from hub.savedmodel.ops import scoped_nodes
from hub.savedmodel.reachability import node_name
from hub.savedmodel.rules import clip, finding

_FROM_FILE = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
_PASSING = {"Identity", "EnsureShape", "StopGradient", "Reshape", "Squeeze", "ReadVariableOp", "VarHandleOp"}
_BRANCHING = {"If", "StatelessIf", "Case", "StatelessCase"}
"""Ops whose first input chooses the function and is not passed to it."""


def check_table_files(meta: MetaGraph) -> Iterator[Finding]:
    """Tables whose file name does not come from an asset."""
    tracer = _Tracer(meta)
    for scope, node in scoped_nodes(meta.graph, _FROM_FILE):
        source = node.inputs[1] if len(node.inputs) > 1 else ""
        if not tracer.comes_from_assets(scope, source):
            place = f"node {clip(node.name)}" + (f" in function {clip(scope)}" if scope else "")
            yield finding("ops.table-file", "A lookup table reads a file that is not an asset of the model.", place)


@dataclass(frozen=True)
class _Tracer:
    meta: MetaGraph
    steps: list[tuple[str, str]] = field(default_factory=list)
    opened: dict[str, dict[str, Node]] = field(default_factory=dict)

    @cached_property
    def graph(self) -> Graph:
        return self.meta.graph

    @cached_property
    def asset_nodes(self) -> frozenset[str]:
        return frozenset(node_name(asset.tensor) for asset in self.meta.assets if asset.tensor)

    @cached_property
    def callers(self) -> Mapping[str, list[tuple[str, Node]]]:
        """Every node that calls a function, by the function's name."""
        found: dict[str, list[tuple[str, Node]]] = {}
        scopes = [("", self.graph.nodes.values())]
        scopes += [(name, held.nodes()) for name, held in self.graph.functions.items() if held.calls]
        for scope, nodes in scopes:
            for node in nodes:
                for called in node.calls:
                    found.setdefault(called, []).append((scope, node))
        return found

    @cached_property
    def assigned(self) -> Mapping[str, list[str]]:
        """What the main graph assigns to each of its variables."""
        found: dict[str, list[str]] = {}
        for node in self.graph.nodes.values():
            if node.op in ("AssignVariableOp", "Assign") and len(node.inputs) > 1:
                found.setdefault(node_name(node.inputs[0]), []).append(node.inputs[1])
        return found

    def nodes_of(self, function: str) -> dict[str, Node]:
        """The nodes of a function by name, read once."""
        if function not in self.opened:
            self.opened[function] = {node.name: node for node in self.graph.functions[function].nodes()}
        return self.opened[function]

    def comes_from_assets(self, scope: str, reference: str) -> bool:
        """Whether every origin of a value is an asset, and there is one."""
        seen: set[tuple[str, str]] = set()
        todo = [(scope, reference)]
        found_asset = False
        while todo:
            step = todo.pop()
            if step in seen:
                continue
            seen.add(step)
            sources = self._sources(*step)
            self.steps.append(step)
            if sources is None or len(self.steps) > MAX_TRACE_STEPS:
                return False
            found_asset = found_asset or not sources
            todo += sources
        return found_asset

    def _sources(self, scope: str, reference: str) -> list[tuple[str, str]] | None:
        """Where a value comes from: empty for an asset, None where it is anything else."""
        if scope:
            return self._sources_in_function(scope, reference)
        node = self.graph.nodes.get(node_name(reference))
        if node is None:
            return None
        if node.name in self.asset_nodes:
            return []
        if node.op == "VarHandleOp":
            values = self.assigned.get(node.name)
            return [("", value) for value in values] if values else None
        return [("", node.inputs[0])] if node.op in _PASSING and node.inputs else None

    def _sources_in_function(self, scope: str, reference: str) -> list[tuple[str, str]] | None:
        function = self.graph.functions[scope]
        name = node_name(reference)
        if name in function.arguments:
            return self._sources_of_argument(scope, function.arguments.index(name))
        node = self.nodes_of(scope).get(name)
        if node is None or node.op not in _PASSING or not node.inputs:
            return None
        return [(scope, node.inputs[0])]

    def _sources_of_argument(self, function: str, index: int) -> list[tuple[str, str]] | None:
        bound = self._bound_object(function, index)
        if bound not in ("", "asset"):
            return None
        sources = []
        for scope, node in self.callers.get(function, []):
            position = index + (1 if node.op in _BRANCHING else 0)
            if position >= len(node.inputs):
                return None
            sources.append((scope, node.inputs[position]))
        if bound == "asset":
            return sources
        return sources or None

    def _bound_object(self, function: str, index: int) -> str:
        """The kind of object a trace binds to an argument; empty where the object graph says nothing of it."""
        objects = self.meta.objects
        trace = objects.functions.get(function) if objects is not None else None
        if objects is None or trace is None:
            return ""
        position = index - (len(self.graph.functions[function].arguments) - len(trace.bound))
        if position < 0:
            return "caller"
        found = objects.at(trace.bound[position])
        return found.kind if found is not None else "nothing"
