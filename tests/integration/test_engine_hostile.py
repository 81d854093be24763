"""One engine whose models no scan has looked at: whatever they do, nothing outside is touched, and it goes on.

The sandbox and the limits of the worker are the last defence, and the only one here. Some models were written by
TensorFlow to do harm when they run; besides, its loader is given every kind of the hostile corpus.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvloop

from hub.domain.errors import DeadlineExceeded, HubError, ModelFailed, OutputTooLarge, WorkerLost
from hub.domain.manifest import BLOB_BYTES
from hub.domain.signatures import SERVING_DEFAULT, Signature
from hub.domain.tensors import TensorSpec
from hub.engine.engine import Target
from hub.engine.local import LocalEngine
from hub.protocol.frames import Tensor, from_numpy, to_numpy
from hub.runtime import sandbox
from hub.runtime.limits import AnswerLimits
from hub.runtime.marks import read_marks
from hub.storage.blobs.memory import MemoryBlobStore
from hub.storage.snapshots import Snapshots
from tests.hostile import assets, bombs, calls, files, graphs, loads, signatures, variables, writing
from tests.hostile.corpus import CANARY_TEXT, KINDS, Case
from tests.support.savedmodel_writer import ModelWriter

MODULES = (assets, bombs, calls, files, graphs, loads, signatures, variables, writing)
SUPPORT = Path(__file__).parents[1] / "support"
LEVEL = sandbox.tried()
pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not LEVEL.is_whole, reason=str(LEVEL)),
    pytest.mark.timeout(600),
]
ELEMENTS = 1 << 20
LOADED_WITHIN_S = 15.0
TRIES = 4
X = TensorSpec(name="x", dtype="float32", shape=(None,))
Y = TensorSpec(name="y", dtype="float32", shape=(None,))
CLAIMED = {"signatures": {SERVING_DEFAULT: Signature(name=SERVING_DEFAULT, inputs={"x": X}, outputs={"y": Y})}}


@dataclass(frozen=True)
class Bench:
    """A running engine, and what is published there."""

    runner: asyncio.Runner
    engine: LocalEngine
    blobs: MemoryBlobStore
    models: Path
    outside: Path
    marks: Path
    publish: Callable[..., str]

    def target(self, name: str) -> Target:
        return Target(self.publish(self.blobs, self.models / name))

    def infer(self, target: Target, x: Any = 1.0, deadline_s: float = 120) -> list[Tensor]:
        inputs = [from_numpy("x", np.float32(x))]
        return self.runner.run(self.engine.infer(target, SERVING_DEFAULT, inputs, deadline_s))

    def refused(self, name: str, x: float = 1.0, deadline_s: float = 120) -> HubError:
        with pytest.raises(HubError) as caught:
            self.infer(self.target(name), x, deadline_s)
        return caught.value

    def said(self, target: Target, x: Any = 1.0) -> str:
        """All that comes back, an answer or an error that is not another version's doing."""
        for _ in range(TRIES):
            try:
                answer = self.infer(target, x, 2 * LOADED_WITHIN_S)
            except WorkerLost:
                continue
            except HubError as error:
                return f"{type(error).__name__} {error.detail} {error.remedy} {error.facts}"
            return str([to_numpy(tensor).tolist() for tensor in answer])
        return ""

    def serves(self) -> bool:
        """Whether a good model is answered, also after a worker died."""
        return [to_numpy(tensor).tolist() for tensor in self.infer(self.target("good"))] == [2.0]

    def is_untouched(self) -> bool:
        (canary,) = self.outside.iterdir()
        return canary.name == "canary" and canary.read_text() == CANARY_TEXT

    @property
    def restarts(self) -> int:
        return self.engine.status().workers[0].restarts

    def rest(self) -> None:
        """Wait until a good model is served, and the worker runs nothing: what is measured may be blamed, too."""
        assert self.serves()
        self.until(lambda: not read_marks(self.marks))

    def until(self, is_so: Callable[[], bool]) -> None:
        for _ in range(600):
            if is_so():
                return
            self.runner.run(asyncio.sleep(0.2))
        pytest.fail("It did not come to that.")


