"""``hub lineage``: what a version came from, and what came from it."""

from hub.cli.arguments import JsonOption, ReferenceArgument
from hub.cli.output import put_json, put_rows, say


def lineage(reference: ReferenceArgument, json: JsonOption = False) -> None:
    """Show what a version came from and what hangs on it."""
    from hub.client.operations import Operations

    with Operations() as client:
        version = client.resolve(reference)
        found = client.lineage(version.model, version.number)
    if json:
        put_json(found)
        return
    rows = [
        (found.version.reference, node.edge.kind, f"{node.edge.model}@{node.edge.number}", _state(node.version))
        for node in found.parents
    ]
    rows += [
        (node.version.reference if node.version else "?", node.edge.kind, found.version.reference, _state(node.version))
        for node in found.children
    ]
    put_rows(("VERSION", "IS", "OF", "STATE"), rows)
    if found.hidden_children:
        say(f"{found.hidden_children} more that you may not see.")
    if not rows and not found.hidden_children:
        say(f"{found.version.reference} came from nothing here, and nothing came from it.")


def _state(version: object) -> str:
    return str(getattr(version, "state", "gone"))
