"""``hub admin``: looking after a hub, on the machine it runs on, with the options and environment it is served with."""

from typing import Annotated

import typer

from hub.cli import key, people, quota
from hub.cli.arguments import JsonOption, needs_extra
from hub.cli.auditing import audit
from hub.cli.output import put, put_json, put_rows, say, size_text
from hub.cli.serve import DatabaseOption, DataDirOption, StorageOption, read_settings
from hub.cli.upkeep import backup, examine_deeply, restore, show_deep

app = typer.Typer(no_args_is_help=True, help="Look after a hub on its own machine.", rich_markup_mode=None)
app.add_typer(key.app, name="key")
app.add_typer(quota.app, name="quota")
app.command("backup", epilog="Example: hub admin backup /backups/trunkhub --blobs")(backup)
app.command("restore", epilog="Example: hub admin restore /backups/trunkhub --data-dir ./new-hub-data")(restore)
app.command("audit", epilog="Example: hub admin audit --object acme/resnet50 --since 2026-01-31")(audit)
app.add_typer(people.users, name="user")
app.add_typer(people.organisations, name="org")


@app.command("migrate", epilog="Example: hub admin migrate --data-dir ./hub-data")
def migrate(data_dir: DataDirOption = None, database_url: DatabaseOption = None) -> None:
    """Bring the database to the newest schema; hub serve does this by itself."""
    with needs_extra("server", "hub admin migrate"):
        from hub.maintenance import migrate as upgrade

    put(upgrade(read_settings({"data_dir": data_dir, "database_url": database_url})))


@app.command("sweep", epilog="Example: hub admin sweep --dry-run")
def sweep(
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    storage_url: StorageOption = None,
    grace: Annotated[
        float | None, typer.Option("--grace-s", min=0, help="Seconds that bytes stay after nobody needed them.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what nobody needs, delete nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Delete bytes that no version needs; hub serve does this by itself, and may be running meanwhile.

    Exit code 1 where bytes that versions need are not in the store.
    """
    with needs_extra("server", "hub admin sweep"):
        from hub.maintenance import sweep as clean

    given = {"data_dir": data_dir, "database_url": database_url, "storage_url": storage_url, "sweep_grace_s": grace}
    report = clean(read_settings(given), dry_run=dry_run)
    if json:
        put_json(report)
    elif dry_run:
        put(f"{report.condemned} blobs are needed by nobody: {size_text(report.freed_bytes)}")
    else:
        put(f"{report.deleted} blobs deleted: {size_text(report.freed_bytes)}")
        say(f"{report.condemned + report.found} blobs marked, {report.pushes} pushes given up.")
        for digest in report.lost:
            say(f"{digest} is not in the store. Restore it from a backup, or push its version again.")
    raise typer.Exit(1 if report.lost else 0)


@app.command("doctor", epilog="Example: hub admin doctor --data-dir ./hub-data --deep")
def doctor(
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    storage_url: StorageOption = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also read every byte of every version; a hub may be running meanwhile.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Check database, storage, engine, devices and sandbox; exit code 1 when something is wrong."""
    with needs_extra("server", "hub admin doctor"):
        from hub.maintenance import doctor as examine

    settings = read_settings({"data_dir": data_dir, "database_url": database_url, "storage_url": storage_url})
    status = examine(settings)
    looked = examine_deeply(settings, status) if deep else None
    if json:
        put_json(looked or status)
    else:
        put_rows(
            ("CHECK", "STATE", "DETAIL"),
            ((check.name, "ok" if check.ok else "wrong", check.detail or "-") for check in status.checks),
        )
        for check in status.checks:
            if not check.ok and check.remedy:
                say(f"{check.name}: {check.remedy}")
        if looked is not None:
            show_deep(looked)
    raise typer.Exit(0 if (looked or status).ok else 1)
