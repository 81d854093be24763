"""The one curve that a model's first page shows, drawn on the server: no script, no further request.

Law: whatever is wrong with it, the page is a page without it.
"""

from dataclasses import dataclass

from hub.domain.curves import Curve
from hub.domain.errors import HubError
from hub.protocol.curves import DrawnCurve
from hub.web.visits import Visit

WIDTH, HEIGHT = 640, 120
_MAX_RUNS = 4
_LONE = "h4"
"""A point without neighbours is a dash this long, because a path of one point draws nothing."""


@dataclass(frozen=True, slots=True)
class HeadlineRun:
    """One line of it; ``path`` is an SVG path within ``WIDTH`` by ``HEIGHT``."""

    curve: Curve
    index: int
    path: str


@dataclass(frozen=True, slots=True)
class Headline:
    """A tag, its lines, and where their values begin and end."""

    url: str
    tag: str
    runs: tuple[HeadlineRun, ...]
    low: float
    high: float
    first: int
    last: int


def headline_of(visit: Visit, name: str, number: int) -> Headline | None:
    """The headline of a version: the curves of the tag that stands for it; None where they cannot be drawn."""
    try:
        drawn = visit.house.curves.headline(visit.principal, name, number, limit=_MAX_RUNS).items
    except HubError:
        return None
    return _drawn(f"/{name}/training?versions={number}", [each for each in drawn if each.curve.min])


def _drawn(url: str, drawn: list[DrawnCurve]) -> Headline | None:
    if not drawn:
        return None
    values = [value for each in drawn for value in each.values if value is not None]
    steps = [step for each in drawn for step in (each.steps[0], each.steps[-1])]
    low, high, first, last = min(values), max(values), min(steps), max(steps)
    across, up = WIDTH / ((last - first) or 1), (HEIGHT - 4) / ((high - low) or 1.0)
    runs = tuple(
        HeadlineRun(each.curve, index, _path(each, first, across, low, up)) for index, each in enumerate(drawn)
    )
    return Headline(url, drawn[0].curve.tag, runs, low, high, first, last)


def _path(drawn: DrawnCurve, first: int, across: float, low: float, up: float) -> str:
    """Pairs of x and y with a move after each gap; of the points on one pixel column only the last is drawn."""
    column: dict[float, float | None] = {}
    for step, value in zip(drawn.steps, drawn.values, strict=True):
        column[round((step - first) * across)] = None if value is None else HEIGHT - 2 - (value - low) * up
    pieces: list[list[str]] = [[]]
    for x, y in column.items():
        if y is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{x} {y:.1f}")
    return "".join(f"M{'L'.join(piece)}{_LONE if len(piece) == 1 else ''}" for piece in pieces if piece)
