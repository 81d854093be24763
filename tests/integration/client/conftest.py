"""A hub on a real port for the client's tests, with a wire between them that counts, cuts and corrupts.

The wire is a layer of the network (ASGI), not of the client or the hub: both run as they always do. What is pushed are
real SavedModels of TensorFlow 1's form (a placeholder and an identity), written byte by byte, so that nothing waits for
TensorFlow; the engine answers with its input.
"""

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from hub.api.app import create_app
from hub.api.connection import Connection
from hub.client.client import Client
from hub.domain.reports import ProbeResult, SignatureProbe
from hub.engine.engine import EngineStatus, Target, WorkerStatus
from hub.protocol.frames import Tensor
from hub.server import furnish, open_snapshots
from hub.services.house import House
from hub.settings import Settings
from hub.storage.blobs import open_store
from hub.storage.catalog import Catalog

ANSWERED = ProbeResult(
    loader="session",
    session_loads=True,
    signatures={"serving_default": SignatureProbe(status="answered", matches_spec=True, session_matches=True)},
)


@dataclass(slots=True)
class EchoEngine:
    """Answers with its input; probes end as ``outcome`` says."""

    outcome: ProbeResult = ANSWERED

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def infer(
        self, target: Target, signature: str, inputs: Sequence[Tensor], deadline_s: float, priority: int = 0
    ) -> list[Tensor]:
        return [Tensor("y", tensor.dtype, tensor.shape, bytes(tensor.data)) for tensor in inputs]

    async def infer_heads(
        self, target: Target, signatures: Sequence[str], inputs: Sequence[Tensor], deadline_s: float, priority: int = 0
    ) -> list[list[Tensor]]:
        return [await self.infer(target, name, inputs, deadline_s) for name in signatures]

    async def load(self, target: Target) -> None: ...

    async def probe(self, digest: str, trunk_digest: str | None) -> tuple[ProbeResult, bytes | None]:
        return self.outcome, None

    def status(self) -> EngineStatus:
        return EngineStatus((WorkerStatus("cpu:0", 1, "ready"),))


@dataclass(frozen=True, slots=True)
class Seen:
    """A request for, or with, the bytes of a blob."""

    method: str
    digest: str
    start: int


