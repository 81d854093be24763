"""An object store that is away or lies: pushes and pulls end whole or with a clear error, and the hub goes on."""

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hub.client.client import Client
from hub.domain.access import HUB, Scope
from hub.domain.digests import digest_of
from hub.domain.errors import DigestMismatch, NotAvailable
from hub.protocol import paths
from hub.protocol.schemas import CreateToken
from hub.storage.blobs import open_store
from tests.faults.conftest import flaws
from tests.faults.proxy import Proxy, proxying
from tests.integration.api.conftest import Hub, write_saved_model

LARGE = os.urandom(2 << 20)
NAME = "acme/trunk"


@pytest.fixture
def wire(s3_endpoint: str) -> Iterator[Proxy]:
    """What stands before a real S3 server."""
    with proxying(urlsplit(s3_endpoint).port or 80) as proxy:
        yield proxy


@pytest.fixture
def store_url(wire: Proxy, s3_url: str) -> str:
    """A place of its own in the bucket, through the proxy."""
    return re.sub(r"endpoint_url=.*", f"endpoint_url=http://127.0.0.1:{wire.port}", s3_url)


@pytest.fixture
def hub(store_url: str, start_hub: Callable[..., Hub]) -> Hub:
    """A hub over that store."""
    return start_hub(storage_url=store_url)


@pytest.fixture
def client(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """The real client."""
    monkeypatch.setenv("HUB_CACHE", str(tmp_path / "cache"))
    made = hub.house.access.create(HUB, CreateToken(name="ada", scope=Scope.WRITE))
    with Client(hub.url, made.secret) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model to push."""
    root = tmp_path / "model"
    (root / "assets").mkdir(parents=True)
    (root / "saved_model.pb").write_bytes(write_saved_model())
    (root / "assets" / "words").write_bytes(LARGE)
    return root


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("status", {"method": "PUT", "number": 503, "times": 2}),
        ("status", {"method": "GET", "number": 500, "times": 2}),
        ("drop", {"method": "PUT", "times": 2}),
        ("reset", {"times": 3}),
        ("cut", {"method": "GET", "path": "/incoming/", "number": 1000, "times": 1}),
    ],
)
def test_what_a_store_does_wrong_a_few_times_is_got_over(
    hub: Hub, wire: Proxy, client: Client, folder: Path, tmp_path: Path, kind: str, how: dict[str, object]
):
    wire.harm(kind, **how)
    _push_until_it_is_well(client, folder)
    assert wire.seen
    wire.heal()
    assert (client.pull(NAME) / "assets" / "words").read_bytes() == LARGE
    with hub.house.pulls.catalog.read() as tx:
        assert len(tx.stored_blobs("")) == 4
    assert flaws(hub.house.settings) == []


def _push_until_it_is_well(client: Client, folder: Path) -> None:
    """As a person does who reads that it may be tried again."""
    for _ in range(3):
        try:
            client.push(folder, NAME)
        except (NotAvailable, DigestMismatch):
            continue
        return
    pytest.fail("it never became well")


@pytest.mark.parametrize("kind", ["cut", "flip"])
def test_bytes_that_arrive_wrong_are_fetched_again_and_never_given_on(
    hub: Hub, wire: Proxy, client: Client, folder: Path, kind: str
):
    client.push(folder, NAME)
    key = f"sha256/{digest_of(LARGE)[7:]}"
    wire.harm(kind, method="GET", path=key, number=1000, times=1)
    assert (client.pull(NAME) / "assets" / "words").read_bytes() == LARGE
    assert len(wire.seen) == 1


def test_a_store_that_does_not_answer_is_said_soon_while_the_rest_goes_on(hub: Hub, wire: Proxy):
    wire.harm("blackhole")
    began = time.monotonic()
    ready = hub.admin.http.get("/readyz")
    assert ready.status_code == 503
    assert {check["name"]: check["ok"] for check in ready.json()["checks"]}["storage"] is False
    assert time.monotonic() - began < 20  # it is a bound that is tried, not a speed
    assert hub.admin.http.get(paths.MODELS).status_code == 200
    wire.heal()
    time.sleep(1.1)
    assert hub.admin.http.get("/readyz").status_code == 200


def test_nothing_can_be_signed_without_credentials_and_that_is_said(store_url: str, monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    direct = open_store(store_url).direct
    assert direct is not None
    with pytest.raises(NotAvailable, match="AWS_ACCESS_KEY_ID"):
        direct.get_url(digest_of(LARGE))


def test_an_object_that_is_gone_is_told_from_one_that_never_was_and_named_and_pushed_again(
    hub: Hub, client: Client, folder: Path
):
    client.push(folder, NAME)
    client.push(folder, "acme/other")
    hub.house.pulls.blobs.delete(digest_of(LARGE))
    with_hub = hub.admin.problem("GET", paths.version_blob(NAME, 1, digest_of(LARGE)), 502)
    assert with_hub["code"] == "blob-lost"
    assert "doctor --deep" in str(with_hub["remedy"])
    assert hub.admin.http.get(paths.manifest(NAME, 1)).status_code == 200
    assert flaws(hub.house.settings) == [("blob.absent", digest_of(LARGE))]
    hub.house.sweeps.run()
    client.push(folder, NAME)
    assert flaws(hub.house.settings) == []
