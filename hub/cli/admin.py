"""``hub admin``: looking after a hub, on the machine it runs on."""

import typer

from hub.cli.arguments import JsonOption, needs_extra
from hub.cli.output import put, put_json, put_rows, say
from hub.cli.serve import read_settings

app = typer.Typer(no_args_is_help=True, help="Look after a hub on its own machine.", rich_markup_mode=None)


@app.command("migrate", epilog="Example: hub admin migrate")
def migrate() -> None:
    """Bring the database to the newest schema; hub serve does this by itself."""
    with needs_extra("server", "hub admin migrate"):
        from hub.server import migrate as upgrade

    put(upgrade(read_settings({})))


@app.command("doctor", epilog="Example: hub admin doctor")
def doctor(json: JsonOption = False) -> None:
    """Check database, storage, engine and devices; exit code 1 when something is wrong."""
    with needs_extra("server", "hub admin doctor"):
        from hub.server import doctor as examine

    status = examine(read_settings({}))
    if json:
        put_json(status)
    else:
        put_rows(
            ("CHECK", "STATE", "DETAIL"),
            ((check.name, "ok" if check.ok else "wrong", check.detail or "-") for check in status.checks),
        )
        for check in status.checks:
            if not check.ok and check.remedy:
                say(f"{check.name}: {check.remedy}")
    raise typer.Exit(0 if status.ok else 1)
