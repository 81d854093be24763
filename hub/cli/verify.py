"""``hub verify``: is a version on this machine, byte for byte, the one that was published?"""

from pathlib import Path
from typing import Annotated

import typer

from hub.cli.arguments import JsonOption, check_reference


def verify(
    what: Annotated[str, typer.Argument(metavar="REF|PATH", help="A reference, or a directory that was pulled.")],
    reference: Annotated[
        str | None,
        typer.Option("--ref", metavar="REF", callback=check_reference, help="Which version the directory should be."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="It must be signed with this public key (EC P-256, PEM)."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check that files are as published.

    Compares every file's sha256, checks who signed the version, and compares the golden outputs where TensorFlow is
    installed. Exit code 1 if any differs, if a signature does not hold, or if the one by --key is not there.
    """
    from hub.cli.verifying import print_verification, verify_directory, verify_reference

    if Path(what).expanduser().is_dir():
        found = verify_directory(Path(what).expanduser(), reference, key)
    elif what.startswith((".", "/", "~")):
        raise typer.BadParameter(f"There is no directory {what}.")
    else:
        found = verify_reference(_reference(what), key)
    print_verification(found, as_json=json)
    raise typer.Exit(0 if found.is_whole else 1)


def _reference(what: str) -> str:
    try:
        return str(check_reference(what))
    except typer.BadParameter as error:
        raise typer.BadParameter(f"There is no directory {what}, and {error.message}") from error
