"""Real hub processes that start at once and die where a test says.

Run as a program, it imports the hub once and forks a process for every hub it is asked for, which runs `hub.server.run`
like ``hub serve`` over a real database and store; only its engine is the scripted one, which needs no TensorFlow. What
can go wrong is put around the product's functions here, so the product has no hooks:

* A *step* is the moment before something that lasts: a commit, a blob's name, a snapshot; what follows one until the
  next changes nothing that a dead process leaves. Once the file ``armed`` has a number in it, steps are counted and
  written to ``trace``, and at that number the process kills itself.
* Words in the file ``broken`` make functions fail: ``fsync`` as a disk that cannot write any more.
"""

import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hub.server
import hub.storage.blobs.s3
from hub.domain.reports import ProbeResult
from hub.settings import Settings
from hub.storage import disk
from hub.storage.blobs import filesystem
from hub.storage.blobs.s3 import S3BlobStore
from hub.storage.catalog import Catalog
from hub.storage.snapshots import Snapshots
from tests.integration.api.conftest import ScriptedEngine


class Steps:
    """Counts steps while armed, and dies at one of them."""

    def __init__(self, folder: Path) -> None:
        self.armed, self.trace = folder / "armed", folder / "trace"
        self.order, self.count = "", 0

    def step(self, name: str) -> None:
        """One of the moments at which a process may die."""
        try:
            order = self.armed.read_text()
        except FileNotFoundError:
            return
        if order != self.order:
            self.order, self.count = order, 0
        self.count += 1
        with self.trace.open("a") as trace:
            trace.write(f"{name}\n")
        if self.count == int(order):
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, owner: Any, name: str) -> None:
        """Make the beginning of a function a step."""
        original = getattr(owner, name)

        def stepped(*arguments: Any, **named: Any) -> Any:
            if not is_of_the_sweep():
                self.step(name)
            return original(*arguments, **named)

        setattr(owner, name, stepped)

    def before_commits(self) -> None:
        """Make every commit a step, but for those that come when they like: the sweep's, and a token's last use."""
        original = Catalog.begin

        @contextmanager
        def begin(catalog: Catalog) -> Iterator[Any]:
            who = sys._getframe(2).f_code
            is_step = who.co_name != "_touch" and not is_of_the_sweep()
            with original(catalog) as tx:
                yield tx
                if is_step:
                    self.step(f"commit of {who.co_name}")
            if is_step and who.co_name == "_finish":
                self.step("end")

        Catalog.begin = begin


def is_of_the_sweep() -> bool:
    """Whether the sweep, which comes when it likes, calls the caller."""
    frame = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.endswith("services/sweep.py"):
        frame = frame.f_back
    return frame is not None


class Engine(ScriptedEngine):
    """Accepts every version, with golden samples of its own."""

    async def probe(self, digest: str, trunk_digest: str | None) -> tuple[ProbeResult, bytes | None]:
        """What a version answers."""
        result, _ = await super().probe(digest, trunk_digest)
        return result, f"golden samples of {digest}".encode()


def break_syncs(folder: Path) -> None:
    """Have the disk refuse to write what is synced, once ``broken`` says so."""

    def refusing(original: Callable[..., None]) -> Callable[..., None]:
        def sync(*arguments: Any) -> None:
            broken = folder / "broken"
            if broken.exists() and "fsync" in broken.read_text():
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            original(*arguments)

        return sync

    os.fsync = refusing(os.fsync)
    filesystem.sync_file_system = disk.sync_file_system = refusing(disk.sync_file_system)


def serve(folder: Path) -> None:
    """Be a hub until the end."""
    steps = Steps(folder)
    steps.before_commits()
    steps.before(filesystem._Commit, "link")
    for name in ("_put", "_copy", "_delete"):
        steps.before(S3BlobStore, name)
    steps.before(Snapshots, "keep")
    break_syncs(folder)
    hub.server.local_engine = lambda *_: Engine()
    hub.server.run(Settings())


def give_birth(order: dict[str, Any]) -> int:
    """Fork a hub: ``folder`` is where its files are, ``environment`` what it is told."""
    pid = os.fork()
    if pid:
        return pid
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    folder = Path(order["folder"])
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.environ.update(order["environment"])
    code = 1
    try:
        serve(folder)
        code = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Answer each order, a line of JSON, with the new process's id."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        print(give_birth(json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
