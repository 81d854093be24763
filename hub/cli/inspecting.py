"""What ``hub inspect`` prints: the report for people, or one JSON object."""

import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from hub.cli.output import put_json
from hub.cli.reports import render_report
from hub.savedmodel.inspect import Inspection, inspect

_PLAIN_WIDTH = 120


def print_inspection(path: Path, *, as_json: bool) -> bool:
    """Inspect a SavedModel and print what was found.

    Returns:
        Whether a hub would take it.
    """
    inspection = inspect(path)
    if as_json:
        put_json(_facts(path, inspection))
    else:
        console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
        render_report(console, inspection.report, inspection.signatures, inspection.tuning_face)
    return inspection.report.is_accepted


def _facts(path: Path, inspection: Inspection) -> dict[str, Any]:
    return {
        "path": str(path),
        "is_accepted": inspection.report.is_accepted,
        "loader": inspection.loader,
        "report": inspection.report,
        "signatures": inspection.signatures,
        "tuning_face": inspection.tuning_face,
    }
