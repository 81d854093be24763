"""``hub admin backup`` and ``restore``, and what ``hub admin doctor --deep`` says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli.arguments import JsonOption, needs_extra
from hub.cli.output import put, put_json, put_rows, say, size_text, time_text
from hub.cli.progress import shown_progress
from hub.cli.serve import DatabaseOption, DataDirOption, StorageOption, read_settings
from hub.client.progress import Progress, Stage

_NEEDED = {"database", "storage"}


@contextmanager
def shown_bytes(stage: Stage) -> Iterator[Callable[[int, int], None]]:
    """What to tell bytes that were done, and of how many, so that they are seen."""
    with shown_progress() as show:
        yield lambda done, total: show(Progress(stage, done, total))


def examine_deeply(settings: Any, status: Any) -> Any:
    """Check every byte, where what is needed for that works."""
    from hub.maintenance import deep_check
    from hub.protocol.upkeep import DoctorReport

    if any(not check.ok for check in status.checks if check.name in _NEEDED):
        return DoctorReport(ok=False, checks=status.checks)
    with shown_bytes(Stage.ASSEMBLE) as show:
        deep = deep_check(settings, show)
    return DoctorReport(ok=status.ok and deep.ok, checks=status.checks, deep=deep)


def show_deep(looked: Any) -> None:
    """Print what a deep check found: flaws on stdout, the rest on stderr."""
    deep = looked.deep
    if deep is None:
        say("Nothing was read: the database or the storage is not there.")
        return
    put_rows(
        ("FLAW", "WHAT", "DETAIL", "REMEDY"), ((flaw.code, flaw.thing, flaw.detail, flaw.remedy) for flaw in deep.flaws)
    )
    say(f"{deep.versions} versions, {deep.blobs} blobs read: {size_text(deep.read_bytes)}.")
    if deep.unneeded or deep.unknown:
        say(
            f"{deep.unneeded} blobs are needed by nobody ({size_text(deep.unneeded_bytes)}), "
            f"{deep.unknown} are not written down; the sweep takes them in time."
        )
    say("Nothing is wrong." if deep.ok else f"{deep.flaw_count} flaws.")


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; only what it lacks is copied.")],
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    storage_url: StorageOption = None,
    blobs: Annotated[bool, typer.Option("--blobs", help="Copy the bytes of all versions as well.")] = False,
    json: JsonOption = False,
) -> None:
    """Back up the database, and with --blobs the bytes too; a hub may be running meanwhile.

    Exit code 1 where bytes that versions need could not be had.
    """
    with needs_extra("server", "hub admin backup"):
        from hub.maintenance import backup as take

    settings = read_settings({"data_dir": data_dir, "database_url": database_url, "storage_url": storage_url})
    with shown_bytes(Stage.DOWNLOAD) as show:
        facts = take(settings, folder, with_blobs=blobs, show=show)
    if json:
        put_json(facts)
    else:
        put(str(folder))
        bytes_too = "with their bytes" if facts.has_blobs else "without their bytes: back up the storage too"
        say(f"The database and a list of {facts.blobs} blobs ({size_text(facts.blob_bytes)}), {bytes_too}.")
    _name_lost(facts.lost, "Run 'hub admin doctor --deep'.")
    raise typer.Exit(1 if facts.lost else 0)


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What 'hub admin backup' made.")],
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    storage_url: StorageOption = None,
    json: JsonOption = False,
) -> None:
    """Make an empty database what was backed up, of whichever kind it is; run it again where it was broken off.

    Exit code 1 where bytes that versions need are neither in the backup nor in the storage.
    """
    with needs_extra("server", "hub admin restore"):
        from hub.maintenance import restore as bring_back

    settings = read_settings({"data_dir": data_dir, "database_url": database_url, "storage_url": storage_url})
    with shown_bytes(Stage.UPLOAD) as show:
        report = bring_back(settings, folder, show)
    if json:
        put_json(report)
    else:
        put(f"restored as of {time_text(report.made_at)}: {report.blobs} blobs")
    _name_lost(report.lost, "Push its versions again: only what is missing is sent.")
    raise typer.Exit(1 if report.lost else 0)


def _name_lost(lost: tuple[str, ...], remedy: str) -> None:
    for digest in lost:
        say(f"{digest} is not there, or not whole. {remedy}")
