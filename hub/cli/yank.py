"""``hub yank``: withdraw a version."""

import sys
from typing import Annotated

import typer

from hub.cli.arguments import JsonOption, ReferenceArgument, check_reason
from hub.cli.output import put_json, say


def yank(
    reference: ReferenceArgument,
    reason: Annotated[str, typer.Option(callback=check_reason, help="What people who use it will read.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Withdraw a version.

    Names no longer find it; its number and digest still do. Says first what that would change, and asks in a terminal.
    """
    from hub.cli.families import warn_of
    from hub.client.operations import Operations

    with Operations() as client:
        version = client.resolve(reference)
        warn_of(client.impact(version.model, version.number))
        if not yes and sys.stdin.isatty():
            typer.confirm(f"Withdraw {version.reference}?", abort=True, err=True)
        yanked = client.yank(version.model, version.number, reason)
    if json:
        put_json(yanked)
        return
    say(f"{yanked.reference} is {yanked.state}.")
