"""``hub pull``: get a version's files."""

from pathlib import Path
from typing import Annotated

import typer

from hub.cli.arguments import JsonOption, RateOption, ReferenceArgument, check_rate
from hub.cli.output import put, put_json, say


def pull(
    reference: ReferenceArgument,
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Where to put it; the read-only cache where not given.")
    ] = None,
    tfserving: Annotated[
        bool, typer.Option("--tfserving", help="Put it into DIR/<number>, where TensorFlow Serving looks.")
    ] = False,
    limit_rate: RateOption = None,
    json: JsonOption = False,
) -> None:
    """Get a version's files, every byte checked.

    Prints the directory on stdout.
    """
    from hub.cli.progress import shown_progress
    from hub.client.pull import pull_version

    if tfserving and directory is None:
        raise typer.BadParameter("--tfserving needs DIR.")
    rate = check_rate(limit_rate)
    with shown_progress() as progress:
        pulled = pull_version(reference, directory, tfserving=tfserving, limit_rate=rate, progress=progress)
    if json:
        put_json(
            {
                "path": str(pulled.path),
                "reference": pulled.reference,
                "digest": pulled.digest,
                "is_remembered": pulled.is_remembered,
                "manifest": pulled.manifest.model_dump(mode="json"),
            }
        )
        return
    say(f"{pulled.reference} {pulled.digest}")
    put(str(pulled.path))
