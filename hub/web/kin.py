"""What the lineage page draws of a family: which versions as boxes, which together as one, and what they say. Pure.

Laws: the centre is always drawn; of more than :data:`MAX_SIBLINGS` that hang on one version only the first
are, the others are one box that counts them; what is hidden is a box that only counts; at most
:data:`MAX_DRAWN` versions are drawn.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from hub.domain.versions import Version
from hub.protocol.family import Family, Relative, Tie
from hub.web.formats import plural

MAX_SIBLINGS = 6
MAX_DRAWN = 80
_SHOWN_SIBLINGS = 5
_MAX_CHARS = 26
_MORE, _HIDDEN = "more:", "hidden:"
WORDS = {
    "head_of": "head of",
    "finetuned_from": "fine-tuned from",
    "converted_from": "converted from",
    "follows": "the next after",
}


@dataclass(frozen=True, slots=True)
class Node:
    """One box.

    Attributes:
        name: What the drawing knows it by.
        label: Its first line.
        note: Its second line.
        title: What it says in full.
        sort: ``trunk``, ``head``, ``gone``, ``hidden`` or ``more``.
        version: The version it is, if it is one that there is.
        opens: The version whose cluster it is.
    """

    name: str
    label: str
    note: str
    title: str
    sort: str
    version: Version | None = None
    opens: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes and what is between them: parent, child and kind."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str, str], ...]


def picture(family: Family, opened: Collection[str]) -> Picture:
    """Choose what is drawn.

    Args:
        family: What there is.
        opened: The versions whose siblings are all shown.
    """
    ties = _drawn_ties(family.ties)
    clusters = _clusters(family, ties, opened)
    away = {child for children in clusters.values() for child in children}
    near = _within_reach(family.centre, [tie for tie in ties if tie.child not in away and tie.parent not in away])
    shown = [relative for relative in family.relatives if relative.reference in near][:MAX_DRAWN]
    names = {relative.reference for relative in shown}
    owner = family.centre.partition("/")[0]
    nodes = [_node(relative, owner) for relative in shown]
    edges: list[tuple[str, str, str]] = [
        (tie.parent, tie.child, tie.kind) for tie in ties if {tie.parent, tie.child} <= names
    ]
    for (parent, kind), children in clusters.items():
        if parent in names:
            name, noun = f"{_MORE}{kind}:{parent}", plural(len(children), kind)
            nodes.append(Node(name, f"+ {noun}", "show them", f"{noun} more on {parent}", "more", opens=parent))
            edges.append((parent, name, "head_of" if kind == "head" else "finetuned_from"))
    for relative in shown:
        for before, noun, count in _hidden_at(relative):
            name = f"{_HIDDEN}{before}:{noun}:{relative.reference}"
            nodes.append(Node(name, plural(count, noun), "not to be shown", "You may not see more of it.", "hidden"))
            pair = (name, relative.reference) if before else (relative.reference, name)
            edges.append((*pair, "hidden"))
    return Picture(tuple(nodes), tuple(edges))


def _drawn_ties(ties: Sequence[Tie]) -> list[Tie]:
    """One for each pair, the most telling; versions that hang on the same one are not drawn one after the other."""
    best: dict[tuple[str, str], Tie] = {}
    for tie in ties:
        if tie.kind != "follows" or (tie.child, tie.parent) not in best:
            best[tie.child, tie.parent] = tie
    made_from: dict[str, set[str]] = defaultdict(set)
    for tie in best.values():
        if tie.kind != "follows":
            made_from[tie.child].add(tie.parent)
    return [tie for tie in best.values() if tie.kind != "follows" or not made_from[tie.child] & made_from[tie.parent]]


def _clusters(family: Family, ties: Iterable[Tie], opened: Collection[str]) -> dict[tuple[str, str], list[str]]:
    """Who is not drawn but counted, by the version they hang on and their kind."""
    hanging: dict[tuple[str, str], list[str]] = defaultdict(list)
    kinds = {one.reference: one.version.kind.value for one in family.relatives if one.version is not None}
    for tie in ties:
        if tie.kind != "follows" and tie.parent not in opened and tie.child in kinds and tie.child != family.centre:
            hanging[tie.parent, kinds[tie.child]].append(tie.child)
    return {key: children[_SHOWN_SIBLINGS:] for key, children in hanging.items() if len(children) > MAX_SIBLINGS}


def _within_reach(centre: str, ties: Iterable[Tie]) -> set[str]:
    beside: dict[str, list[str]] = defaultdict(list)
    for tie in ties:
        beside[tie.child].append(tie.parent)
        beside[tie.parent].append(tie.child)
    found, waiting = {centre}, [centre]
    while waiting:
        new = [one for one in beside[waiting.pop()] if one not in found]
        found.update(new)
        waiting += new
    return found


def _node(relative: Relative, owner: str) -> Node:
    version, reference = relative.version, relative.reference
    text = reference.removeprefix(f"{owner}/")
    label = text if len(text) <= _MAX_CHARS else f"{text[: _MAX_CHARS - 8]}…{text[-7:]}"
    if version is None:
        return Node(reference, label, "not in this hub", f"{reference} is not in this hub", "gone")
    facts = [version.kind.value, version.state.value, *version.aliases]
    note = " · ".join(facts)
    note = note if len(note) <= _MAX_CHARS + 4 else f"{note[: _MAX_CHARS + 3]}…"
    return Node(reference, label, note, f"{reference}: {', '.join(facts)}", version.kind.value, version)


def _hidden_at(relative: Relative) -> list[tuple[bool, str, int]]:
    """Whether they come before it, what they are, and how many."""
    hidden = relative.hidden
    found = [(True, "private trunk", hidden.trunks_before), (False, "private trunk", hidden.trunks_after)]
    return [one for one in (*found, (False, "private head", hidden.heads_after)) if one[2]]
