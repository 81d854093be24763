"""What a worker keeps loaded, with TensorFlow in this process."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
import tensorflow as tf
from tensorflow.python.framework import ops

from hub.domain.errors import ModelFailed, TooLarge
from hub.domain.signatures import SERVING_DEFAULT, Signature
from hub.domain.tensors import TensorSpec
from hub.protocol.frames import from_numpy
from hub.protocol.golden import Sample, write_golden
from hub.runtime.candidates import MAX_BYTES, candidates, string_values
from hub.runtime.choosing import choose, choose_rows, warm
from hub.runtime.devices import Device
from hub.runtime.failures import scrub
from hub.runtime.loader import load_with
from hub.runtime.object_graph import ObjectGraphServable
from hub.runtime.orders import Choice, Loader, Order, WayName
from hub.runtime.residents import Resident, Residents
from hub.runtime.servable import as_array
from hub.runtime.ways import callable_of
from hub.savedmodel.inspect import inspect

pytestmark = pytest.mark.slow
CPU = Device("cpu", 0)
MIB = 1 << 20


def order(folder: Path, size_bytes: int = 2 * MIB, loader: Loader = "object_graph") -> Order:
    described = orjson.loads(folder.with_suffix(".json").read_bytes())
    signatures = {entry["name"]: Signature.model_validate(entry) for entry in described}
    return Order(folder.name, folder, loader, size_bytes, signatures)


def resident(budget_bytes: int, *loads: list[Order], is_tuned: bool = False) -> Residents:
    """What is loaded after some loads."""

    async def load() -> Residents:
        residents = Residents(CPU, budget_bytes, lambda _digest, _choices: None)
        for orders in loads:
            await residents.load(orders, is_tuned=is_tuned)
        return residents

    return asyncio.run(load())


def test_one_more_version_evicts_the_least_recently_used(tiny_models: Path) -> None:
    doubler, vocabulary = order(tiny_models / "doubler"), order(tiny_models / "vocabulary")
    residents = resident(3 * MIB, [doubler], [vocabulary])
    assert list(residents.sizes) == ["vocabulary"]
    assert not residents.has("doubler")
    residents = resident(3 * MIB, [doubler], [vocabulary], [doubler])
    outputs = residents.of("doubler").servable.run(SERVING_DEFAULT, {"x": np.ones((1, 2), np.float32)})
    np.testing.assert_array_equal(as_array(outputs["doubled"]), [[2.0, 2.0]])


def test_what_is_evicted_while_it_computes_goes_afterwards(tiny_models: Path) -> None:
    async def evict() -> None:
        residents = Residents(CPU, 3 * MIB, lambda _digest, _choices: None)
        await residents.load([order(tiny_models / "doubler")], is_tuned=True)
        held = residents.hold((residents.of("doubler"),))
        await residents.load([order(tiny_models / "vocabulary")])
        assert not residents.has("doubler")
        outputs = held[0].servable.run(SERVING_DEFAULT, {"x": np.ones((1, 2), np.float32)})
        np.testing.assert_array_equal(as_array(outputs["doubled"]), [[2.0, 2.0]])
        residents.let_go(held)

    asyncio.run(evict())


@pytest.mark.parametrize(("left_behind", "told"), [(600 * MIB, [598 * MIB]), (300 * MIB, [])])
def test_memory_that_does_not_come_back_is_told(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch, left_behind: int, told: list[int]
) -> None:
    heard: list[int] = []

    async def evict() -> None:
        monkeypatch.setattr("hub.runtime.residents.used_bytes", lambda _device: 0)
        residents = Residents(CPU, 3 * MIB, lambda _digest, _choices: None, on_leak=heard.append)
        await residents.load([order(tiny_models / "doubler")], is_tuned=True)
        monkeypatch.setattr("hub.runtime.residents.used_bytes", lambda _device: left_behind)
        residents._evict("doubler")
        residents._loaded["other"] = Resident(None, 2 * MIB)
        await asyncio.get_running_loop().run_in_executor(residents._thread, lambda: None)
        await asyncio.sleep(0.05)

    asyncio.run(evict())
    assert heard == told


def test_versions_loaded_together_stay_together(tiny_models: Path) -> None:
    pair = [order(tiny_models / "trunk"), order(tiny_models / "head")]
    residents = resident(5 * MIB, [order(tiny_models / "dice", MIB)], pair)
    assert residents.has("trunk", "head")


def test_a_version_larger_than_the_budget_is_refused_and_says_by_how_much(tiny_models: Path) -> None:
    with pytest.raises(TooLarge) as caught:
        resident(MIB, [order(tiny_models / "doubler")])
    assert caught.value.facts["needed_bytes"] == 2 * MIB


def test_what_cannot_be_loaded_is_told_without_a_path(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\xff nonsense")
    with pytest.raises(ModelFailed) as caught:
        resident(3 * MIB, [Order("broken", tmp_path, "object_graph", 1, {})])
    assert str(tmp_path) not in caught.value.detail


def test_the_ways_to_call_a_version_are_measured_and_the_rows_compared(tiny_models: Path) -> None:
    names = ("trunk", "doubler", "centred", "vocabulary", "counter", "dice")
    residents = resident(90 * MIB, [order(tiny_models / name) for name in names], is_tuned=True)
    found = {name: residents.of(name).choices for name in names}
    chosen = found["trunk"][SERVING_DEFAULT]
    assert chosen.ratios["plain"] == 1.0
    assert {"frozen_session", "frozen_inline"} <= chosen.ratios.keys()
    assert chosen.way == min(chosen.ratios, key=lambda way: chosen.ratios[way])
    independent = {
        name: choices[SERVING_DEFAULT].has_independent_rows for name, choices in found.items() if name != "counter"
    }
    assert independent == {"trunk": True, "vocabulary": True, "doubler": False, "centred": False, "dice": False}
    assert found["counter"]["count_up"] == Choice()
    # A table cannot be frozen; chance is never the same twice, so nothing agrees with it.
    assert found["vocabulary"][SERVING_DEFAULT].ratios.keys() == {"plain", "session_inline"}
    assert found["dice"][SERVING_DEFAULT].way == "plain"


def test_rows_are_told_apart_where_a_device_rounds_too(tiny_models: Path) -> None:
    """As on a GPU: loosely in the sizes that are served, and once more in full precision in others."""
    found = {}
    for name in ("trunk", "centred", "dice"):
        made = order(tiny_models / name)
        signature = made.signatures[SERVING_DEFAULT]
        inputs = candidates(signature.inputs, [])
        found[name] = choose(load_with("object_graph", made, CPU), signature, inputs, Device("gpu", 0))
    assert {name: choice.has_independent_rows for name, choice in found.items()} == {
        "trunk": True,
        "centred": False,
        "dice": False,
    }
    assert found["trunk"].ratios.keys() > {"plain"}
    assert tf.config.experimental.tensor_float_32_execution_enabled()


def test_what_was_chosen_is_taken_up_without_measuring(tiny_models: Path) -> None:
    chosen = Choice("frozen_inline", True, {"plain": 1.0, "frozen_inline": 0.5})
    again = replace(order(tiny_models / "trunk"), choices={SERVING_DEFAULT: chosen})
    trunk = resident(30 * MIB, [again]).of("trunk")
    assert trunk.choices == {SERVING_DEFAULT: chosen}
    outputs = trunk.servable.run(SERVING_DEFAULT, {"inputs": np.array([[1.0, 2.0]], np.float32)})
    np.testing.assert_allclose(as_array(next(iter(outputs.values()))), [[1.0, 2.0, 3.0]])


@pytest.mark.parametrize("way", ["session", "session_inline"])
def test_a_version_with_a_table_lives_in_one_session_alone(tiny_models: Path, way: WayName) -> None:
    chosen = Choice(way, True, {"plain": 1.0, way: 0.5})
    again = replace(order(tiny_models / "vocabulary"), choices={SERVING_DEFAULT: chosen})
    vocabulary = resident(30 * MIB, [again]).of("vocabulary")
    assert vocabulary.choices == {SERVING_DEFAULT: chosen}
    assert isinstance(vocabulary.servable, ObjectGraphServable)
    assert vocabulary.servable.root is None
    for words, ids in (([b"b", b"c", b"a"], [1, -1, 0]), ([], [])):
        outputs = vocabulary.servable.run(SERVING_DEFAULT, {"words": np.array(words, object)})
        assert as_array(outputs["ids"]).tolist() == ids
        assert as_array(outputs["upper"]).tolist() == [word.upper() for word in words]
    vocabulary.servable.close()


@pytest.mark.parametrize(
    ("name", "word", "output", "answer"),
    [
        ("hidden_words", b"a", "y", 0.0),  # has variables that the session does not find, read for known words only
        ("nameless", b"rimu", "ids", 6),  # has a table that is empty in each run of a session
        ("ledger", b"b", "ids", 1),  # is loaded anew for a signature that changes state
    ],
)
def test_a_session_is_no_way_for_what_it_may_answer_otherwise(
    tiny_models: Path, name: str, word: bytes, output: str, answer: float
) -> None:
    found = resident(30 * MIB, [order(tiny_models / name)], is_tuned=True).of(name)
    assert found.choices[SERVING_DEFAULT].ratios.keys() == {"plain"}
    for _ in range(2):
        outputs = found.servable.run(SERVING_DEFAULT, {"words": np.array([word], object)})
        assert as_array(outputs[output]).tolist() == [answer]
        if "count_up" in found.servable.order.signatures:
            assert float(as_array(found.servable.run("count_up", {})["count"])) == 1.0


def test_much_is_not_held_twice(tiny_models: Path) -> None:
    large = replace(order(tiny_models / "vocabulary"), size_bytes=2 << 30)
    found = resident(3 << 30, [large], is_tuned=True).of("vocabulary").choices[SERVING_DEFAULT]
    assert found.ratios.keys() == {"plain"}


def test_a_session_gives_what_it_is_fed_and_takes_a_tensor_twice() -> None:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        doubled = tf.identity(2 * x, name="y")
    ones = np.ones(2, np.float32)
    with tf.compat.v1.Session(graph=graph) as session:
        assert [part.tolist() for part in callable_of(session, [x.name], [doubled.name])(ones)] == [[2, 2]]
        assert [part.tolist() for part in callable_of(session, [x.name], [x.name, doubled.name])(ones)] == [
            [1, 1],
            [2, 2],
        ]
        assert [part.tolist() for part in callable_of(session, [x.name, x.name], [doubled.name])(ones, ones)] == [
            [2, 2]
        ]


def test_a_version_is_measured_on_what_it_answered_when_it_was_probed(tiny_models: Path, tmp_path: Path) -> None:
    picky = order(tiny_models / "picky")
    assert resident(30 * MIB, [picky], is_tuned=True).of("picky").choices == {SERVING_DEFAULT: Choice()}
    sample = Sample((from_numpy("x", np.float32(200.0)),), (from_numpy("y", np.float32(200.0)),))
    golden = tmp_path / "golden.npz"
    golden.write_bytes(write_golden({SERVING_DEFAULT: sample}))
    measured = resident(30 * MIB, [replace(picky, golden=golden)], is_tuned=True).of("picky").choices
    assert len(measured[SERVING_DEFAULT].ratios) > 1
    golden.write_bytes(b"damaged")
    assert resident(30 * MIB, [replace(picky, golden=golden)], is_tuned=True).of("picky").choices[SERVING_DEFAULT] == (
        Choice()
    )


def refused() -> float:
    raise ValueError


class Timed:
    """A servable whose calls take as long as ``cost`` says, by a clock of its own."""

    def __init__(self, cost: Callable[[int], float]) -> None:
        self._cost = cost
        self.now = 0.0
        self.seen: list[int] = []

    def perf_counter(self) -> float:
        return self.now

    def run(self, _signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.seen.append(len(inputs["x"]))
        return {"y": self._plain(inputs)[0]}

    def ways(self, _signature: str) -> Iterator[tuple[str, Callable[[], object]]]:
        yield "plain", lambda: self._plain

    def _plain(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.now += self._cost(len(inputs["x"]))
        return [inputs["x"]]


@pytest.mark.parametrize(
    ("cost", "best_rows", "largest"),
    [
        (lambda rows: 1e-4 + rows * 1e-6, 0, 64),  # what counts is the call: the more rows the better
        (lambda rows: rows * (1e-3 if rows <= 8 else 1.5e-3), 8, 32),  # more than eight outgrow a cache
        (lambda rows: rows * 2e-2, 2, 8),  # rows cost the same; a batch also costs what is beside it
        (lambda rows: rows * 1.0, 1, 2),  # that takes too long to go on
        (lambda rows: 1e-3 if rows <= 16 else refused(), 16, 32),  # it takes no larger ones
        (lambda rows: 0.4 + rows * 1e-2, 8, 8),  # too long as well, and the largest that was tried is the best
    ],
)
def test_batches_grow_as_long_as_their_rows_get_faster(
    cost: Callable[[int], float], best_rows: int, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    servable = Timed(cost)
    monkeypatch.setattr("hub.runtime.choosing.time", servable)
    spec = {name: TensorSpec(name=name, dtype="float32", shape=(None, 1)) for name in "xy"}
    signature = Signature(name="f", inputs={"x": spec["x"]}, outputs={"y": spec["y"]})
    sample = {"x": np.ones((1, 1), np.float32)}
    choice = choose(servable, signature, iter([sample]), CPU)
    assert choose_rows(servable, signature, choice, iter([sample]), CPU).best_rows == best_rows
    assert max(servable.seen) == largest
    assert choose_rows(servable, signature, choice, iter([sample]), Device("gpu", 0)).best_rows == 0


class Sizes:
    """A servable that notes the sizes it is called with."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def run(self, _signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.seen.append(len(inputs["x"]))
        return inputs


