"""The local engine with real models in real worker processes."""

import asyncio
import base64
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import uvloop

from hub.domain.errors import ModelFailed, NotAvailable, Quarantined, WorkerLost
from hub.domain.reports import ProbeResult
from hub.domain.signatures import SERVING_DEFAULT
from hub.engine.engine import Target
from hub.engine.local import LocalEngine
from hub.protocol.frames import Tensor, from_numpy, numpy_dtype, to_numpy
from hub.protocol.golden import read_golden
from hub.runtime.limits import Limits
from hub.savedmodel.inspect import inspect
from hub.storage.blobs.memory import MemoryBlobStore
from hub.storage.snapshots import Snapshots
from tests.support.outlet_engine import attach

pytestmark = pytest.mark.slow
CORPUS = Path(os.environ.get("HUB_TEST_CORPUS") or Path(__file__).parents[3] / "shared" / "savedmodels")
EXPECTED = CORPUS / "expected.json"
MISSING_KERNEL = "tfx__chicago_trained_saved_model"


def corpus() -> dict[str, Any]:
    """Expected answers by model; empty where there is no corpus."""
    if not EXPECTED.is_file():
        return {}
    models = orjson.loads(EXPECTED.read_bytes())["models"]
    return {name: answers for name, answers in models.items() if (CORPUS / name / "saved_model.pb").is_file()}


def answered() -> list[str]:
    """Models of the corpus that can be served."""
    return [
        name
        for name, answers in corpus().items()
        if name != MISSING_KERNEL and not any("needs" in answer for answer in answers.values())
    ]


@dataclass(frozen=True)
class Bench:
    """A running engine, its loop, and versions to run."""

    runner: asyncio.Runner
    engine: LocalEngine
    blobs: MemoryBlobStore
    tiny_models: Path
    publish: Callable[..., str]

    def target(self, name: str, trunk: str | None = None) -> Target:
        return Target(self.publish(self.blobs, self.tiny_models / name, trunk=trunk), trunk)

    def from_corpus(self, name: str) -> Target:
        found = inspect(CORPUS / name)
        facts = {"signatures": found.signatures, "loader": found.loader}
        return Target(self.publish(self.blobs, CORPUS / name, **facts))

    def ask(
        self, target: Target, inputs: Sequence[Tensor] = (), signature: str = SERVING_DEFAULT, deadline_s: float = 120
    ) -> Awaitable[list[Tensor]]:
        return self.engine.infer(target, signature, inputs, deadline_s)

    def infer(self, target: Target, inputs: Sequence[Tensor] = (), signature: str = SERVING_DEFAULT) -> list[Any]:
        return [to_numpy(tensor).tolist() for tensor in self.runner.run(self.ask(target, inputs, signature))]

    def probe(self, target: Target) -> tuple[ProbeResult, bytes | None]:
        return self.runner.run(self.engine.probe(target.digest, target.trunk_digest))


