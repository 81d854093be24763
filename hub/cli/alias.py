"""``hub alias``: movable names for versions."""

from typing import Annotated

import typer

from hub.cli.arguments import JsonOption, ModelArgument, check_target
from hub.cli.output import put_json, put_rows, say, time_text

app = typer.Typer(no_args_is_help=True, help="Movable names for versions.", rich_markup_mode=None)


@app.command("set", epilog="Example: hub alias set acme/resnet50:stable 7")
def set_alias(
    target: Annotated[str, typer.Argument(metavar="NAME:ALIAS", callback=check_target)],
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1, help="The version's number.")],
    json: JsonOption = False,
) -> None:
    """Move an alias to a version."""
    from hub.client.operations import Operations
    from hub.domain.names import parse_reference

    reference = parse_reference(target)
    if reference.alias is None:
        raise typer.BadParameter(
            f"{target} names no alias. Write {target}:stable, for instance; latest moves by itself."
        )
    with Operations() as client:
        answer = client.set_alias(str(reference.model), reference.alias, version)
    if json:
        put_json(answer)
        return
    say(f"{target} now means {reference.model}@{version}.")


@app.command("ls", epilog="Example: hub alias ls acme/resnet50")
def list_aliases(name: ModelArgument, json: JsonOption = False) -> None:
    """List a model's aliases, and how they came to be."""
    from hub.client.operations import Operations

    with Operations() as client:
        answer = client.aliases(name)
    if json:
        put_json(answer)
        return
    put_rows(("ALIAS", "VERSION"), ((f"{name}:{alias}", f"@{to}") for alias, to in sorted(answer.aliases.items())))
    for move in answer.history:
        where = f"to @{move.number}" if move.number else "away"
        say(f"{time_text(move.moved_at)}  {move.alias} moved {where} by {move.moved_by}")