@dataclass(slots=True)
class Wire:
    """Stands between client and hub.

    Attributes:
        app: The hub.
        seen: Blob requests, in order.
        cuts: Bytes after which the next downloads break off, one entry each.
        corruptions: How many of the next downloads have a wrong byte.
        refusals: How many of the next uploads are answered 503 without being looked at.
    """

    app: Any
    seen: list[Seen] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    corruptions: int = 0
    refusals: int = 0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass a request on, or do it harm."""
        if "/blobs/" not in scope.get("path", ""):
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        start = int(headers.get(b"range", b"bytes=0-").removeprefix(b"bytes=").partition(b"-")[0])
        self.seen.append(Seen(scope["method"], scope["path"].rpartition("/")[2], start))
        if scope["method"] == "PUT":
            await self._take(scope, receive, send)
        else:
            # Harm is done to bytes that pass through here, not to those that the kernel moves.
            is_harmed = bool(self.cuts or self.corruptions)
            await self.app(scope | ({"extensions": {}} if is_harmed else {}), receive, self._harmed(send))

    async def _take(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if not self.refusals:
            await self.app(scope, receive, send)
            return
        self.refusals -= 1
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def _harmed(self, send: Any) -> Any:
        left = self.cuts.pop(0) if self.cuts else None
        is_corrupt = self.corruptions > 0
        self.corruptions -= is_corrupt

        async def harmed(message: dict[str, Any]) -> None:
            nonlocal left, is_corrupt
            if message["type"] not in ("http.response.start", "http.response.body"):
                await send(message)
                return
            body = message.get("body", b"")
            if body and is_corrupt:
                message, is_corrupt = message | {"body": bytes([body[0] ^ 1]) + body[1:]}, False
            if body and left is not None:
                # What is held back here never comes: the server closes a connection whose answer is not whole.
                message = message | {"body": body[:left], "more_body": True}
                left -= len(message["body"])
            if message["type"] == "http.response.start" or message["body"] or left is None:
                await send(message)

        return harmed

    def downloads(self) -> list[Seen]:
        """Blob downloads so far."""
        return [seen for seen in self.seen if seen.method == "GET"]

    def uploads(self) -> list[Seen]:
        """Blob uploads so far."""
        return [seen for seen in self.seen if seen.method == "PUT"]


@dataclass(frozen=True, slots=True)
class RunningHub:
    """A hub, the wire to it, and its administrator's secret."""

    url: str
    token: str
    wire: Wire
    engine: EchoEngine
    house: House
    stop: Callable[[], None]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without a row, to be copied."""
    path = tmp_path_factory.mktemp("database") / "hub.db"
    catalog = Catalog(f"sqlite:///{path}")
    catalog.migrate()
    catalog.close()
    return path


@pytest.fixture
def run_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Path
) -> Iterator[Callable[..., RunningHub]]:
    """Starts a hub with some settings; the environment names it, and gives the client folders of its own."""
    with ExitStack() as started:

        def run(**settings: object) -> RunningHub:
            hub = started.enter_context(_running(tmp_path, empty_database, settings))
            for name, value in {
                "HUB_URL": hub.url,
                "HUB_TOKEN": hub.token,
                "HUB_CACHE": str(tmp_path / "cache"),
                "HUB_CONFIG_DIR": str(tmp_path / "config"),
            }.items():
                monkeypatch.setenv(name, value)
            return hub

        yield run


@contextmanager
def _running(folder: Path, empty_database: Path, chosen: dict[str, Any]) -> Iterator[RunningHub]:
    settings = Settings(data_dir=folder / "data", **chosen)
    (folder / "data").mkdir()
    shutil.copy(empty_database, folder / "data" / "hub.db")
    catalog = Catalog(settings.database)
    blobs = open_store(settings.storage)
    engine = EchoEngine()
    house = furnish(settings, catalog, blobs, open_snapshots(settings, blobs), engine)
    wire = Wire(create_app(house))
    server = uvicorn.Server(
        uvicorn.Config(wire, http=Connection, port=0, log_config=None, access_log=False, ws="none", lifespan="on")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    created = house.access.create_first()
    assert created is not None

    def stop() -> None:
        server.should_exit = True
        thread.join()

    yield RunningHub(url, created.secret, wire, engine, house, stop)
    stop()
    catalog.close()


@pytest.fixture
def running(run_hub: Callable[..., RunningHub]) -> RunningHub:
    """A running hub on its defaults."""
    return run_hub()


@pytest.fixture
def client(running: RunningHub) -> Iterator[Client]:
    """The administrator's client."""
    with Client() as client:
        yield client


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _graph(width: int, op: str) -> bytes:
    shape = _field(2, _field(1, -1)) + _field(2, _field(1, width))
    is_float = _field(2, _field(6, 1))
    x = _field(1, "x") + _field(2, "Placeholder") + _field(5, _field(1, "dtype") + is_float)
    x += _field(5, _field(1, "shape") + _field(2, _field(7, shape)))
    y = _field(1, "y") + _field(2, op) + _field(3, "x") + _field(5, _field(1, "T") + is_float)
    graph = _field(1, x) + _field(1, y) + _field(4, _field(1, 1882))
    sides = [_field(1, key) + _field(2, _field(1, f"{key}:0") + _field(2, 1) + _field(3, shape)) for key in "xy"]
    signature = _field(1, sides[0]) + _field(2, sides[1]) + _field(3, "tensorflow/serving/predict")
    about = _field(4, "serve") + _field(5, "2.21.0")
    meta_graph = _field(1, about) + _field(2, graph) + _field(5, _field(1, "serving_default") + _field(2, signature))
    return _field(1, 1) + _field(2, meta_graph)


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    """Writes a SavedModel from ``x`` float32[?, width] to ``y``, with assets of the given bytes."""

    def make(name: str = "model", *, width: int = 2, op: str = "Identity", **assets: bytes) -> Path:
        root = tmp_path / "exports" / name
        (root / "assets.extra").mkdir(parents=True, exist_ok=True)
        (root / "saved_model.pb").write_bytes(_graph(width, op))
        for asset, data in assets.items():
            (root / "assets.extra" / asset).write_bytes(data)
        return root

    return make
