"""``hub diff``: what differs between two versions, and whether it breaks callers."""

from typing import Annotated

import typer

from hub.cli.arguments import JsonOption, check_reference

_Before = Annotated[str, typer.Argument(metavar="A", callback=check_reference, help="The version that callers use.")]
_After = Annotated[str, typer.Argument(metavar="B", callback=check_reference, help="The version they would get.")]


def diff(
    before: _Before,
    after: _After,
    is_whole: Annotated[bool, typer.Option("--all", help="Show what is the same, too.")] = False,
    json: JsonOption = False,
) -> None:
    """Tell whether B breaks callers of A, and what differs; nothing is downloaded."""
    from hub.cli.differing import print_diff
    from hub.cli.output import put_json
    from hub.client.operations import Operations

    with Operations() as client:
        found = client.diff(before, after, is_whole=is_whole)
    if json:
        put_json(found)
    else:
        print_diff(found)
