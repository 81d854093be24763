"""The laws of the engine, run on every implementation."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import uvloop

from hub.domain.errors import (
    DeadlineExceeded,
    InvalidTensor,
    ModelFailed,
    NotAvailable,
    Overloaded,
    SignatureNotFound,
)
from hub.domain.reports import ProbeResult, SignatureProbe
from hub.domain.signatures import SERVING_DEFAULT, Signature
from hub.domain.tensors import TensorSpec
from hub.engine.engine import Engine, Target
from hub.engine.local import LocalEngine
from hub.engine.memory import MemoryEngine, MemoryVersion
from hub.engine.shared import OutletEngine
from hub.protocol.frames import Tensor, from_numpy, to_numpy
from hub.protocol.golden import Sample, read_golden, write_golden
from hub.storage.blobs.memory import MemoryBlobStore
from hub.storage.snapshots import Snapshots
from tests.support.outlet_engine import attach

pytestmark = pytest.mark.slow
VECTORS = Signature(
    name=SERVING_DEFAULT,
    inputs={"x": TensorSpec(name="x", dtype="float32", shape=(None, 2))},
    outputs={
        "doubled": TensorSpec(name="doubled", dtype="float32", shape=(None, 2)),
        "total": TensorSpec(name="total", dtype="float32", shape=()),
    },
)
NUMBER = Signature(
    name=SERVING_DEFAULT,
    inputs={"x": TensorSpec(name="x", dtype="float32", shape=())},
    outputs={"y": TensorSpec(name="y", dtype="float32", shape=())},
)
LIMIT = 4


@dataclass(frozen=True)
class Bench:
    """A running implementation, its loop, and the versions that the laws are tried on."""

    runner: asyncio.Runner
    engine: Engine
    targets: Mapping[str, Target]

    def infer(self, name: str, inputs: Sequence[Tensor], deadline_s: float = 120) -> Awaitable[list[Tensor]]:
        return self.engine.infer(self.targets[name], SERVING_DEFAULT, inputs, deadline_s)


def _double(inputs: Mapping[str, Tensor]) -> list[Tensor]:
    x = to_numpy(inputs["x"])
    return [from_numpy("doubled", x * 2), from_numpy("total", x.sum())]


def _refuse(inputs: Mapping[str, Tensor]) -> list[Tensor]:
    raise RuntimeError("x is too small")


def _spin(inputs: Mapping[str, Tensor]) -> list[Tensor]:
    time.sleep(float(to_numpy(inputs["x"])))
    return [inputs["x"]]


def _memory_engine() -> tuple[Engine, dict[str, Target]]:
    targets = {name: Target("sha256:" + name) for name in ("doubler", "picky", "endless")}
    versions = {
        targets["doubler"]: MemoryVersion({SERVING_DEFAULT: VECTORS}, {SERVING_DEFAULT: _double}),
        targets["picky"]: MemoryVersion({SERVING_DEFAULT: NUMBER}, {SERVING_DEFAULT: _refuse}),
        targets["endless"]: MemoryVersion({SERVING_DEFAULT: NUMBER}, {SERVING_DEFAULT: _spin}),
    }
    x = from_numpy("x", np.ones((1, 2), np.float32))
    golden = write_golden({SERVING_DEFAULT: Sample((x,), tuple(_double({"x": x})))})
    answered = SignatureProbe(status="answered", call_ms=0.1, matches_spec=True)
    result = ProbeResult(loader="object_graph", signatures={SERVING_DEFAULT: answered})
    return MemoryEngine(versions, {targets["doubler"].digest: (result, golden)}, max_in_flight=LIMIT), targets


def _local_engine(tiny_models: Path, publish: Callable[..., str], folder: Path) -> tuple[Engine, dict[str, Target]]:
    blobs = MemoryBlobStore()
    targets = {name: Target(publish(blobs, tiny_models / name)) for name in ("doubler", "picky", "endless")}
    snapshots = Snapshots(blobs, folder / "snapshots")
    return LocalEngine(snapshots, ["cpu:0"], folder / "run", max_in_flight=LIMIT, grace_s=0.5), targets


@pytest.fixture(scope="module", params=["memory", "local", "outlet"])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    if request.param == "memory":
        engine, targets = _memory_engine()
    else:
        models, publish = request.getfixturevalue("tiny_models"), request.getfixturevalue("publish")
        engine, targets = _local_engine(models, publish, tmp_path_factory.mktemp("engine"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(engine.start())
        if request.param != "outlet":
            yield Bench(runner, engine, targets)
        else:
            outlet, leave = runner.run(_outlet_of(engine))
            yield Bench(runner, outlet, targets)
            runner.run(outlet.stop())
            runner.get_loop().call_soon(leave)
        runner.run(engine.stop())


async def _outlet_of(engine: Engine) -> tuple[Engine, Callable[[], None]]:
    assert isinstance(engine, LocalEngine)
    return attach(engine, LIMIT)


def vectors(rows: int = 1) -> Tensor:
    return from_numpy("x", np.ones((rows, 2), np.float32))


def number(value: float) -> Tensor:
    return from_numpy("x", np.float32(value))


def test_a_request_is_answered_in_the_signatures_order(bench: Bench) -> None:
    outputs = bench.runner.run(bench.infer("doubler", [vectors()]))
    described = [(tensor.name, tensor.dtype, tensor.shape) for tensor in outputs]
    assert described == [("doubled", "float32", (1, 2)), ("total", "float32", ())]
    np.testing.assert_array_equal(to_numpy(outputs[0]), [[2.0, 2.0]])
    assert bench.targets["doubler"].digest in bench.engine.status().workers[0].loaded


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param([], id="missing"),
        pytest.param([from_numpy("x", np.float32(1))], id="rank"),
        pytest.param([from_numpy("x", np.ones((1, 2)))], id="dtype"),
        pytest.param([from_numpy("z", np.ones((1, 2), np.float32))], id="name"),
        pytest.param([Tensor("x", "float32", (1, 2), b"123")], id="bytes"),
        pytest.param([Tensor("x", "nonsense", (1, 2), b"123")], id="unknown dtype"),
    ],
)
def test_inputs_that_do_not_fit_the_signature_are_refused(bench: Bench, inputs: list[Tensor]) -> None:
    with pytest.raises(InvalidTensor):
        bench.runner.run(bench.infer("doubler", inputs))


def test_an_unknown_signature_is_named(bench: Bench) -> None:
    with pytest.raises(SignatureNotFound, match="nothing"):
        bench.runner.run(bench.engine.infer(bench.targets["doubler"], "nothing", [vectors()], 60))


def test_what_a_model_raises_is_told_as_its_failure(bench: Bench) -> None:
    with pytest.raises(ModelFailed, match="x is too small"):
        bench.runner.run(bench.infer("picky", [number(1)]))


def test_a_version_whose_files_are_not_there_is_not_available(bench: Bench) -> None:
    with pytest.raises(NotAvailable):
        bench.runner.run(bench.engine.infer(Target("sha256:" + "0" * 64), SERVING_DEFAULT, [], 60))


def test_requests_at_once_each_get_their_own_answer(bench: Bench) -> None:
    async def at_once(first: int) -> None:
        rows = range(first, first + LIMIT)
        answers = await asyncio.gather(*(bench.infer("doubler", [vectors(count)]) for count in rows))
        for count, outputs in zip(rows, answers, strict=True):
            assert outputs[0].shape == (count, 2)
            assert float(to_numpy(outputs[1])) == 2.0 * count

    for first in range(1, 20, LIMIT):
        bench.runner.run(at_once(first))


def test_one_request_more_than_the_limit_is_refused_at_once(bench: Bench) -> None:
    async def overload() -> list[list[Tensor] | BaseException]:
        calls = [bench.infer("doubler", [vectors()]) for _ in range(LIMIT + 1)]
        return await asyncio.gather(*calls, return_exceptions=True)

    *inside, refused = bench.runner.run(overload())
    assert isinstance(refused, Overloaded)
    assert all(isinstance(answer, list) for answer in inside)


def test_a_model_that_never_ends_meets_its_deadline_and_stops_nobody_else_for_ever(bench: Bench) -> None:
    async def spin() -> None:
        await bench.engine.load(bench.targets["endless"])
        with pytest.raises(DeadlineExceeded):
            await bench.infer("endless", [number(1)], deadline_s=0.5)
        await asyncio.sleep(1)  # past the grace: a process that still computes is gone

    bench.runner.run(spin())
    outputs = bench.runner.run(bench.infer("doubler", [vectors()]))
    np.testing.assert_array_equal(to_numpy(outputs[0]), [[2.0, 2.0]])


def test_a_probe_says_what_answered_and_its_golden_samples_are_what_the_engine_answers(bench: Bench) -> None:
    if isinstance(bench.engine, OutletEngine):
        with pytest.raises(NotAvailable, match="probes nothing"):
            bench.runner.run(bench.engine.probe(bench.targets["doubler"].digest, None))
        return
    result, golden = bench.runner.run(bench.engine.probe(bench.targets["doubler"].digest, None))
    assert result.loader == "object_graph"
    assert result.signatures[SERVING_DEFAULT].status == "answered"
    assert golden is not None
    sample = read_golden(golden)[SERVING_DEFAULT]
    outputs = bench.runner.run(bench.infer("doubler", sample.inputs))
    for kept, now in zip(sample.outputs, outputs, strict=True):
        np.testing.assert_allclose(to_numpy(kept), to_numpy(now), rtol=1e-5)


def test_after_stop_everything_is_not_available(bench: Bench) -> None:
    bench.runner.run(bench.engine.stop())
    assert not bench.engine.status().is_ready
    doubler = bench.targets["doubler"]
    for refused in (
        bench.engine.start(),
        bench.infer("doubler", [vectors()]),
        bench.engine.load(doubler),
        bench.engine.probe(doubler.digest, None),
    ):
        with pytest.raises(NotAvailable):
            bench.runner.run(refused)
