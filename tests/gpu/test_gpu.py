"""The engine on a real GPU: the same answers as on the CPU, in batches, from memory that is taken as it is needed."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvloop

from hub.engine.engine import Target
from hub.engine.local import LocalEngine
from hub.protocol.frames import Tensor, from_numpy, to_numpy
from hub.runtime.devices import find_devices
from hub.savedmodel.inspect import inspect
from hub.storage.blobs.memory import MemoryBlobStore
from hub.storage.snapshots import Snapshots

GPUS = [device for device in find_devices() if device.startswith("gpu")]
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not GPUS, reason="no GPU here")]
WITHIN_S = 240.0
MAKER = Path(__file__).parent / "networks.py"
TF32 = 5e-2  # of the largest value: a GPU rounds the factors of every convolution to 10 bits
Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Running:
    """Engines on one event loop, and what they serve."""

    def __init__(self, runner: asyncio.Runner, engine: LocalEngine, targets: dict[str, Target]) -> None:
        self.run = runner.run
        self.engine = engine
        self.targets = targets

    def infer(self, name: str, *tensors: Tensor, signature: str = "serving_default") -> list[Tensor]:
        return self.run(self.engine.infer(self.targets[name], signature, tensors, WITHIN_S))

    def many(self, name: str, inputs: list[np.ndarray]) -> list[np.ndarray]:
        async def ask() -> list[list[Tensor]]:
            calls = (
                self.engine.infer(self.targets[name], "serving_default", (from_numpy("x", x),), WITHIN_S)
                for x in inputs
            )
            return await asyncio.gather(*calls)

        return [to_numpy(answer[0]) for answer in self.run(ask())]


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run([sys.executable, str(MAKER), str(folder)], check=True, env=environment)
    return folder


@pytest.fixture(scope="module")
def on(
    networks: Path, tiny_models: Path, publish: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Running]]:
    """An engine on the first GPU and one on the CPU, with the same versions."""
    blobs = MemoryBlobStore()
    trunk = publish(blobs, networks / "trunk", signatures=inspect(networks / "trunk").signatures)
    targets = {"trunk": Target(trunk)}
    for name in ("head-0", "head-1"):
        signatures = inspect(networks / name).signatures
        targets[name] = Target(publish(blobs, networks / name, trunk=trunk, signatures=signatures), trunk)
    for name in ("vocabulary", "counter"):
        targets[name] = Target(publish(blobs, tiny_models / name))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        running = {}
        for device in (GPUS[0], "cpu:0"):
            folder = tmp_path_factory.mktemp("engine")
            engine = LocalEngine(Snapshots(blobs, folder / "snapshots"), [device], folder / "run")
            runner.run(engine.start())
            running[device[:3]] = Running(runner, engine, targets)
        yield running
        for each in running.values():
            runner.run(each.engine.stop())


def images(count: int, rows: int = 1) -> list[np.ndarray]:
    random = np.random.default_rng(7)
    return [random.uniform(-1, 1, (rows, 96, 96, 3)).astype(np.float32) for _ in range(count)]


def near(mine: np.ndarray, reference: np.ndarray) -> bool:
    return bool(np.abs(mine - reference).max() <= TF32 * np.abs(reference).max())


def test_a_network_answers_as_on_the_cpu_before_and_after_it_was_measured(on: dict[str, Running]) -> None:
    (x,) = images(1)
    (reference,) = on["cpu"].many("trunk", [x])
    (first,) = on["gpu"].many("trunk", [x])
    gpu = on["gpu"]
    gpu.run(gpu.engine.load(gpu.targets["trunk"]))
    (later,) = gpu.many("trunk", [x])
    assert near(first, reference)
    assert near(later, reference)
    choice = gpu.engine.status().workers[0].choices[gpu.targets["trunk"].digest]["serving_default"]
    print(f"\nways of MobileNet 96 on {GPUS[0]}: {dict(choice.ratios)}, chosen: {choice.way}")
    assert choice.has_independent_rows
    assert "plain" in choice.ratios
    assert set(choice.ratios) & {"frozen", "frozen_session", "compiled"}


def test_a_crowd_is_computed_in_batches_and_each_gets_its_own_answer(on: dict[str, Running]) -> None:
    crowd = images(13)
    alone = [on["cpu"].many("trunk", [x])[0] for x in crowd]
    together = on["gpu"].many("trunk", crowd)
    assert all(near(mine, reference) for mine, reference in zip(together, alone, strict=True))


def test_heads_share_their_trunk(on: dict[str, Running]) -> None:
    x = from_numpy("x", images(1)[0])
    for name in ("head-0", "head-1"):
        mine, reference = (to_numpy(on[where].infer(name, x)[0]) for where in ("gpu", "cpu"))
        assert near(mine, reference)
    gpu = on["gpu"]
    both = Target(gpu.targets["head-0"].digest, gpu.targets["trunk"].digest, (gpu.targets["head-1"].digest,))
    answers = gpu.run(gpu.engine.infer_heads(both, ["serving_default"] * 2, (x,), WITHIN_S))
    for name, answer in zip(("head-0", "head-1"), answers, strict=True):
        assert near(to_numpy(answer[0]), to_numpy(on["cpu"].infer(name, x)[0]))


def test_strings_and_state_work_beside_the_gpu(on: dict[str, Running]) -> None:
    gpu, cpu = on["gpu"], on["cpu"]
    words = from_numpy("words", np.array([b"cat", b"zebra"], dtype=object))
    assert gpu.infer("vocabulary", words) == cpu.infer("vocabulary", words)
    counts = [to_numpy(gpu.infer("counter", signature="count_up")[0]).tolist() for _ in range(2)]
    assert counts == [1.0, 1.0]  # as freshly loaded, each time


def test_the_gpus_memory_is_taken_as_it_is_needed(on: dict[str, Running]) -> None:
    query = ["nvidia-smi", "--id=0", "--query-gpu=memory.used,memory.total", "--format=csv,noheader,nounits"]
    used, total = map(int, subprocess.run(query, capture_output=True, text=True, check=True).stdout.split(","))
    worker = on["gpu"].engine.status().workers[0]
    print(f"\n{used} of {total} MiB used; loaded: {sum(worker.loaded.values()) >> 20} MiB")
    assert used < total / 4
    assert worker.budget_bytes is not None
    assert total / 2 < worker.budget_bytes / (1 << 20) < total


def test_a_killed_worker_comes_back_on_its_gpu(on: dict[str, Running]) -> None:
    gpu = on["gpu"]
    pid = gpu.engine.status().workers[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + WITHIN_S
    while gpu.engine.status().workers[0].pid in (pid, None):
        assert time.monotonic() < until
        gpu.run(asyncio.sleep(0.1))
    (x,) = images(1)
    assert near(gpu.many("trunk", [x])[0], on["cpu"].many("trunk", [x])[0])


def test_hidden_gpus_are_not_served_on() -> None:
    for hidden in ("", "-1"):
        assert find_devices(os.environ | {"CUDA_VISIBLE_DEVICES": hidden}) == ["cpu:0"]
    assert find_devices(os.environ | {"CUDA_VISIBLE_DEVICES": "0"}) == ["gpu:0"]
