"""``hub admin audit``: who changed what, as rows, JSON or CSV, and what is old put aside."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli.arguments import JsonOption, needs_extra
from hub.cli.output import put_json, put_rows, say, time_text
from hub.cli.serve import DatabaseOption, DataDirOption, read_settings

_MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]


def audit(
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Entries at most.")] = 50,
    since: Annotated[datetime | None, typer.Option(formats=_MOMENTS, help="From this moment on, in UTC.")] = None,
    before: Annotated[datetime | None, typer.Option(formats=_MOMENTS, help="Before this moment, in UTC.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only what this principal did: a token's name, or hub.")] = None,
    about: Annotated[
        str | None,
        typer.Option("--object", metavar="REF", help="Only about this model, version, alias, or token's or push's id."),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV: all of it, whatever --limit says.")] = False,
    prune: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all before --before to this new file, as CSV, then remove it."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List who changed what, newest first; a hub may be running meanwhile."""
    with needs_extra("server", "hub admin audit"):
        from hub.domain.access import HUB
        from hub.maintenance import audits, prune_audit
        from hub.protocol.codecs.audit_rows import csv_lines

    settings = read_settings({"data_dir": data_dir, "database_url": database_url})
    if prune is not None:
        if before is None or since or actor or about or csv or json:
            raise typer.BadParameter("It goes with --before, and with nothing else.", param_hint="--prune")
        count = prune_audit(settings, before, prune)
        say(f"{count} entries are in {prune}, and not in the database any more.")
        return
    wanted = {"since": since, "until": before, "actor": actor, "thing": about}
    with audits(settings) as found:
        if csv:
            for line in csv_lines(found.pages(HUB, **wanted)):
                typer.echo(line, nl=False)
            return
        page = found.entries(HUB, limit=limit, **wanted)
    if json:
        put_json(list(page.items))
        return
    _show(page)


def _show(page: Any) -> None:
    put_rows(
        ("WHEN", "ACTION", "OBJECT", "RESULT", "ACTOR", "TOKEN", "ADDRESS", "REQUEST", "FACTS"),
        (
            (
                time_text(entry.at),
                entry.action,
                entry.object,
                entry.result,
                entry.actor,
                entry.token_id or "-",
                entry.address or "-",
                entry.request_id or "-",
                ", ".join(f"{name}: {value}" for name, value in entry.facts.items() if value is not None) or "-",
            )
            for entry in page.items
        ),
    )
    if page.next is not None:
        say("There is more; ask for it with --limit.")