@pytest.fixture(scope="module")
def bench(publish: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder, outside = tmp_path_factory.mktemp("engine"), tmp_path_factory.mktemp("outside")
    (outside / "canary").write_text(CANARY_TEXT)
    models = folder / "models"
    command = [sys.executable, str(SUPPORT / "running_models.py"), str(models), str(outside)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    blobs = MemoryBlobStore()
    engine = LocalEngine(
        Snapshots(blobs, folder / "snapshots"),
        ["cpu:0"],
        folder / "run",
        memory_budget_bytes=64 << 20,
        grace_s=0.5,
        answers=AnswerLimits(ELEMENTS, 4 * ELEMENTS),
        sandbox="require",
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, pytest.MonkeyPatch.context() as patch:
        patch.setattr("hub.engine.local.LOAD_DEADLINE_S", LOADED_WITHIN_S)
        runner.run(engine.start())
        yield Bench(runner, engine, blobs, models, outside, folder / "run" / "worker-0" / "marks", publish)
        runner.run(engine.stop())


@pytest.mark.parametrize("name", ["amplify_texts", "amplify", "long_text", "size_from_value"])
def test_an_answer_that_is_too_large_is_the_models_failure_and_costs_nobody_a_worker(bench: Bench, name: str) -> None:
    before = bench.restarts
    error = bench.refused(name)
    assert isinstance(error, OutputTooLarge)
    assert error.remedy
    assert "HUB_ANSWER_MAX" in error.remedy
    assert bench.serves()
    assert bench.restarts == before


def test_what_it_may_still_have_is_answered(bench: Bench) -> None:
    assert bench.infer(bench.target("size_from_value"), 0.0001)[0].shape == (10_000,)


def test_more_memory_than_a_worker_may_have_is_the_models_failure(bench: Bench) -> None:
    before = bench.restarts
    error = bench.refused("fill")
    assert isinstance(error, ModelFailed)
    assert "OOM" in error.detail
    assert bench.serves()
    assert bench.restarts == before


REACHING = ("read", "write", "print", "list", "map", "vocabulary", "lines", "save", "restore", "network", "trace")


@pytest.mark.parametrize("name", [*REACHING, "python_function", "load_write"])
def test_nothing_outside_is_touched_or_told_of(bench: Bench, name: str) -> None:
    said = bench.said(bench.target(name))
    assert said
    assert str(bench.outside) not in said
    assert CANARY_TEXT not in said
    assert "canary" not in said
    assert bench.is_untouched()
    assert bench.serves()


def test_a_model_that_is_locked_in_may_still_be_wrong(bench: Bench) -> None:
    assert np.isnan(to_numpy(bench.infer(bench.target("not_a_number"))[0])).all()


@pytest.mark.parametrize("name", ["abort", "leave", "string_bomb", "load_abort"])
def test_a_process_that_a_model_ends_is_that_models_failure_at_once_and_others_are_served(
    bench: Bench, name: str
) -> None:
    bench.rest()
    error = bench.refused(name)
    assert type(error) is ModelFailed
    assert "took its process down" in error.detail
    assert bench.serves()
    assert bench.is_untouched()


@pytest.mark.parametrize("name", ["endless", "load_endless"])
def test_a_model_that_never_ends_meets_the_deadline_and_others_are_served(bench: Bench, name: str) -> None:
    bench.rest()
    before = bench.restarts
    assert isinstance(bench.refused(name, deadline_s=1), DeadlineExceeded)
    bench.until(lambda: bench.restarts > before)
    assert bench.serves()


def test_what_takes_for_ever_to_compile_is_called_in_another_way_or_meets_the_deadline(bench: Bench) -> None:
    assert bench.said(bench.target("compile_bomb"))
    assert bench.serves()


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_the_corpus_is_survived_when_it_is_loaded(bench: Bench, tmp_path: Path, name: str) -> None:
    """What the loader makes of it is its own business, as long as nothing is touched and the engine lives on."""
    case = Case(ModelWriter(tmp_path / "model"), tmp_path / "proof", bench.outside / "canary")
    case.proof.mkdir()
    root = KINDS[name].make(case)
    target = sent(bench, root)
    if target is None:
        assert name in UNSENDABLE
        return
    assert name not in UNSENDABLE
    said = bench.said(target, [1.0])
    assert said
    for secret in (CANARY_TEXT, str(bench.outside), str(tmp_path)):
        assert secret not in said
    assert list(case.proof.iterdir()) == []
    assert bench.is_untouched()
    assert bench.serves()


UNSENDABLE = {
    "asset_symlink",
    "asset_folder_symlink",
    "linked_graph",
    "linked_variables",
    "weird_names_newline",
    "weird_names_direction",
    "weird_names_backslash",
    "vars_sparse_shard",
}
"""Kinds that can be no version: links, paths that no manifest has, and 64 GiB, which would have to be sent."""


def sent(bench: Bench, root: Path) -> Target | None:
    """A kind as a version; None where there can be none."""
    if any(path.is_symlink() or path.stat().st_size > BLOB_BYTES for path in root.rglob("*")):
        return None
    try:
        return Target(bench.publish(bench.blobs, root, **CLAIMED))
    except ValueError:
        return None
