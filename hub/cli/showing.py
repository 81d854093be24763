"""What ``hub show`` prints for people."""

import sys

from rich.console import Console
from rich.text import Text

from hub.cli.output import plain, size_text, time_text
from hub.cli.reports import render_report
from hub.domain.versions import Model
from hub.protocol.schemas import VersionDetail

_WIDE = 200


def print_version(model: Model, detail: VersionDetail) -> None:
    """Print a version and what is known of it."""
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    version = detail.version
    facts = {
        "kind": version.kind.value,
        "state": version.state.value + (f" ({version.yanked_reason})" if version.yanked_reason else ""),
        "interface": f"~{version.interface}" if version.interface else "-",
        "aliases": ", ".join(version.aliases) or "-",
        "digest": version.digest,
        "size": f"{size_text(version.size)} in {detail.file_count} files",
        "created": f"{time_text(version.created_at)} by {version.created_by}",
        "message": version.message or "-",
        "came from": ", ".join(_origins(detail)) or "-",
    }
    console.print(Text(version.reference + (" (private)" if model.is_private else ""), style="bold"))
    for name, value in facts.items():
        console.print(Text(f"  {name:10} {plain(value)}"))
    render_report(console, detail.report, detail.signatures, detail.tuning_face)
    if model.card:
        console.print(Text(plain(model.card)))


def _origins(detail: VersionDetail) -> list[str]:
    seen = [f"{edge.kind} {edge.model}@{edge.number}" for edge in detail.lineage]
    return [*seen, f"{detail.hidden_parents} you may not see"] if detail.hidden_parents else seen
