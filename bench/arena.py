"""An arena: a running hub over one kind of store, with what else measurements over that store need."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from bench import servers
from bench.processes import CannotRun, environment
from bench.servers import BUCKET, Server
from hub.client.operations import Operations
from hub.client.push import Pushed, push
from tests.support.counting import Counted, counting

DIRECTORY, SEAWEEDFS = "directory", "seaweedfs"
STORES = (DIRECTORY, SEAWEEDFS)


@dataclass(frozen=True, slots=True)
class Arena:
    """Servers over one store, and a folder to fetch into.

    Attributes:
        store: One of `STORES`.
        hub: The hub.
        folder: Where what is fetched goes; on the disk that the stores are on.
        models: Where what is pushed comes from.
        s3: The object store, where the hub uses one.
        nginx: Hands out the hub's directory and the models; where there is none, ``trouble`` says why.
        trouble: Why there is no nginx.
    """

    store: str
    hub: Server
    folder: Path
    models: Path
    s3: Server | None = None
    nginx: Server | None = None
    trouble: str = ""

    @property
    def cache(self) -> Path:
        """The cache of the hub's client."""
        return self.folder / "cache"

    @property
    def target(self) -> Path:
        """Where others fetch to."""
        return self.folder / "target"

    @property
    def pids(self) -> tuple[int, ...]:
        """The servers whose CPU counts."""
        return tuple(server.pid for server in (self.hub, self.s3, self.nginx) if server)

    def environment(self) -> dict[str, str]:
        """What contenders run with."""
        extra = self.hub.environment | {"HUB_CACHE": str(self.cache)}
        if self.s3 is not None:
            remote = {"TYPE": "s3", "PROVIDER": "SeaweedFS", "ENV_AUTH": "true", "ENDPOINT": self.s3.url}
            extra |= self.s3.environment | {"BENCH_S3_URL": self.s3.url, "RCLONE_CONFIG": ""}
            extra |= {f"RCLONE_CONFIG_BENCH_{name}": value for name, value in remote.items()}
        return environment(extra)

    def clean(self) -> None:
        """Remove whatever was fetched."""
        shutil.rmtree(self.cache, ignore_errors=True)
        shutil.rmtree(self.target, ignore_errors=True)
        self.target.mkdir(parents=True)

    def operations(self) -> Operations:
        """The hub's client, for what is not timed."""
        return Operations(self.hub.url, self.hub.environment["HUB_TOKEN"])


def empty_bucket(endpoint: str, prefix: str) -> None:
    """Delete every object below a prefix."""
    client = servers.s3_client(endpoint)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
        keys = [{"Key": entry["Key"]} for entry in page.get("Contents", ())]
        if keys:
            client.delete_objects(Bucket=BUCKET, Delete={"Objects": keys, "Quiet": True})
    client.close()


def push_untimed(server: Server, path: Path, name: str) -> Pushed:
    """Push, and wait until the hub has tried the version."""
    with Operations(server.url, server.environment["HUB_TOKEN"]) as operations:
        return push(path, name, client=operations)


@contextmanager
def timed_arena(store: str, folder: Path, models: Path) -> Iterator[Arena]:
    """Servers that are talked to directly.

    Raises:
        CannotRun: The store or the hub does not start.
    """
    with ExitStack() as stack:
        if store == DIRECTORY:
            hub = stack.enter_context(servers.hub(folder / "hub"))
            nginx, trouble = _nginx(stack, folder, models)
            yield Arena(store, hub, folder / "fetched", models, nginx=nginx, trouble=trouble)
        else:
            s3 = stack.enter_context(servers.seaweedfs(folder / "weed"))
            hub = stack.enter_context(servers.hub(folder / "hub", storage_url=_storage_url(s3)))
            yield Arena(store, hub, folder / "fetched", models, s3=s3)


def _nginx(stack: ExitStack, folder: Path, models: Path) -> tuple[Server | None, str]:
    places = {"blobs": folder / "hub" / "data" / "blobs", "models": models}
    try:
        return stack.enter_context(servers.nginx(folder / "nginx", places)), ""
    except CannotRun as error:
        return None, str(error)


@dataclass(frozen=True, slots=True)
class CountedHub:
    """A hub whose clients come to it, and to its object store, through proxies that count."""

    hub: Server
    counters: tuple[Counted, ...] = field(default=())

    def reset(self) -> None:
        """Count from here."""
        for counter in self.counters:
            counter.reset()

    @property
    def sent(self) -> int:
        """Bytes that clients sent."""
        return sum(counter.sent for counter in self.counters)

    @property
    def received(self) -> int:
        """Bytes that clients received."""
        return sum(counter.received for counter in self.counters)


@contextmanager
def counted_hub(store: str, folder: Path) -> Iterator[CountedHub]:
    """A hub with counting proxies in front.

    Raises:
        CannotRun: The store or the hub does not start.
    """
    with ExitStack() as stack:
        url, counters = None, []
        if store == SEAWEEDFS:
            s3 = stack.enter_context(servers.seaweedfs(folder / "weed"))
            counter = stack.enter_context(counting(s3.port))
            counters.append(counter)
            url = _storage_url(s3, public=f"http://127.0.0.1:{counter.port}")
        hub = stack.enter_context(servers.hub(folder / "hub", storage_url=url))
        counter = stack.enter_context(counting(hub.port))
        counters.append(counter)
        address = f"http://127.0.0.1:{counter.port}"
        yield CountedHub(Server(address, hub.pid, hub.environment | {"HUB_URL": address}), tuple(counters))


def _storage_url(s3: Server, public: str | None = None) -> str:
    url = f"s3://{BUCKET}/hub?endpoint_url={quote(s3.url, safe='')}"
    return f"{url}&public_endpoint_url={quote(public, safe='')}" if public else url
