"""Batches: many requests, one call; heads that share their trunk's work."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import uvloop

from hub.domain.errors import InvalidModel, InvalidTensor, OutputTooLarge
from hub.domain.signatures import SERVING_DEFAULT, Signature
from hub.domain.tensors import TensorSpec
from hub.engine.choices import Choices
from hub.engine.engine import Target
from hub.engine.local import LocalEngine
from hub.engine.supervisor import Batching
from hub.protocol.frames import Tensor, from_numpy, to_numpy
from hub.runtime.answers import as_tensors, rows_as_tensors
from hub.runtime.batches import rows_of
from hub.runtime.computing import Call, Job, compute
from hub.runtime.devices import Device
from hub.runtime.limits import AnswerLimits
from hub.runtime.orders import Choice, Order
from hub.runtime.servable import Value
from hub.savedmodel.inspect import inspect
from hub.storage.blobs.memory import MemoryBlobStore
from hub.storage.snapshots import Snapshots
from hub.telemetry import metrics

pytestmark = pytest.mark.slow
ROWS = TensorSpec(name="x", dtype="float32", shape=(None, 2))


class Counted:
    """A servable in Python that notes what it was called on."""

    def __init__(self, function: Callable[[np.ndarray], np.ndarray], *, taken: str = "x", given: str = "y") -> None:
        inputs = {taken: ROWS.model_copy(update={"name": taken})}
        outputs = {given: ROWS.model_copy(update={"name": given})}
        self.order = Order("d", Path(), "object_graph", 1, {"f": Signature(name="f", inputs=inputs, outputs=outputs)})
        self.function = function
        self.taken, self.given = taken, given
        self.rows: list[int] = []

    def run(self, signature: str, inputs: dict[str, Value]) -> dict[str, Value]:
        assert signature == "f"
        value = np.asarray(inputs[self.taken])
        self.rows.append(len(value))
        return {self.given: self.function(value)}


def job(number: int, value: float, rows: int = 1, heads: Sequence[Call] = ()) -> Job:
    return Job(number, rows, 0, (from_numpy("x", np.full((rows, 2), value, np.float32)),), tuple(heads))


def values(answers: list) -> list[list[float]]:
    return [[float(to_numpy(tensor).ravel()[0]) for tensor in answer] for answer in answers]


def test_jobs_of_several_sizes_are_one_call_and_each_gets_its_own_rows() -> None:
    trunk = Counted(lambda x: x * 2)
    answers = compute(Call(trunk, "f", True), [job(1, 1.0), job(2, 2.0, rows=3), job(3, 3.0)])
    assert trunk.rows == [5]
    assert [answer[0].shape for answer in answers] == [(1, 2), (3, 2), (1, 2)]
    assert values(answers) == [[2.0], [4.0], [6.0]]


def test_a_batch_is_padded_to_an_allowed_size_and_nobody_sees_it() -> None:
    trunk = Counted(lambda x: x + 1)
    answers = compute(Call(trunk, "f", True), [job(number, float(number)) for number in range(3)], sizes=(1, 4))
    assert trunk.rows == [4]
    assert values(answers) == [[1.0], [2.0], [3.0]]


def test_heads_share_one_call_of_their_trunk_and_each_runs_on_its_own_rows() -> None:
    trunk = Counted(lambda x: x * 2, given="features")
    one = Counted(lambda x: x + 1, taken="features")
    two = Counted(lambda x: -x, taken="features")
    heads = [Call(head, "f", True) for head in (one, two)]
    jobs = [job(1, 1.0, heads=heads[:1]), job(2, 2.0, heads=heads[1:]), job(3, 3.0, heads=heads[:1]), job(4, 4.0)]
    answers = compute(Call(trunk, "f", True), jobs)
    assert trunk.rows == [4]
    assert (one.rows, two.rows) == ([2], [1])
    assert values(answers) == [[3.0], [-4.0], [7.0], [8.0]]


def test_who_asks_for_too_much_fails_alone() -> None:
    trunk = Counted(lambda x: np.repeat(x, 1 + int(x.max()), axis=1))
    one, two = compute(Call(trunk, "f", True), [job(1, 0.0), job(2, 9.0)], limits=AnswerLimits(elements=19))
    assert not isinstance(one, Exception)
    assert one[0].shape == (1, 2)
    assert isinstance(two, OutputTooLarge)
    assert "'y' the answer has 20 elements, it may have 19" in two.detail


def test_all_heads_of_one_answer_share_what_it_may_have() -> None:
    trunk = Counted(lambda x: x, given="features")
    heads = [Call(Counted(lambda x: x, taken="features"), "f", True) for _ in range(3)]
    for most, is_taken in ((24, True), (23, False)):
        [answer] = compute(Call(trunk, "f", True), [job(1, 1.0, heads=heads)], limits=AnswerLimits(size_bytes=most))
        assert isinstance(answer, OutputTooLarge) != is_taken


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (np.zeros([3, 2], np.float64), 48),
        (np.array([b"abc", b""], object), 11),
        (tf.zeros([3, 2], tf.bfloat16), 12),
        (tf.constant(["abc", ""]), 11),
        (b"abc", 7),
    ],
)
def test_an_answer_has_the_bytes_that_it_is_counted_with(value: Value, size: int) -> None:
    (tensor,) = as_tensors({"y": value}, AnswerLimits(size_bytes=size))
    assert len(tensor.data) == size
    with pytest.raises(OutputTooLarge, match="HUB_ANSWER_MAX_BYTES"):
        as_tensors({"y": value}, AnswerLimits(size_bytes=size - 1))


@pytest.mark.parametrize(
    "value",
    [
        np.arange(24, dtype=np.float64).reshape(4, 3, 2)[:, ::2],
        np.zeros((4, 0), np.float32),
        np.array([b"a", b"", b"cd\0", b"e"], object),
        tf.constant([[True], [False], [True], [True]]),
        tf.cast([1, 2, 3, 4], tf.bfloat16),
    ],
)
def test_rows_of_a_batch_are_answers_as_they_would_be_by_themselves(value: Value) -> None:
    places = [(0, 1), (1, 1), (1, 4)]
    values = {"y": value, "z": np.arange(4)}
    answers = rows_as_tensors(values, places, AnswerLimits())
    alone = [as_tensors(rows_of(values, begin, end), AnswerLimits()) for begin, end in places]
    for got, expected in zip(answers, alone, strict=True):
        assert [(one.name, one.dtype, one.shape, bytes(one.data)) for one in got] == [
            (one.name, one.dtype, one.shape, bytes(one.data)) for one in expected
        ]


def test_strings_that_are_not_well_formed_reach_nobody_else() -> None:
    lengths = Counted(lambda words: np.array([[len(word)] for word in words]))
    two, none = b"\x01\0\0\0a\x01\0\0\0b", b""
    jobs = [Job(number, 1, 0, (Tensor("x", "string", (1,), data),)) for number, data in enumerate((two, none))]
    answers = compute(Call(lengths, "f", True), jobs)
    assert [type(answer) for answer in answers] == [InvalidTensor, InvalidTensor]
    assert lengths.rows == []


def test_one_input_may_be_answered_by_many_heads() -> None:
    trunk = Counted(lambda x: x * 2, given="features")
    heads = [Call(Counted(lambda x, by=by: x + by, taken="features"), "f", True) for by in range(3)]
    [answer] = compute(Call(trunk, "f", True), [job(1, 1.0, rows=2, heads=heads)])
    assert isinstance(answer, list)
    assert [tensor.name for tensor in answer] == ["0/y", "1/y", "2/y"]
    assert values([answer]) == [[2.0, 3.0, 4.0]]
    assert trunk.rows == [2]


def test_who_cannot_be_computed_in_company_fails_alone() -> None:
    def picky(x: np.ndarray) -> np.ndarray:
        if (x < 0).any():
            raise ValueError("x is negative")
        return x

    good, bad, better = compute(Call(Counted(picky), "f", True), [job(1, 1.0), job(2, -1.0), job(3, 3.0)])
    assert values([good, better]) == [[1.0], [3.0]]
    assert isinstance(bad, ValueError)


def test_answers_without_a_row_for_each_are_nobodys() -> None:
    def sums(x: np.ndarray) -> np.ndarray:
        return x.sum(axis=0, keepdims=True)

    alone, _ = compute(Call(Counted(sums), "f", True), [job(1, 1.0), job(2, 2.0)])
    assert values([alone]) == [[1.0]]


def test_a_head_that_does_not_fit_its_trunk_is_said_so() -> None:
    trunk = Counted(lambda x: x, given="features")
    trunk.order.signatures["f"].outputs["more"] = ROWS
    stranger = Call(Counted(lambda x: x, taken="other"), "f", True)
    with pytest.raises(InvalidModel):
        stranger.features(Call(trunk, "f", True))


@pytest.fixture(scope="module")
def running(
    tiny_models: Path, publish: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[asyncio.Runner, LocalEngine, list[Target]]]:
    folder = tmp_path_factory.mktemp("engine")
    blobs = MemoryBlobStore()
    trunk = publish(blobs, tiny_models / "trunk")
    heads = []
    for by in range(4):
        scaled = _scaled(folder / f"head-{by}", by)
        heads.append(publish(blobs, scaled, trunk=trunk, signatures=inspect(scaled).signatures))
    engine = LocalEngine(Snapshots(blobs, folder / "snapshots"), ["cpu:0"], folder / "run")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(engine.start())
        yield runner, engine, [Target(trunk), *(Target(head, trunk) for head in heads)]
        runner.run(engine.stop())


def _scaled(folder: Path, by: float) -> Path:
    class Scaled(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="features")])
        def score(self, features: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"scores": by * tf.reduce_sum(features, axis=1)}

    model = Scaled()
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.score})
    return folder


def test_a_crowd_that_asks_a_trunk_and_its_heads_is_answered_as_each_alone(
    running: tuple[asyncio.Runner, LocalEngine, list[Target]],
) -> None:
    runner, engine, targets = running
    for target in targets:
        runner.run(engine.load(target))
    before = _batches()

    async def crowd() -> None:
        asked = [(targets[number % len(targets)], float(number)) for number in range(100)]
        sent = [
            engine.infer(target, "serving_default", [from_numpy("inputs", np.full((1, 2), value, np.float32))], 60)
            for target, value in asked
        ]
        for (target, value), outputs in zip(asked, await asyncio.gather(*sent), strict=True):
            got = to_numpy(outputs[0])
            if target is targets[0]:
                np.testing.assert_allclose(got, [[value, value, 2 * value]])
            else:
                np.testing.assert_allclose(got, [4 * value * (targets.index(target) - 1)], rtol=1e-6)

    runner.run(crowd())
    assert _batches() - before < 50, "requests were hardly ever computed together"
    workers = engine.status().workers
    assert set(workers[0].loaded) == {target.digest for target in targets}


def test_a_tensor_with_bytes_too_few_is_refused_and_its_company_answered(
    running: tuple[asyncio.Runner, LocalEngine, list[Target]],
) -> None:
    runner, engine, targets = running
    runner.run(engine.load(targets[0]))
    good = from_numpy("inputs", np.ones((1, 2), np.float32))
    short, long = (Tensor("inputs", "float32", (1, 2), bytes(count)) for count in (4, 12))

    async def ask() -> list[list[Tensor] | BaseException]:
        asked = [engine.infer(targets[0], "serving_default", [tensor], 60) for tensor in (good, short, long, good)]
        return await asyncio.gather(*asked, return_exceptions=True)

    first, *refused, last = runner.run(ask())
    assert [type(error) for error in refused] == [InvalidTensor, InvalidTensor]
    for answer in (first, last):
        assert isinstance(answer, list)
        assert to_numpy(answer[0]).tolist() == [[1.0, 1.0, 2.0]]


def test_a_delay_lets_requests_wait_for_a_full_batch(
    tiny_models: Path, publish: Callable[..., str], tmp_path: Path
) -> None:
    blobs = MemoryBlobStore()
    target = Target(publish(blobs, tiny_models / "trunk"))
    batching = Batching(max_rows=4, delay_s=0.3)
    engine = LocalEngine(Snapshots(blobs, tmp_path / "snapshots"), ["cpu:0"], tmp_path / "run", batching=batching)

    async def ask() -> list[float]:
        await engine.start()
        await engine.load(target)
        seen = [_batches()]
        for count in (4, 2):
            inputs = [from_numpy("inputs", np.ones((1, 2), np.float32))]
            await asyncio.gather(*(engine.infer(target, "serving_default", inputs, 60) for _ in range(count)))
            seen.append(_batches())
        await engine.stop()
        return seen

    before, full, waited = asyncio.run(ask())
    assert full - before == 1
    assert waited - full == 1


def test_batches_are_no_larger_than_what_was_found_to_be_best(
    tiny_models: Path, publish: Callable[..., str], tmp_path: Path
) -> None:
    blobs, run = MemoryBlobStore(), tmp_path / "run"
    target = Target(publish(blobs, tiny_models / "trunk"))
    known = {SERVING_DEFAULT: Choice("plain", True, {"plain": 1.0}, best_rows=2)}
    Choices(run).note(target.digest, Device("cpu", 0), known)
    engine = LocalEngine(Snapshots(blobs, tmp_path / "snapshots"), ["cpu:0"], run, batching=Batching(delay_s=0.2))

    async def ask() -> list[list[list[float]]]:
        await engine.start()
        await engine.load(target)
        asked = [[from_numpy("inputs", np.full((1, 2), value, np.float32))] for value in range(6)]
        answers = await asyncio.gather(*(engine.infer(target, SERVING_DEFAULT, inputs, 60) for inputs in asked))
        await engine.stop()
        return [to_numpy(answer[0]).tolist() for answer in answers]

    before = _batches()
    assert asyncio.run(ask()) == [[[value, value, 2 * value]] for value in range(6)]
    assert _batches() - before == 3


def _batches() -> float:
    samples = (sample for family in metrics.BATCH_ROWS.collect() for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name == "hub_batches_size_rows_count")
