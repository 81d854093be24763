"""A running application whose models are functions of arrays: real catalog, real stores, an engine in memory."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import uvicorn

from hub.api.app import create_app
from hub.api.connection import Connection
from hub.api.front import Front
from hub.api.patience import Patience
from hub.domain.digests import digest_of
from hub.domain.errors import HubError
from hub.domain.lineage import Edge
from hub.domain.manifest import BlobRef, File, Kind, Manifest
from hub.domain.names import ModelName
from hub.domain.reports import Report, Verdict
from hub.domain.signatures import Signature, compose
from hub.domain.tensors import Shape, TensorSpec
from hub.domain.versions import State, Version
from hub.engine.engine import Target
from hub.engine.memory import Function, MemoryEngine, MemoryVersion
from hub.protocol.frames import Tensor, from_numpy, to_numpy
from hub.server import furnish
from hub.services.house import House
from hub.settings import Settings
from hub.storage.blobs import open_store
from hub.storage.catalog import Catalog
from hub.storage.snapshots import Snapshots

REQUEST_MAX_BYTES = 1 << 20
REPORT = Report(**{answer: Verdict(answer="yes") for answer in ("servable", "tunable", "portable", "safe")})
Compute = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


class RecordingEngine(MemoryEngine):
    """Runs functions, and notes how long each call might have taken."""

    def __init__(self) -> None:
        self.added: dict[Target, MemoryVersion] = {}
        self.deadlines_s: list[float] = []
        self.priorities: list[int] = []
        self.straight = 0
        super().__init__(self.added)

    async def infer(
        self, target: Target, signature: str, inputs: Sequence[Tensor], deadline_s: float, priority: int = 0
    ) -> list[Tensor]:
        self.deadlines_s.append(deadline_s)
        self.priorities.append(priority)
        return await super().infer(target, signature, inputs, deadline_s, priority)

    def start_infer(self, *arguments: Any) -> Callable[[], None] | None:
        withdraw = super().start_infer(*arguments)
        self.straight += withdraw is not None
        return withdraw


def over_arrays(compute: Compute) -> Function:
    """A function of arrays as a function of tensors."""

    def run(inputs: Mapping[str, Tensor]) -> list[Tensor]:
        outputs = compute({name: to_numpy(tensor) for name, tensor in inputs.items()})
        return [from_numpy(name, array) for name, array in outputs.items()]

    return run


def raising(error: HubError) -> Compute:
    """A model that fails."""

    def compute(_inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        raise error

    return compute


def signature(inputs: dict[str, tuple[str, Shape]], outputs: dict[str, tuple[str, Shape]], name: str) -> Signature:
    sides = [
        {key: TensorSpec(name=key, dtype=dtype, shape=shape) for key, (dtype, shape) in side.items()}
        for side in (inputs, outputs)
    ]
    return Signature(name=name, inputs=sides[0], outputs=sides[1])


@dataclass(frozen=True, slots=True)
class Hub:
    """A running application and what the tests put into it."""

    url: str
    house: House
    engine: RecordingEngine
    secret: str
    front: Front

    def add(
        self,
        name: str,
        signatures: Sequence[Signature],
        compute: Compute,
        *,
        is_private: bool = False,
        edge: Edge | None = None,
        state: State = State.READY,
        alias: str | None = None,
    ) -> Version:
        """Put a version into the stores as a push does, without its files."""
        house, model = self.house, ModelName.parse(name)
        content = f"{name} {len(self.engine.added)}".encode()
        blob = BlobRef(digest=digest_of(content), size=len(content))
        manifest = Manifest(
            kind=Kind.HEAD if edge else Kind.TRUNK,
            files=(File(path="saved_model.pb", size=blob.size, digest=blob.digest, blobs=(blob,)),),
            signatures={each.name: each for each in signatures},
            tuning_face=None,
            tensors=(),
            lineage=(edge,) if edge else (),
        )
        data, digest = manifest.canonical(), manifest.digest()
        house.pulls.blobs.put(digest, [data], len(data))
        with house.browse.catalog.begin() as tx:
            tx.ensure_model(model, manifest.kind, is_private=is_private, created_by="t")
            version = tx.add_version(
                model,
                manifest,
                digest=digest,
                content_digest=blob.digest,
                report=REPORT,
                state=State.VALIDATING,
                created_by="t",
                message="",
                alias=alias,
            )
            if state is not State.VALIDATING:
                reached = State.REJECTED if state is State.REJECTED else State.READY
                version = tx.finish_version(
                    model, version.number, state=reached, report=REPORT, interface=1, golden_digest=None
                )
            if state is State.YANKED:
                version = tx.yank(model, version.number, "it was wrong")
        called = {each.name: each for each in signatures}
        if edge is not None:
            called = compose(self.house.predictions.snapshots.manifest(edge.digest).signatures[edge.signature], called)
        functions = dict.fromkeys(called, over_arrays(compute))
        self.engine.added[Target(digest, edge.digest if edge else None)] = MemoryVersion(called, functions)
        return version

    def post(self, path: str, body: bytes, **headers: str) -> httpx2.Response:
        return httpx2.post(self.url + path, content=body, headers=headers)

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return httpx2.get(self.url + path, headers=headers)


@contextmanager
def running_hub(data: Path, patience: Patience | None = None, **more: Any) -> Iterator[Hub]:
    """A hub without models, over HTTP; ``more`` are settings."""
    wanted = {"request_max_bytes": REQUEST_MAX_BYTES, "predict_deadline_s": 30.0, "anonymous": "read"}
    settings = Settings(data_dir=data, **wanted | more)
    catalog = Catalog(settings.database)
    catalog.migrate()
    blobs = open_store(settings.storage)
    engine = RecordingEngine()
    house = furnish(settings, catalog, blobs, Snapshots(blobs, data / "snapshots"), engine)
    first = house.access.create_first()
    assert first is not None
    front = create_app(house)
    server = uvicorn.Server(
        uvicorn.Config(front, http=partial(Connection, patience=patience), port=0, log_level="warning")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Hub(f"http://127.0.0.1:{port}", house, engine, first.secret, front)
    finally:
        server.should_exit = True
        thread.join(30)
        catalog.close()


def half_plus_two(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"y": (inputs["x"] / 2 + 2).astype(np.float32)}


X_TO_Y = signature({"x": ("float32", (None, 1))}, {"y": ("float32", (None, 1))}, "serving_default")
