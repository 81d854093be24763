"""Large tensors lie in memory that hub and worker share; one caller alone is computed for by the worker's own loop."""

import asyncio
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import tensorflow as tf
import uvloop

from hub.domain.signatures import SERVING_DEFAULT
from hub.engine.engine import Target
from hub.engine.local import LocalEngine
from hub.protocol.arena import ARENA_BYTES
from hub.protocol.frames import from_numpy, to_numpy
from hub.runtime.solo import ALONE
from hub.savedmodel.inspect import inspect
from hub.storage.blobs.memory import MemoryBlobStore
from hub.storage.snapshots import Snapshots
from tests.support.outlet_engine import attach

pytestmark = pytest.mark.slow
WIDTH = 8_192
Running = tuple[asyncio.Runner, LocalEngine, Target, Target]


class Echo(tf.Module):
    """Gives back what it was given, the same memory, and takes some milliseconds for it."""

    @tf.function(input_signature=[tf.TensorSpec([None, WIDTH], tf.float32, name="x")])
    def __call__(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        square = tf.random.stateless_normal([600, 600], [1, 2]) + x[0, 0]
        return {"same": x, "nothing": tf.reduce_sum(x, axis=1) * 0.0 * tf.reduce_sum(square @ square)}


class Writing(tf.Module):
    """Writes into what it is given."""

    @tf.function(input_signature=[tf.TensorSpec([1, WIDTH], tf.float32, name="x")])
    def __call__(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"same": tf.raw_ops.InplaceAdd(x=x, i=[0], v=tf.zeros([1, WIDTH])) + 0.0}


@pytest.fixture(scope="module")
def running(publish: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("engine")
    blobs, targets = MemoryBlobStore(), []
    for name, module in (("echo", Echo()), ("writing", Writing())):
        tf.saved_model.save(module, str(folder / name), signatures={SERVING_DEFAULT: module.__call__})
        targets.append(Target(publish(blobs, folder / name, signatures=inspect(folder / name).signatures)))
    engine = LocalEngine(Snapshots(blobs, folder / "snapshots"), ["cpu:0"], folder / "run")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(engine.start())
        for target in targets:
            runner.run(engine.load(target))
        yield runner, engine, *targets
        runner.run(engine.stop())


async def ask(engine: LocalEngine, target: Target, number: int, rows: int = 1) -> None:
    """Ask, and see that what comes back is this request's, and whole."""
    sent = np.random.default_rng(number).normal(size=(rows, WIDTH)).astype(np.float32)
    answer = {
        one.name: to_numpy(one) for one in await engine.infer(target, SERVING_DEFAULT, [from_numpy("x", sent)], 60)
    }
    np.testing.assert_array_equal(answer["same"], sent)


def test_a_crowd_with_large_tensors_is_answered_each_with_its_own(running: Running) -> None:
    runner, engine, target, _ = running

    async def crowd() -> None:
        await asyncio.gather(*(ask(engine, target, number, 1 + number % 3) for number in range(40)))

    for _ in range(3):
        runner.run(crowd())


def test_what_does_not_fit_into_the_shared_memory_is_sent(running: Running) -> None:
    runner, engine, target, _ = running
    rows = ARENA_BYTES // (4 * WIDTH) // 2 + 1

    async def crowd() -> None:
        await asyncio.gather(*(ask(engine, target, number, rows) for number in range(3)))
        await ask(engine, target, 3, 2 * rows)

    runner.run(crowd())


def test_one_alone_and_then_a_crowd_are_answered_each_with_their_own(running: Running) -> None:
    runner, engine, target, _ = running

    async def both() -> None:
        for number in range(2 * ALONE):
            await ask(engine, target, number)
        await asyncio.gather(*(ask(engine, target, number) for number in range(8)))

    for _ in range(2):
        runner.run(both())


def test_what_writes_into_its_input_neither_dies_of_it_nor_changes_what_others_ask(running: Running) -> None:
    runner, engine, _, writing = running
    pid = engine.status().workers[0].pid

    async def crowd() -> None:
        for number in range(5):
            await ask(engine, writing, number)
        await asyncio.gather(*(ask(engine, writing, number) for number in range(8)))

    runner.run(crowd())
    assert engine.status().workers[0].pid == pid


def test_others_come_and_go_while_one_alone_is_computed_for(running: Running) -> None:
    runner, engine, target, _ = running
    pid = engine.status().workers[0].pid

    async def alone() -> None:
        for number in range(4 * ALONE):
            await ask(engine, target, number)

    async def come_and_go() -> None:
        asking = asyncio.create_task(alone())
        while not asking.done():
            outlet, leave = attach(engine)
            await outlet.start()
            await asyncio.sleep(0.01)
            await outlet.stop()
            leave()
        await asking

    runner.run(come_and_go())
    assert engine.status().workers[0].pid == pid
