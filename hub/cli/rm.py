"""``hub rm``: remove a version, or a model with all of them."""

import sys
from typing import Annotated

import typer

from hub.cli.arguments import check_reference
from hub.cli.output import say


def _check_target(text: str) -> str:
    """A reference; ``:latest`` is refused, because it would be read as the name of the whole model."""
    reference = str(check_reference(text))
    if text.endswith(":latest"):
        raise typer.BadParameter(f"{text} moves. Write {reference}@ and the number of the version.")
    return reference


def rm(
    reference: Annotated[
        str, typer.Argument(metavar="REF", callback=_check_target, help="owner/name, or a reference to a version.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a version, or a whole model.

    REF without a version is the model with all its versions. Refused while heads hang on it.
    """
    from hub.client.operations import Operations
    from hub.domain.names import parse_reference

    parsed = parse_reference(reference)
    is_model = reference == str(parsed.model)
    with Operations() as client:
        version = None if is_model else client.resolve(reference)
        what = version.reference if version else f"{parsed.model} with all its versions"
        if not yes and sys.stdin.isatty():
            typer.confirm(f"Remove {what} for ever?", abort=True, err=True)
        if version:
            client.delete_version(version.model, version.number)
        else:
            client.delete_model(str(parsed.model))
    say(f"{what} is removed.")