@pytest.mark.parametrize(
    ("choice", "is_stateful", "seen"),
    [
        (Choice("plain", True), False, [3, 1, 2, 4, 8]),
        (Choice("plain", False), False, [3]),
        (Choice(), True, []),
    ],
)
def test_warming_calls_every_size_that_will_come(choice: Choice, is_stateful: bool, seen: list[int]) -> None:
    servable = Sizes()
    signature = Signature(name="f", inputs={}, outputs={}, is_stateful=is_stateful)
    warm(servable, signature, choice, iter([{"x": np.zeros((3, 2))}]), (1, 2, 4, 8))
    assert servable.seen == seen


@pytest.mark.parametrize("loader", ["object_graph", "session"])
def test_both_loaders_give_the_same_and_forget_what_a_call_wrote(tiny_models: Path, loader: Loader) -> None:
    counter = load_with(loader, order(tiny_models / "counter"), CPU)
    assert [float(as_array(counter.run("count_up", {})["count"])) for _ in range(3)] == [1.0] * 3
    vocabulary = load_with(loader, order(tiny_models / "vocabulary"), CPU)
    words = np.array([b"b", b"z\0"], dtype=object)
    outputs = vocabulary.run(SERVING_DEFAULT, {"words": words})
    assert list(outputs) == ["ids", "upper"]
    assert as_array(outputs["ids"]).tolist() == [1, -1]
    assert as_array(outputs["upper"]).tolist() == [b"B", b"Z\0"]
    counter.close()
    vocabulary.close()


