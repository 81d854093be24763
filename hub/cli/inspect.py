"""``hub inspect``: the validation report of a SavedModel on this machine, without a hub and without TensorFlow."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from hub.cli.reports import render_report
from hub.savedmodel.inspect import Inspection
from hub.savedmodel.inspect import inspect as inspect_saved_model

_PLAIN_WIDTH = 120


def inspect(
    path: Annotated[Path, typer.Argument(exists=True, help="Folder of the SavedModel.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Check a SavedModel on this machine: what it can do, what is wrong with it, and what to do about it.

    Exits with 1 when it is not servable or not safe.
    """
    inspection = inspect_saved_model(path)
    if json:
        typer.echo(orjson.dumps(_as_json(path, inspection), option=orjson.OPT_INDENT_2).decode())
    else:
        console = Console()
        if not console.is_terminal:
            console = Console(width=_PLAIN_WIDTH)
        render_report(console, inspection.report, inspection.signatures, inspection.tuning_face)
    if not inspection.report.is_accepted:
        raise typer.Exit(1)


def _as_json(path: Path, inspection: Inspection) -> dict[str, Any]:
    face = inspection.tuning_face
    return {
        "path": str(path),
        "is_accepted": inspection.report.is_accepted,
        "loader": inspection.loader,
        "report": inspection.report.model_dump(mode="json"),
        "signatures": {name: held.model_dump(mode="json") for name, held in inspection.signatures.items()},
        "tuning_face": face.model_dump(mode="json") if face is not None else None,
    }
