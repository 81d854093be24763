"""Pushing and pulling past the hub: bytes go straight between client and object store, or through the hub after all."""

import logging
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from hub.client.client import Client
from hub.client.transfer import THREADS
from hub.domain.digests import digest_of
from hub.domain.errors import Conflict, DigestMismatch
from hub.storage.blobs.s3 import S3BlobStore
from tests.integration.client.conftest import RunningHub
from tests.support.s3_servers import S3_PLACES

MakeModel = Callable[..., Path]
MIB = 1 << 20
PARTS = 16


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def store_of(hub: RunningHub) -> S3BlobStore:
    store = hub.house.pulls.blobs
    assert isinstance(store, S3BlobStore)
    return store


@pytest.fixture(params=S3_PLACES)
def on_s3(request: pytest.FixtureRequest, run_hub: Callable[..., RunningHub], s3_store_url) -> RunningHub:
    server, _, scheme = request.param.partition("-")
    return run_hub(storage_url=s3_store_url(request.getfixturevalue(server), scheme))


@pytest.fixture
def on_seaweedfs(run_hub: Callable[..., RunningHub], s3_url: str) -> RunningHub:
    return run_hub(storage_url=s3_url)


@pytest.fixture
def large(make_model: MakeModel) -> Path:
    """A model of several blobs that do not shrink."""
    return make_model("large", **{f"part{number:02}": os.urandom(MIB) for number in range(PARTS)})


def test_bytes_go_straight_to_the_store_and_back(on_s3: RunningHub, large: Path):
    with Client() as client:
        pushed = client.push(large, "acme/large")
        assert pushed.sent == sum(map(len, contents(large).values()))
        assert contents(client.pull("acme/large")) == contents(large)
    assert on_s3.wire.seen == []
    store = store_of(on_s3)
    assert list(store.pushes()) == []
    assert {digest_of(data) for data in contents(large).values()} <= set(store.digests())


def test_a_graph_goes_through_the_hub_packed(on_seaweedfs: RunningHub, make_model: MakeModel):
    vocabulary = b"word " * 20_000
    root = make_model(vocabulary=vocabulary, weights=os.urandom(MIB))
    with Client() as client:
        client.push(root, "acme/echo")
        assert contents(client.pull("acme/echo")) == contents(root)
    assert [seen.digest for seen in on_seaweedfs.wire.uploads()] == [digest_of(vocabulary)]
    assert on_seaweedfs.wire.downloads() == []


@pytest.mark.parametrize("at_mib", [2, 9, PARTS - 1])
def test_a_push_that_was_killed_sends_again_only_what_was_in_flight(on_seaweedfs: RunningHub, large: Path, at_mib: int):
    die = f"lambda p: os._exit(9) if p.stage == 'upload' and p.done >= {at_mib} << 20 else None"
    code = f"import hub, os, sys; hub.push(sys.argv[1], 'acme/large', progress={die})"
    killed = subprocess.run([sys.executable, "-c", code, str(large)], check=False)
    assert killed.returncode == 9
    with Client() as client:
        assert list(client.models()) == []
        pushed = client.push(large, "acme/large")
        assert pushed.sent <= pushed.size - (at_mib - THREADS) * MIB
        assert contents(client.pull("acme/large")) == contents(large)


def test_a_store_that_clients_do_not_reach_is_passed_through_the_hub(
    run_hub: Callable[..., RunningHub], s3_url: str, large: Path, caplog: pytest.LogCaptureFixture
):
    hub = run_hub(storage_url=f"{s3_url}&public_endpoint_url=http://127.0.0.1:9")
    with caplog.at_level(logging.WARNING), Client() as client:
        client.push(large, "acme/large")
        assert contents(client.pull("acme/large")) == contents(large)
    assert caplog.text.count("No answer from the object store at 127.0.0.1:9") == 2
    assert "X-Amz-Signature" not in caplog.text
    blobs = len(contents(large))
    assert (len(hub.wire.uploads()), len(hub.wire.downloads())) == (blobs, blobs)


def test_a_hub_that_relays_gives_no_url_of_its_store(run_hub: Callable[..., RunningHub], s3_url: str, large: Path):
    hub = run_hub(storage_url=s3_url, relay=True)
    with Client() as client:
        client.push(large, "acme/large")
        assert contents(client.pull("acme/large")) == contents(large)
    blobs = len(contents(large))
    assert (len(hub.wire.uploads()), len(hub.wire.downloads())) == (blobs, blobs)


def test_bytes_that_change_on_their_way_to_the_store_are_refused_by_the_hub(on_seaweedfs: RunningHub, large: Path):
    """The store takes any bytes of the right size; that they are others the hub finds when it completes the push."""
    weights = large / "assets.extra" / "part00"

    def interfere(progress) -> None:
        if progress.stage == "hash" and progress.done == progress.total:
            weights.write_bytes(bytes(MIB))

    with Client() as client:
        with pytest.raises(DigestMismatch):
            client.push(large, "acme/large", progress=interfere)
        assert list(client.models()) == []
        assert client.push(large, "acme/large").version is not None
        assert contents(client.pull("acme/large")) == contents(large)


def test_an_object_that_was_lost_or_damaged_is_sent_again_by_the_next_push(
    on_seaweedfs: RunningHub, large: Path, make_model: MakeModel
):
    store = store_of(on_seaweedfs)
    data = contents(large)
    lost, damaged = digest_of(data["assets.extra/part00"]), digest_of(data["assets.extra/part01"])
    with Client() as client:
        client.push(large, "acme/large")
        store.delete(lost)
        store._s3.put_object(Bucket=store.bucket, Key=store._key(damaged), Body=bytes(MIB))
        (large / "assets.extra" / "notes").write_bytes(b"second version")
        pushed = client.push(large, "acme/large")
        assert pushed.version is not None
        assert pushed.version.number == 2
        assert pushed.sent == len(b"second version") + 2 * MIB
        assert contents(client.pull("acme/large@2")) == contents(large)


def test_what_clients_sent_to_pushes_that_nobody_goes_on_with_is_swept(on_seaweedfs: RunningHub):
    store, stranger = store_of(on_seaweedfs), uuid.uuid4()
    store._s3.put_object(Bucket=store.bucket, Key=f"{store.prefix}incoming/{stranger}/{'0' * 64}", Body=b"x")
    while list(store.pushes()):
        with suppress(Conflict):  # the hub's own sweep, at its start
            on_seaweedfs.house.sweeps.run()
    assert store.arrived(stranger) == {}


def test_bytes_that_came_wrong_are_sent_again_by_the_same_push(on_seaweedfs: RunningHub, large: Path):
    store = store_of(on_seaweedfs)
    wrong = digest_of(contents(large)["assets.extra/part00"])

    def damage(progress) -> None:
        if progress.stage == "upload" and progress.done == progress.total:
            (push_id,) = store.pushes()
            key = f"{store.prefix}incoming/{push_id}/{wrong[7:]}"
            store._s3.put_object(Bucket=store.bucket, Key=key, Body=bytes(MIB))

    with Client() as client:
        with pytest.raises(DigestMismatch, match=wrong):
            client.push(large, "acme/large", progress=damage)
        assert client.push(large, "acme/large").sent == MIB
        assert contents(client.pull("acme/large")) == contents(large)
