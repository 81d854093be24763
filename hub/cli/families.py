"""What ``hub lineage`` and ``hub yank`` print of the versions around a version."""

from hub.cli.output import put_rows, say
from hub.domain.impact import Impact
from hub.protocol.family import Family
from hub.protocol.schemas import Lineage

_HEADERS = ("VERSION", "IS", "OF", "STATE")
_SHOWN = 10


def put_lineage(found: Lineage) -> None:
    """Print both directions of a version's lineage."""
    rows = [
        (found.version.reference, node.edge.kind, f"{node.edge.model}@{node.edge.number}", _state(node.version))
        for node in found.parents
    ]
    rows += [
        (node.version.reference if node.version else "?", node.edge.kind, found.version.reference, _state(node.version))
        for node in found.children
    ]
    put_rows(_HEADERS, rows)
    hidden = found.hidden_children + found.hidden_parents
    if hidden:
        say(f"{hidden} more that you may not see.")
    if not rows and not hidden:
        say(f"{found.version.reference} came from nothing here, and nothing came from it.")


def put_family(found: Family) -> None:
    """Print the ties of a family, one a line."""
    versions = {relative.reference: relative.version for relative in found.relatives}
    put_rows(_HEADERS, [(tie.child, tie.kind, tie.parent, _state(versions[tie.child])) for tie in found.ties])
    for relative in found.relatives:
        for count, what in relative.hidden.counted():
            say(f"{relative.reference}: {count} {what} that you may not see.")
    if found.is_cut:
        say("There are more; these are the nearest.")
    if not found.ties:
        say(f"{found.centre} came from nothing here, and nothing came from it.")


def warn_of(impact: Impact) -> None:
    """Say what a withdrawal would do."""
    for move in impact.moves:
        where = f"mean @{move.after} instead" if move.after else "lead nowhere any more"
        say(f"{move.reference} would {where}.")
    for word, standing in (("head", impact.heads), ("version made from it", impact.derived)):
        if standing:
            names = ", ".join(version.reference for version in standing[:_SHOWN])
            more = f" and {len(standing) - _SHOWN} more" if len(standing) > _SHOWN else ""
            say(f"Would stay pinned to it and work: {word} {names}{more}.")
    if impact.hidden:
        say(f"Would stay pinned to it and work: {impact.hidden} that you may not see.")


def _state(version: object) -> str:
    return str(getattr(version, "state", "gone"))
