"""``hub lineage``: what a version came from, and what came from it."""

from typing import Annotated

import typer

from hub.cli.arguments import JsonOption, ReferenceArgument
from hub.cli.output import put_json

_MAX_DEPTH = 4  # the hub's: hub.protocol.family, which a command's help need not load


def lineage(
    reference: ReferenceArgument,
    depth: Annotated[
        int | None,
        typer.Option(
            min=1, max=_MAX_DEPTH, help="Go this many steps, also from version to version of a model. Without it, one."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what a version came from and what hangs on it."""
    from hub.cli.families import put_family, put_lineage
    from hub.client.operations import Operations
    from hub.protocol.schemas import Lineage

    with Operations() as client:
        version = client.resolve(reference)
        found = (
            client.lineage(version.model, version.number)
            if depth is None
            else client.family(version.model, version.number, depth)
        )
    if json:
        put_json(found)
    elif isinstance(found, Lineage):
        put_lineage(found)
    else:
        put_family(found)
