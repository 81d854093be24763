"""``hub yank``: withdraw a version."""

from typing import Annotated

import typer

from hub.cli.arguments import JsonOption, ReferenceArgument
from hub.cli.output import put_json, say


def yank(
    reference: ReferenceArgument,
    reason: Annotated[str, typer.Option(help="What people who use it will read.")],
    json: JsonOption = False,
) -> None:
    """Withdraw a version.

    Names no longer find it; its number and digest still do.
    """
    from hub.client.operations import Operations

    with Operations() as client:
        version = client.resolve(reference)
        yanked = client.yank(version.model, version.number, reason)
    if json:
        put_json(yanked)
        return
    say(f"{yanked.reference} is {yanked.state}.")