def test_a_version_that_goes_takes_its_gradients_with_it(tmp_path: Path) -> None:
    """TensorFlow registers a loaded version's custom gradients for good, and with them its variables."""

    @tf.custom_gradient
    def doubled(x: tf.Tensor):
        return 2 * x, lambda upstream: 2 * upstream

    module = tf.Module()
    module.weight = tf.Variable([1.0, 2.0])
    module.call = tf.function(
        lambda x: {"y": doubled(x * module.weight)}, input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")]
    )
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    tf.saved_model.save(module, str(tmp_path), signatures={SERVING_DEFAULT: module.call}, options=options)
    loaded = Order("swish", tmp_path, "object_graph", 1, inspect(tmp_path).signatures)
    before = set(ops.gradient_registry.list())
    servable = load_with("object_graph", loaded, CPU)
    assert set(ops.gradient_registry.list()) > before
    outputs = servable.run(SERVING_DEFAULT, {"x": np.ones((1, 2), np.float32)})
    np.testing.assert_array_equal(as_array(outputs["y"]), [[2.0, 4.0]])
    servable.close()
    assert set(ops.gradient_registry.list()) == before


def test_candidates_fit_the_specs_and_strings_keep_their_last_zero() -> None:
    specs = {
        "images": TensorSpec(name="images", dtype="float32", shape=(None, None, None, 3)),
        "ids": TensorSpec(name="ids", dtype="int64", shape=(None, 4)),
        "flag": TensorSpec(name="flag", dtype="bool", shape=()),
        "half": TensorSpec(name="half", dtype="bfloat16", shape=None),
        "text": TensorSpec(name="text", dtype="string", shape=(None,)),
    }
    made = list(candidates(specs, [b"a\0", *string_values(None)]))
    first = made[0]
    assert first["images"].shape == (2, 8, 8, 3)
    assert first["text"].tolist() == [b"a\0", b"a\0"]
    assert 0 <= first["images"].min() <= first["images"].max() < 1
    for candidate in made:
        assert candidate.keys() == specs.keys()
        assert sum(array.nbytes for array in candidate.values()) <= MAX_BYTES
        assert [array.dtype.name for array in candidate.values()] == ["float32", "int64", "bool", "bfloat16", "object"]


def test_a_signature_that_only_takes_huge_inputs_has_no_candidates() -> None:
    huge = {"x": TensorSpec(name="x", dtype="float32", shape=(1 << 40,))}
    assert list(candidates(huge, [])) == []


@pytest.mark.parametrize(
    ("said", "scrubbed"),
    [
        ("/srv/hub/x/saved_model.pb; No such file", "<path>; No such file"),
        ("node model/dense/MatMul failed", "node model/dense/MatMul failed"),
        ("open('/etc/passwd') at file:///tmp/a/b", "open('<path>') at <path>"),
        ("1/2 and a//b", "1/2 and a//b"),
    ],
)
def test_paths_are_taken_out_and_node_names_are_not(said: str, scrubbed: str) -> None:
    assert scrub(said) == scrubbed
