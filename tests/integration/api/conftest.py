"""A hub on a real port with real stores; only the engine answers what a test tells it to.

What is pushed are real SavedModels of TensorFlow 1's form (a placeholder and an identity), written byte by byte here,
so that no test of the API waits for TensorFlow.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
import uvicorn
from starlette.routing import BaseRoute

from hub.api.app import create_app
from hub.api.connection import Connection
from hub.domain.access import Principal, Scope
from hub.domain.digests import digest_of
from hub.domain.errors import NotAvailable
from hub.domain.lineage import Edge, EdgeKind
from hub.domain.manifest import BlobRef, Draft, File, Kind
from hub.domain.reports import ProbeResult, SignatureProbe
from hub.engine.engine import EngineStatus, Target, WorkerStatus
from hub.protocol import paths
from hub.protocol.frames import Tensor
from hub.protocol.schemas import BeginPush, CreateToken, PushTicket, VersionDetail
from hub.server import furnish
from hub.services.house import House
from hub.settings import Settings
from hub.storage.blobs import open_store
from hub.storage.catalog import Catalog
from hub.storage.snapshots import Snapshots
from hub.web import pages

ANSWERED = ProbeResult(
    loader="session",
    session_loads=True,
    signatures={"serving_default": SignatureProbe(status="answered", matches_spec=True, session_matches=True)},
)
GOLDEN = b"golden samples"
Outcome = ProbeResult | Exception


@dataclass(slots=True)
class ScriptedEngine:
    """An engine whose probes end as the test says; without a script every version answers.

    It predicts only where it echoes: then what comes in as ``x`` goes out as ``y``.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    probed: list[tuple[str, str | None]] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    state: str = "ready"
    echoes: bool = False

    def __post_init__(self) -> None:
        self.gate.set()

    async def start(self) -> None: ...

    async def stop(self) -> None:
        self.state = "stopped"

    async def infer(
        self, target: Target, signature: str, inputs: Sequence[Tensor], deadline_s: float, priority: int = 0
    ) -> list[Tensor]:
        if self.echoes:
            return [replace(tensor, name="y") for tensor in inputs]
        raise NotAvailable("This engine only probes.")

    async def infer_heads(
        self, target: Target, signatures: Sequence[str], inputs: Sequence[Tensor], deadline_s: float, priority: int = 0
    ) -> list[list[Tensor]]:
        raise NotAvailable("This engine only probes.")

    async def load(self, target: Target) -> None:
        self.loaded.append(target.digest)

    async def probe(self, digest: str, trunk_digest: str | None) -> tuple[ProbeResult, bytes | None]:
        await asyncio.to_thread(self.gate.wait)
        self.probed.append((digest, trunk_digest))
        outcome = self.outcomes.pop(0) if self.outcomes else ANSWERED
        if isinstance(outcome, Exception):
            raise outcome
        return outcome, GOLDEN if outcome.loader else None

    def status(self) -> EngineStatus:
        return EngineStatus((WorkerStatus("cpu:0", 1, self.state, dict.fromkeys(self.loaded, 1)),))


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _put(number: int, value: int | str | bytes) -> bytes:
    """One protobuf field: a varint, or bytes with their length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def write_saved_model(width: int = 2, *, producer: str = "test", op: str = "Identity") -> bytes:
    """``saved_model.pb`` of a function from ``x`` float32[?, width] to ``y`` of the same shape.

    Source: field numbers of ``saved_model.proto``, ``meta_graph.proto``, ``graph.proto``, ``attr_value.proto``.
    """
    shape = _put(2, _put(1, -1)) + _put(2, _put(1, width))
    a_float = _put(2, _put(6, 1))
    x = _put(1, "x") + _put(2, "Placeholder")
    x += _put(5, _put(1, "dtype") + a_float) + _put(5, _put(1, "shape") + _put(2, _put(7, shape)))
    y = _put(1, "y") + _put(2, op) + _put(3, "x") + _put(5, _put(1, "T") + a_float)
    graph = _put(1, x) + _put(1, y) + _put(4, _put(1, 1882))
    sides = [_put(1, key) + _put(2, _put(1, f"{key}:0") + _put(2, 1) + _put(3, shape)) for key in "xy"]
    signature = _put(1, sides[0]) + _put(2, sides[1]) + _put(3, "tensorflow/serving/predict")
    about = _put(1, producer) + _put(4, "serve") + _put(5, "2.21.0")
    meta_graph = _put(1, about) + _put(2, graph) + _put(5, _put(1, "serving_default") + _put(2, signature))
    return _put(1, 1) + _put(2, meta_graph)


def announce(files: dict[str, bytes], *edges: Edge) -> Draft:
    """What a client announces for these files, each one blob."""
    refs = {path: BlobRef(digest=digest_of(data), size=len(data)) for path, data in files.items()}
    listed = [File(path=path, size=ref.size, digest=ref.digest, blobs=(ref,)) for path, ref in refs.items()]
    is_head = any(edge.kind is EdgeKind.HEAD_OF for edge in edges)
    return Draft(kind=Kind.HEAD if is_head else Kind.TRUNK, files=tuple(listed), lineage=edges)


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a token (or none) at a hub's door."""

    http: httpx2.Client

    def begin(self, model: str, draft: Draft, **more: object) -> PushTicket:
        """Open a push."""
        body = BeginPush(model=model, draft=draft, **more).model_dump(mode="json")
        answer = self.http.post(paths.PUSHES, json=body)
        assert answer.status_code == 201, answer.text
        return PushTicket.model_validate(answer.json())

    def push(self, model: str, files: dict[str, bytes], *edges: Edge, **more: object) -> VersionDetail:
        """Push from the beginning until the version is validated."""
        ticket = self.begin(model, announce(files, *edges), **more)
        if ticket.existing is not None:
            return self.settled(model, ticket.existing.number)
        contents = {digest_of(data): data for data in files.values()}
        for url, digest in zip(self.places(ticket), ticket.missing, strict=True):
            sent = self.http.put(url, content=contents[digest])
            assert sent.status_code == 204, sent.text
        done = self.http.post(paths.push_complete(str(ticket.push_id)))
        assert done.status_code == 200, done.text
        return self.settled(model, done.json()["number"])

    def places(self, ticket: PushTicket) -> list[str]:
        """Where the missing blobs of a push go."""
        if not ticket.missing:
            return []
        answer = self.http.post(paths.push_places(str(ticket.push_id)), json={"digests": ticket.missing})
        assert answer.status_code == 200, answer.text
        return [place["url"] for place in answer.json()["items"]]

    def settled(self, model: str, number: int) -> VersionDetail:
        """The version once it is not validating any more."""
        answer = self.http.get(paths.version(model, number), params={"wait_s": 20})
        assert answer.status_code == 200, answer.text
        return VersionDetail.model_validate(answer.json())

    def problem(self, method: str, path: str, status: int, **request: object) -> dict[str, object]:
        """Ask for what must be refused; gives the problem."""
        answer = self.http.request(method, path, **request)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert body["status"] == status
        assert body["detail"]
        assert body["request_id"] == answer.headers["x-request-id"]
        return body


