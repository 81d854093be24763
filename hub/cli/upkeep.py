"""What ``hub admin`` says of deep checks, backups and quotas."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hub.cli.output import put_rows, say, size_text
from hub.cli.progress import shown_progress
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
