"""The lineage page: the versions around a version as a drawing and as a list, and what breaks if one is withdrawn.

Law: the drawing and the list tell the same, and all that was chosen is in the URL: ``version``, ``depth``, ``focus``
(whose facts stand aside), ``open`` (whose siblings are all shown) and ``impact`` (what is withdrawn).
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from hub.domain.impact import Impact
from hub.protocol import paths
from hub.protocol.family import MAX_DEPTH, Family
from hub.web.kin import WORDS, Node, picture
from hub.web.layers import BOX_HEIGHT, BOX_WIDTH, draw
from hub.web.looks import look_at
from hub.web.shell import render
from hub.web.snippets import push_command
from hub.web.visits import Visit

DEFAULT_DEPTH = 2
_MAX_OPEN = 8


def lineage_page(visit: Visit) -> Response:
    """``/{owner}/{name}/lineage``."""
    withdrawn = visit.number("impact")
    look = look_at(visit, "lineage", "version" if withdrawn is None else "impact")
    name, version = look.model.name, look.version
    if version is None:
        facts = {"look": look, "family": None, "push_command": push_command(look.model, None)}
        return render(visit.request, "lineage.html", api=paths.model(name), **facts)
    number, asked = version.number, visit.number("depth")
    depth = asked if asked is not None and asked <= MAX_DEPTH else DEFAULT_DEPTH
    family = visit.house.families.around(visit.principal, name, number, depth)
    impact = None if withdrawn is None else visit.house.yanks.impact(visit.principal, name, number)
    opened = frozenset(visit.request.query_params.getlist("open")[:_MAX_OPEN])
    return render(
        visit.request,
        "lineage.html",
        api=f"{paths.family(name, number)}?depth={depth}",
        look=look,
        family=family,
        depths=[(each, _link(name, number, each)) for each in range(1, MAX_DEPTH + 1)],
        impact=impact,
        impact_link=_link(name, number, depth, impact=number) if impact is None else _link(name, number, depth),
        words=WORDS,
        **_drawing(family, impact, opened, lambda **more: _link(name, number, depth, **more)),
        **_focused(family, visit.request.query_params.get("focus")),
    )


def _link(name: str, number: int, depth: int, **more: Any) -> str:
    query = {"version": number, "depth": depth, **more}
    return f"/{name}/lineage?{urlencode(query, doseq=True)}"


def _drawing(family: Family, impact: Impact | None, opened: frozenset[str], link: Any) -> dict[str, Any]:
    """What the template draws."""
    shown = picture(family, opened)
    nodes = {node.name: node for node in shown.nodes}
    kinds = {(parent, child): kind for parent, child, kind in shown.edges}
    drawn = draw(list(nodes), list(kinds))
    struck = _struck(impact)
    boxes = [
        {
            "node": nodes[box.node],
            "x": box.x,
            "y": box.y,
            "href": _href(nodes[box.node], opened, link),
            "is_centre": box.node == family.centre,
            "is_struck": box.node in struck,
        }
        for box in drawn.boxes
    ]
    curves = [
        {"curve": curve, "kind": kinds[curve.parent, curve.child], "is_struck": curve.parent in struck}
        for curve in drawn.curves
    ]
    size = {"width": drawn.width, "height": drawn.height, "box_width": BOX_WIDTH, "box_height": BOX_HEIGHT}
    rows = [{"tie": tie, "about": link(focus=tie.child)} for tie in family.ties]
    drawn_versions = sum(node.version is not None or node.sort == "gone" for node in shown.nodes)
    left_out = len(family.relatives) - drawn_versions
    return {"boxes": boxes, "curves": curves, "size": size, "rows": rows, "left_out": left_out}


def _href(node: Node, opened: Iterable[str], link: Any) -> str | None:
    if node.version is not None:
        return f"/{node.version.model}/versions/{node.version.number}"
    return link(open=sorted({*opened, node.opens})) if node.opens is not None else None


def _struck(impact: Impact | None) -> set[str]:
    """What a withdrawal touches."""
    if impact is None:
        return set()
    return {version.reference for version in (impact.version, *impact.heads, *impact.derived)}


def _focused(family: Family, asked: str | None) -> dict[str, Any]:
    """The relative whose facts stand aside: the one that was asked for, else the centre."""
    known = {relative.reference: relative for relative in family.relatives}
    chosen = known.get(asked or family.centre) or known[family.centre]
    feeding = [tie for tie in family.ties if tie.child == chosen.reference and tie.signature is not None]
    return {"focus": chosen, "feeding": feeding[0] if feeding else None}
