"""A drawing of a graph without circles: boxes in columns, curves from left to right. Pure.

Laws: a curve always goes to the right; boxes never overlap, and no curve runs through one; the same graph is drawn the
same; a graph with circles is drawn too, only less well.

Source: Sugiyama, Tagawa, Toda 1981: layers by longest paths, empty places where an edge crosses a layer, order by
barycentres.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

BOX_WIDTH = 196
BOX_HEIGHT = 46
COLUMN_GAP = 104
_ROW_GAP = 14
_PLACE_HEIGHT = 10
_MARGIN = 12
_SWEEPS = 6
Place = str | tuple[str, str, int]
"""A box's name, or the parent, the child and the layer of an edge that crosses a layer."""


@dataclass(frozen=True, slots=True)
class Box:
    """Where a node is: its upper left corner."""

    node: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Curve:
    """An edge: what SVG draws it by, and where it ends."""

    parent: str
    child: str
    path: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """All of it, and its size."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    curves: tuple[Curve, ...]


def draw(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> Drawing:
    """Place nodes and edges.

    Args:
        nodes: Their names, each once; those that come first are placed higher where nothing else decides.
        edges: Parent and child, each pair once.
    """
    layer = _layers(nodes, edges)
    edges = [(parent, child) for parent, child in edges if layer[parent] < layer[child]]
    chains = {(parent, child): _chain(parent, child, layer) for parent, child in edges}
    columns = _columns(nodes, layer, chains)
    _untangle(columns, chains)
    heights = [sum(map(_height, column)) + _ROW_GAP * (len(column) - 1) for column in columns]
    tallest = max(heights, default=0)
    corners: dict[Place, tuple[float, float]] = {}
    for number, (column, height) in enumerate(zip(columns, heights, strict=True)):
        x, y = _MARGIN + number * (BOX_WIDTH + COLUMN_GAP), _MARGIN + (tallest - height) / 2
        for place in column:
            corners[place] = (x, y)
            y += _height(place) + _ROW_GAP
    width = 2 * _MARGIN + len(columns) * (BOX_WIDTH + COLUMN_GAP) - COLUMN_GAP
    boxes = tuple(Box(node, *corners[node]) for node in nodes)
    curves = tuple(_curve(chain, corners) for chain in chains.values())
    return Drawing(width, tallest + 2 * _MARGIN, boxes, curves)


def _layers(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The length of the longest path to each node; what nothing leads to stands right before its first child."""
    waiting = dict.fromkeys(nodes, 0)
    children: dict[str, list[str]] = defaultdict(list)
    for parent, child in edges:
        waiting[child] += 1
        children[parent].append(child)
    roots = [node for node in nodes if not waiting[node]]
    layer, ready = dict.fromkeys(nodes, 0), list(roots)
    while ready:
        parent = ready.pop()
        for child in children[parent]:
            layer[child] = max(layer[child], layer[parent] + 1)
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    for root in roots:
        if children[root]:
            layer[root] = max(0, min(layer[child] for child in children[root]) - 1)
    return layer


def _chain(parent: str, child: str, layer: Mapping[str, int]) -> list[Place]:
    between: list[Place] = [(parent, child, number) for number in range(layer[parent] + 1, layer[child])]
    return [parent, *between, child]


def _columns(
    nodes: Sequence[str], layer: Mapping[str, int], chains: Mapping[tuple[str, str], list[Place]]
) -> list[list[Place]]:
    columns: list[list[Place]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for node in nodes:
        columns[layer[node]].append(node)
    for chain in chains.values():
        for place in chain[1:-1]:
            if isinstance(place, tuple):
                columns[place[2]].append(place)
    return columns


def _untangle(columns: list[list[Place]], chains: Mapping[tuple[str, str], list[Place]]) -> None:
    """Order each column by where its neighbours to one side are, to and fro."""
    left: dict[Place, list[Place]] = defaultdict(list)
    right: dict[Place, list[Place]] = defaultdict(list)
    for chain in chains.values():
        for before, after in pairwise(chain):
            left[after].append(before)
            right[before].append(after)
    for sweep in range(_SWEEPS):
        towards, order = (left, columns) if sweep % 2 == 0 else (right, columns[::-1])
        at: dict[Place, float] = {}
        for column in order:
            own = {place: _relative(row, column) for row, place in enumerate(column)}
            means = {
                place: sum(at[other] for other in towards[place]) / len(towards[place])
                if towards[place]
                else own[place]
                for place in column
            }
            column.sort(key=means.__getitem__)
            at |= {place: _relative(row, column) for row, place in enumerate(column)}


def _relative(row: int, column: Sequence[Place]) -> float:
    """Rows from the middle, because columns are centred."""
    return row - (len(column) - 1) / 2


def _height(place: Place) -> int:
    return BOX_HEIGHT if isinstance(place, str) else _PLACE_HEIGHT


def _curve(chain: Sequence[Place], corners: Mapping[Place, tuple[float, float]]) -> Curve:
    points: list[tuple[float, float]] = []
    for place in chain:
        x, y = corners[place]
        middle = y + _height(place) / 2
        points += [(x, middle), (x + BOX_WIDTH, middle)]
    path, points = [f"M{points[1][0]:g} {points[1][1]:g}"], points[2:-1]
    for index, (x, y) in enumerate(points):
        if index % 2:
            path.append(f"L{x:g} {y:g}")
        else:
            was = float(path[-1][1:].split()[-1])
            path.append(f"C{x - COLUMN_GAP / 2:g} {was:g} {x - COLUMN_GAP / 2:g} {y:g} {x:g} {y:g}")
    x, y = points[-1]
    return Curve(str(chain[0]), str(chain[-1]), "".join(path), x, y)
