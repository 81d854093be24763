"""Hostile models in real processes, past the scan that would have refused them: locked in, and, to compare, not."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import uvloop

from hub.domain.errors import HubError, OutputTooLarge
from hub.domain.reports import SignatureProbe
from hub.domain.signatures import SERVING_DEFAULT
from hub.engine.engine import Target
from hub.engine.local import LocalEngine
from hub.protocol.frames import Tensor, from_numpy, to_numpy
from hub.protocol.golden import read_golden
from hub.runtime import sandbox
from hub.runtime.limits import Limits
from hub.runtime.sandbox import Mode
from hub.storage.blobs.memory import MemoryBlobStore
from hub.storage.snapshots import Snapshots

SECRET = b"the secret of somebody else"
SUPPORT = Path(__file__).parents[1] / "support"
LEVEL = sandbox.tried()
HOSTILE = ("reader", "writer", "caller", "server", "opener", "neighbour", "amplifier")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not LEVEL.is_whole, reason=str(LEVEL))]


@dataclass(frozen=True)
class Outside:
    """What hostile models reach for, and the models that do."""

    canary: Path
    written: Path
    listening: socket.socket
    free_port: int
    models: Path

    def connections(self) -> int:
        count = 0
        while True:
            try:
                self.listening.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1


@dataclass(frozen=True)
class Bench:
    """A running engine, its loop, and hostile versions."""

    runner: asyncio.Runner
    engine: LocalEngine
    snapshots: Snapshots
    targets: dict[str, Target]

    def infer(self, name: str, x: object = np.float32(1)) -> list[Tensor]:
        inputs = [from_numpy("x", np.asarray(x))]
        return self.runner.run(self.engine.infer(self.targets[name], SERVING_DEFAULT, inputs, 120))

    def probe(self, name: str) -> SignatureProbe:
        result, _ = self.runner.run(self.engine.probe(self.targets[name].digest, None))
        return result.signatures[SERVING_DEFAULT]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    folder = tmp_path_factory.mktemp("outside")
    canary, written, models = folder / "canary", folder / "written", folder / "models"
    canary.write_bytes(SECRET)
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_server(("127.0.0.1", 0)) as taken:
        listening.setblocking(False)
        free_port = taken.getsockname()[1]
        taken.close()
        ports = [str(listening.getsockname()[1]), str(free_port)]
        command = [sys.executable, str(SUPPORT / "hostile_models.py"), str(models), str(canary), str(written), *ports]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        found = Outside(canary, written, listening, free_port, models)
        found.connections()  # the maker's own
        yield found


@pytest.fixture(scope="module", params=["require", "off"])
def bench(
    request: pytest.FixtureRequest,
    outside: Outside,
    publish: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Mode, Bench]]:
    mode: Mode = request.param
    blobs, folder = MemoryBlobStore(), tmp_path_factory.mktemp("engine")
    targets = {name: Target(publish(blobs, outside.models / name)) for name in HOSTILE}
    snapshots, limits = Snapshots(blobs, folder / "snapshots"), Limits(wall_s=120)
    engine = LocalEngine(snapshots, ["cpu:0"], folder / "run", probe_limits=limits, sandbox=mode)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(engine.start())
        yield mode, Bench(runner, engine, snapshots, targets)
        runner.run(engine.stop())


def served(bench: Bench, name: str) -> str:
    """What a worker says, in the end, to who has it call a model; "" where it answers."""
    try:
        bench.infer(name)
    except HubError as error:
        return f"{error.detail} {error.remedy}"
    return ""


def probed(bench: Bench, name: str) -> str:
    return bench.probe(name).detail


CALLS = {"probe": probed, "worker": served}


def names_no_path(text: str) -> bool:
    return not re.search(r"/\w+/", text)


@pytest.mark.parametrize("where", CALLS)
def test_nothing_outside_is_read(bench: tuple[Mode, Bench], where: str) -> None:
    mode, running = bench
    said = CALLS[where](running, "reader")
    if mode == "off":
        assert said == ""
        assert SECRET in [to_numpy(tensor).item() for tensor in running.infer("reader") if tensor.name == "y"]
    else:
        assert "Permission denied" in said
        assert names_no_path(said)
        assert SECRET.decode() not in said


@pytest.mark.parametrize("where", CALLS)
def test_nothing_outside_is_written(bench: tuple[Mode, Bench], outside: Outside, where: str) -> None:
    mode, running = bench
    outside.written.unlink(missing_ok=True)
    said = CALLS[where](running, "writer")
    assert outside.written.exists() == (mode == "off")
    if mode != "off":
        assert "Permission denied" in said
        assert names_no_path(said)


@pytest.mark.parametrize("where", CALLS)
def test_nothing_is_connected_to(bench: tuple[Mode, Bench], outside: Outside, where: str) -> None:
    mode, running = bench
    outside.connections()
    said = CALLS[where](running, "caller")
    assert (outside.connections() > 0) == (mode == "off")
    assert said
    assert names_no_path(said)


@pytest.mark.parametrize("where", CALLS)
def test_nothing_is_listened_on(bench: tuple[Mode, Bench], outside: Outside, where: str) -> None:
    mode, running = bench
    done, answered = threading.Event(), threading.Event()

    def knock() -> None:
        while not done.wait(0.02):
            with suppress(OSError), socket.create_connection(("127.0.0.1", outside.free_port)):
                answered.set()

    knocking = threading.Thread(target=knock)
    knocking.start()
    try:
        said = CALLS[where](running, "server")
    finally:
        done.set()
        knocking.join()
    assert answered.is_set() == (mode == "off")
    assert names_no_path(said)


def test_a_worker_is_under_a_filter_and_gains_no_privileges(bench: tuple[Mode, Bench]) -> None:
    mode, running = bench
    served(running, "reader")
    (worker,) = running.engine.status().workers
    lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    facts = dict(line.split(":\t", 1) for line in lines)
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == (("0", "0") if mode == "off" else ("1", "2"))


def test_a_worker_reads_no_version_that_it_was_not_told_to_load(bench: tuple[Mode, Bench]) -> None:
    mode, running = bench
    never_loaded = running.snapshots.path(running.targets["neighbour"].digest) / "saved_model.pb"
    told = np.array(str(never_loaded).encode(), dtype=object)
    if mode == "off":
        assert to_numpy(running.infer("opener", told)[0]).item() == never_loaded.read_bytes()
        return
    with pytest.raises(HubError) as caught:
        running.infer("opener", told)
    assert "Permission denied" in caught.value.detail
    assert names_no_path(caught.value.detail)


def test_a_probe_finds_no_version_beside_its_own(bench: tuple[Mode, Bench]) -> None:
    mode, running = bench
    for target in running.targets.values():
        running.snapshots.path(target.digest)
    _, golden = running.runner.run(running.engine.probe(running.targets["neighbour"].digest, None))
    samples = read_golden(golden)[SERVING_DEFAULT].outputs if golden else ()
    found = [int(to_numpy(tensor)) for tensor in samples if tensor.name == "y"]
    assert found == ([len(running.targets)] if mode == "off" else found and [0])


def test_an_answer_that_is_too_large_is_the_models_failure_and_ends_nothing(bench: tuple[Mode, Bench]) -> None:
    _, running = bench
    before = running.engine.status().workers[0].restarts
    with pytest.raises(OutputTooLarge):
        running.infer("amplifier")
    assert running.engine.status().workers[0].restarts == before
