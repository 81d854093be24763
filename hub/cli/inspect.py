"""``hub inspect``: the validation report of a SavedModel on this machine, without a hub and without TensorFlow."""

from pathlib import Path
from typing import Annotated

import typer

from hub.cli.arguments import JsonOption


def inspect(
    path: Annotated[Path, typer.Argument(metavar="PATH", exists=True, help="Folder of the SavedModel.")],
    json: JsonOption = False,
) -> None:
    """Check a SavedModel on this machine.

    Says what it can do, what is wrong with it, and what to do about it. Exit code 1 when it is not servable or safe.
    """
    from hub.cli.inspecting import print_inspection

    raise typer.Exit(0 if print_inspection(path, as_json=json) else 1)