@dataclass(frozen=True, slots=True)
class Hub:
    """A running hub."""

    url: str
    house: House
    engine: ScriptedEngine
    caller: Callable[[Scope | None], Caller]

    @property
    def admin(self) -> Caller:
        """Its administrator."""
        return self.caller(Scope.ADMIN)

    @property
    def nobody(self) -> Caller:
        """Somebody without a token."""
        return self.caller(None)


@pytest.fixture(scope="session")
def saved_model() -> Callable[..., bytes]:
    """Writes a ``saved_model.pb``."""
    return write_saved_model


@pytest.fixture(scope="session")
def draft_of() -> Callable[..., Draft]:
    """Makes the draft of some files."""
    return announce


class Landlord:
    """Starts hubs over one data folder, one after the other, and ends them."""

    def __init__(
        self,
        folder: Path,
        pages: Callable[[House], Sequence[BaseRoute]] = lambda _house: (),
        connection: Any = Connection,
    ) -> None:
        self.folder = folder
        self.connection = connection
        self.pages = pages
        self.running: list[tuple[uvicorn.Server, threading.Thread, Catalog]] = []
        self.clients: list[httpx2.Client] = []
        self.admin: str | None = None  # one token: with another the administrator would be somebody else

    def start(self, **settings: object) -> Hub:
        """Start a hub; it continues where the one before, which is stopped, left off."""
        self.stop()
        chosen = Settings(data_dir=self.folder, **settings)
        catalog = Catalog(chosen.database)
        catalog.migrate()
        blobs = open_store(chosen.storage)
        engine = ScriptedEngine()
        house = furnish(chosen, catalog, blobs, Snapshots(blobs, self.folder / "snapshots"), engine)
        app = create_app(house, self.pages(house))
        server = uvicorn.Server(uvicorn.Config(app, http=self.connection, port=0, log_config=None, ws="none"))
        thread = threading.Thread(target=server.run)
        thread.start()
        self.running.append((server, thread, catalog))
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        return Hub(url, house, engine, self._welcomer(house, url))

    def _welcomer(self, house: House, url: str) -> Callable[[Scope | None], Caller]:
        root = Principal(name="root", scope=Scope.ADMIN)

        def caller(scope: Scope | None) -> Caller:
            headers = {}
            if scope is not None:
                secret = self.admin if scope is Scope.ADMIN else None
                secret = secret or house.access.create(root, CreateToken(name=scope.value, scope=scope)).secret
                headers["Authorization"] = f"Bearer {secret}"
                self.admin = secret if scope is Scope.ADMIN else self.admin
            self.clients.append(httpx2.Client(base_url=url, headers=headers, timeout=30))
            return Caller(self.clients[-1])

        return caller

    def stop(self) -> None:
        """Stop what runs."""
        for client in self.clients:
            client.close()
        self.clients.clear()
        while self.running:
            server, thread, catalog = self.running.pop()
            server.should_exit = True
            thread.join()
            catalog.close()