@pytest.fixture(scope="module")
def bench(tiny_models: Path, publish: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    blobs, folder = MemoryBlobStore(), tmp_path_factory.mktemp("engine")
    limits = Limits(wall_s=60)
    snapshots = Snapshots(blobs, folder / "snapshots")
    engine = LocalEngine(snapshots, ["cpu:0"], folder / "run", grace_s=0.5, probe_limits=limits)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(engine.start())
        yield Bench(runner, engine, blobs, tiny_models, publish)
        runner.run(engine.stop())
    assert not list((folder / "run" / "probes").glob("*/journal.json"))


def vectors(name: str = "x", rows: int = 1) -> Tensor:
    return from_numpy(name, np.ones((rows, 2), np.float32))


def number(value: float) -> Tensor:
    return from_numpy("x", np.float32(value))


def words(*values: bytes) -> Tensor:
    return from_numpy("words", np.array(values, dtype=object))


def test_heads_answer_on_raw_trunk_input_and_share_one_trunk(bench: Bench) -> None:
    trunk = bench.target("trunk")
    head = bench.target("head", trunk.digest)
    assert bench.infer(head, [vectors("inputs", 2)]) == [[40.0, 40.0]]
    assert bench.infer(trunk, [vectors("inputs")]) == [[[1.0, 1.0, 2.0]]]
    loaded = bench.engine.status().workers[0].loaded
    assert {trunk.digest, head.digest} <= loaded.keys()


def test_a_stateful_signature_answers_as_if_freshly_loaded(bench: Bench) -> None:
    counter = bench.target("counter")
    assert bench.infer(counter, signature="count_up") == [1.0]
    assert bench.infer(counter, signature="count_up") == [1.0]
    assert bench.infer(counter, [words(b"a", b"b")], "remember") == [2]
    assert bench.infer(counter, [words(b"c")], "remember") == [1]


def test_strings_and_tables_pass_through(bench: Bench) -> None:
    vocabulary = bench.target("vocabulary")
    assert bench.infer(vocabulary, [words(b"b", b"", b"a\0")]) == [[1, -1, -1], [b"B", b"", b"A\0"]]
    assert bench.infer(vocabulary, [words()]) == [[], []]


def test_what_a_model_raises_names_no_path_of_this_machine(bench: Bench) -> None:
    with pytest.raises(ModelFailed) as caught:
        bench.infer(bench.target("picky"), [number(1)])
    assert "/" not in caught.value.detail.replace("assert_greater/y", "")


def test_a_killed_worker_fails_only_what_is_inside_and_comes_back(bench: Bench) -> None:
    endless = bench.target("endless")

    async def kill() -> None:
        await bench.engine.load(endless)
        inside = asyncio.ensure_future(bench.ask(endless, [number(1)]))
        await asyncio.sleep(0.5)
        (worker,) = bench.engine.status().workers
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(WorkerLost):
            await inside

    before = bench.engine.status().workers[0].restarts
    bench.runner.run(kill())
    assert bench.infer(bench.target("doubler"), [vectors()]) == [[[2.0, 2.0]], 2.0]
    assert bench.engine.status().workers[0].restarts == before + 1


def test_a_version_that_keeps_killing_workers_is_not_run_for_a_while_and_others_are(bench: Bench) -> None:
    aborter, doubler = bench.target("aborter"), bench.target("doubler")

    async def through_an_outlet() -> None:
        outlet, leave = attach(bench.engine)
        try:
            await outlet.infer(aborter, SERVING_DEFAULT, [number(1)], 60)
        finally:
            await outlet.stop()
            leave()

    for ask in (bench.ask(aborter, [number(1)]), through_an_outlet(), bench.ask(aborter, [number(1)])):
        bench.runner.run(bench.engine.load(doubler))  # and measured: nothing of it runs beside what ends the worker
        assert bench.infer(doubler, [vectors()]) == [[[2.0, 2.0]], 2.0]
        with pytest.raises(ModelFailed, match="SIGABRT"):
            bench.runner.run(ask)
    restarts = bench.engine.status().workers[0].restarts
    with pytest.raises(Quarantined, match="3 times"):
        bench.infer(aborter, [number(1)])
    with pytest.raises(Quarantined):
        bench.runner.run(bench.engine.load(aborter))
    assert bench.engine.start_infer(aborter, SERVING_DEFAULT, [number(1)], 5, 0, lambda _told: None) is None
    assert bench.infer(doubler, [vectors()]) == [[[2.0, 2.0]], 2.0]
    status = bench.engine.status()
    assert list(status.quarantined) == [aborter.digest]
    assert status.workers[0].restarts <= restarts + 1  # the third death may not have been counted yet


def test_a_worker_is_replaced_while_it_serves_and_nobody_fails(bench: Bench) -> None:
    (supervisor,) = bench.engine._posts
    head_of = bench.target("trunk")
    targets = [bench.target("doubler"), head_of, bench.target("head", trunk=head_of.digest)]
    names = ["x", "inputs", "inputs"]

    async def crowd() -> tuple[set[int | None], list[int], dict[str, int]]:
        outlet, leave = attach(bench.engine)
        for target in targets:
            await bench.engine.load(target)
        first = bench.engine.status().workers[0]
        pids: set[int | None] = {first.pid}
        counts = [0] * len(targets)
        stop = asyncio.Event()

        async def work(at: int) -> None:
            while not stop.is_set():
                answer = await bench.ask(targets[at], [vectors(names[at])])
                assert len(answer) > 0
                beside = await outlet.infer(targets[at], SERVING_DEFAULT, [vectors(names[at])], 60)
                assert len(beside) == len(answer)
                counts[at] += 1

        working = [asyncio.create_task(work(at)) for at in range(len(targets)) for _ in range(3)]
        supervisor.recycle()
        async with asyncio.timeout(120):
            while len(supervisor._lives) != 1 or bench.engine.status().workers[0].pid == first.pid:
                pids.add(bench.engine.status().workers[0].pid)
                await asyncio.sleep(0.02)
        taken_over = dict(supervisor.loaded)
        await asyncio.sleep(0.3)
        stop.set()
        await asyncio.gather(*working)
        pids.add(bench.engine.status().workers[0].pid)
        await outlet.stop()
        leave()
        return pids, counts, taken_over

    before = bench.engine.status().workers[0].restarts
    pids, counts, taken_over = bench.runner.run(crowd())
    assert len(pids) == 2
    assert None not in pids
    assert all(counts)
    assert {digest for target in targets for digest in target.digests} <= taken_over.keys()
    assert bench.engine.status().workers[0].restarts == before


def test_a_worker_that_cannot_be_replaced_stays(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    (supervisor,) = bench.engine._posts
    bench.infer(bench.target("doubler"), [vectors()])
    pid = bench.engine.status().workers[0].pid

    async def refuse(*_: object) -> None:
        raise NotAvailable("No more processes.")

    async def recycle() -> None:
        monkeypatch.setattr("hub.engine.supervisor.start_module", refuse)
        supervisor.recycle()
        await asyncio.sleep(0.5)
        assert not supervisor._wants_another.is_set()

    bench.runner.run(recycle())
    monkeypatch.undo()
    assert bench.infer(bench.target("doubler"), [vectors()]) == [[[2.0, 2.0]], 2.0]
    assert bench.engine.status().workers[0].pid == pid


def test_a_probe_compares_loaders_and_finds_variables_the_session_does_not(bench: Bench) -> None:
    result, _ = bench.probe(bench.target("hidden_keras"))
    assert result.loader == "object_graph"
    assert result.signatures[SERVING_DEFAULT].status == "answered"
    assert result.signatures[SERVING_DEFAULT].session_matches is False
    assert [finding.rule for finding in result.findings] == ["probe.session-fails"]
    portable, _ = bench.probe(bench.target("doubler"))
    assert portable.session_loads
    assert portable.signatures[SERVING_DEFAULT].session_matches


def test_a_probe_names_trainable_variables_that_no_gradient_reaches(bench: Bench) -> None:
    result, _ = bench.probe(bench.target("trunk"))
    assert result.training_call is True
    assert result.gradients_missing == ("unused:0",)


def test_a_probe_tells_a_model_that_refuses_from_one_that_fails(bench: Bench) -> None:
    refused, golden = bench.probe(bench.target("picky"))
    assert refused.signatures[SERVING_DEFAULT].status == "inputs-refused"
    assert "x is too small" in refused.signatures[SERVING_DEFAULT].detail
    assert golden is None


def test_a_probe_survives_a_model_that_kills_its_process(bench: Bench) -> None:
    result, golden = bench.probe(bench.target("aborter"))
    assert result.loader is None
    assert golden is None
    (finding,) = result.findings
    assert finding.rule == "probe.crashed"
    assert "SIGABRT" in finding.message


def test_a_random_model_answers_and_leaves_no_golden_sample(bench: Bench) -> None:
    result, golden = bench.probe(bench.target("dice"))
    assert result.signatures[SERVING_DEFAULT].status == "answered"
    assert result.signatures[SERVING_DEFAULT].session_matches is None
    assert golden is None


def test_a_head_is_probed_on_features_and_on_its_trunk(bench: Bench) -> None:
    trunk = bench.target("trunk")
    result, golden = bench.probe(bench.target("head", trunk.digest))
    assert result.signatures[SERVING_DEFAULT].status == "answered"
    assert golden is not None
    assert [tensor.name for tensor in read_golden(golden)[SERVING_DEFAULT].inputs] == ["features"]
    mismatched, _ = bench.probe(bench.target("picky", trunk.digest))
    assert mismatched.loader == "object_graph"
    assert all(signature.status != "answered" for signature in mismatched.signatures.values())


def expected_inputs(entry: dict[str, Any]) -> list[Tensor]:
    """Inputs by the corpus's rule: see its ``expected.json``."""
    example = base64.b64decode(orjson.loads(EXPECTED.read_bytes())["_tf_example_b64"])
    tensors = []
    for name, spec in entry.get("inputs", {}).items():
        if "values" in spec:
            tensors.append(from_numpy(name, np.asarray(spec["values"], dtype=np.float32)))
            continue
        flat = np.arange(int(np.prod(spec["shape"])))
        if spec["dtype"] == "string":
            text = example if spec["fill"] == "tf.Example" else b"hello world"
            values = np.empty(len(flat), dtype=object)
            values.fill(text)
        else:
            wanted = numpy_dtype(spec["dtype"])
            values = {"f": flat * 37 % 101 / 101.0, "b": flat * 0}.get(wanted.kind, flat % 3).astype(wanted)
        tensors.append(from_numpy(name, values.reshape(spec["shape"])))
    return tensors


@pytest.mark.parametrize("name", answered())
def test_a_real_model_answers_what_tensorflow_answered(bench: Bench, name: str) -> None:
    target = bench.from_corpus(name)
    for signature, entry in corpus()[name].items():
        outputs = bench.runner.run(bench.ask(target, expected_inputs(entry), signature))
        got = {tensor.name: to_numpy(tensor) for tensor in outputs}
        for output, wanted in entry["outputs"].items():
            assert list(got[output].shape) == wanted["shape"]
            np.testing.assert_allclose(got[output].ravel(), wanted["values"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", answered())
def test_a_real_model_passes_the_probe_and_answers_its_golden_samples(bench: Bench, name: str) -> None:
    target = bench.from_corpus(name)
    result, golden = bench.probe(target)
    assert result.findings == ()
    assert result.session_loads
    for signature in corpus()[name]:
        assert result.signatures[signature].status == "answered"
        assert result.signatures[signature].session_matches
    assert golden is not None
    for signature, sample in read_golden(golden).items():
        outputs = bench.runner.run(bench.ask(target, sample.inputs, signature))
        for kept, now in zip(sample.outputs, outputs, strict=True):
            np.testing.assert_allclose(to_numpy(kept), to_numpy(now), rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(not EXPECTED.is_file(), reason="the corpus of real SavedModels is not here")
def test_a_real_model_without_a_kernel_fails_the_probe(bench: Bench) -> None:
    result, _ = bench.probe(bench.from_corpus(MISSING_KERNEL))
    assert result.signatures
    for probe in result.signatures.values():
        assert probe.status == "failed"
        assert "BoostedTreesBucketize" in probe.detail
