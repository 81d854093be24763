"""``hub admin``: looking after a hub, on the machine it runs on, with the options and environment it is served with."""

import typer

from hub.cli.arguments import JsonOption, needs_extra
from hub.cli.output import put, put_json, put_rows, say
from hub.cli.serve import DatabaseOption, DataDirOption, StorageOption, read_settings

app = typer.Typer(no_args_is_help=True, help="Look after a hub on its own machine.", rich_markup_mode=None)


@app.command("migrate", epilog="Example: hub admin migrate --data-dir ./hub-data")
def migrate(data_dir: DataDirOption = None, database_url: DatabaseOption = None) -> None:
    """Bring the database to the newest schema; hub serve does this by itself."""
    with needs_extra("server", "hub admin migrate"):
        from hub.server import migrate as upgrade

    put(upgrade(read_settings({"data_dir": data_dir, "database_url": database_url})))


@app.command("doctor", epilog="Example: hub admin doctor --data-dir ./hub-data")
def doctor(
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    storage_url: StorageOption = None,
    json: JsonOption = False,
) -> None:
    """Check database, storage, engine and devices; exit code 1 when something is wrong."""
    with needs_extra("server", "hub admin doctor"):
        from hub.server import doctor as examine

    status = examine(read_settings({"data_dir": data_dir, "database_url": database_url, "storage_url": storage_url}))
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