@pytest.fixture(scope="session", autouse=True)
def _plain_tracebacks() -> None:
    """Structlog's default draws tracebacks with every variable, which takes seconds."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])


@pytest.fixture
def landlord(tmp_path: Path) -> Iterator[Landlord]:
    """Whose hubs are over the test's data folder."""
    landlord = Landlord(tmp_path / "data")
    yield landlord
    landlord.stop()


@pytest.fixture
def start_hub(landlord: Landlord) -> Callable[..., Hub]:
    """Starts a hub over the test's data folder; a second one continues where the first was stopped."""
    return landlord.start


@pytest.fixture
def hub(start_hub: Callable[..., Hub]) -> Hub:
    """A hub with embedded defaults."""
    return start_hub()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_hub(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Hub]:
    """One hub over each database, for tests that leave nothing behind."""
    landlord = Landlord(tmp_path_factory.mktemp("shared"))
    url = None if request.param == "sqlite" else request.getfixturevalue("postgresql")
    yield landlord.start(database_url=url)
    landlord.stop()


@pytest.fixture(scope="module")
def whole_hubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Hub]]:
    """Two hubs with dashboards, by what people without a token may do there; their engines echo."""
    landlords = {policy: Landlord(tmp_path_factory.mktemp(policy), pages.routes) for policy in ("none", "read")}
    hubs = {policy: landlord.start(anonymous=policy) for policy, landlord in landlords.items()}
    for hub in hubs.values():
        hub.engine.echoes = True
    yield hubs
    for landlord in landlords.values():
        landlord.stop()
