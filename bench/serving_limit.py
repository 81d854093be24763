"""What one process with TensorFlow reaches by itself: ``python -m bench.serving_limit FOLDER NAME DEVICE``.

It loads a model as a worker does and prints as JSON what it reaches in the plain way, and which way measured best;
then, for every line that it is sent, what it reaches with the graph that TensorFlow freezes, where it can, and in that
way: milliseconds of one row, and rows per second in batches of 1, 2, 8 and 32, one or two at a time.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from hub.runtime.choosing import choose
from hub.runtime.devices import Device
from hub.runtime.loader import load
from hub.runtime.orders import Order
from hub.runtime.placement import claim, session_config
from hub.runtime.ways import callable_of
from hub.savedmodel.inspect import inspect

_BATCHES = (1, 2, 8, 32)
_LEAST_CALLS, _LEAST_S = 6, 0.5


def main() -> None:
    """Measure when told."""
    folder, name, on = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    device, root = Device.parse(on), folder / name / "1"
    claim(device)
    seen = inspect(root)
    servable = load(Order("sha256:", root, seen.loader, 1, seen.signatures), device)
    row = np.load(folder / name / "requests" / "0.x.npy", allow_pickle=True)

    def run(rows: int) -> None:
        servable.run("serving_default", {"x": np.repeat(row, rows, axis=0)})

    plain = _timed(run)
    way = choose(servable, seen.signatures["serving_default"], iter([{"x": row}]), device).way
    frozen = sorted(_frozen(root, device), key=lambda call: min(_repeated(lambda: call(row))))[:1]
    print(json.dumps({"plain": plain, "way": way}), flush=True)
    for _ in sys.stdin:
        by_freezing = [_timed(lambda rows, call=call: call(np.repeat(row, rows, axis=0))) for call in frozen]
        print(json.dumps({"frozen": by_freezing, "best": _timed(run)}), flush=True)


def _frozen(root: Path, device: Device) -> Iterator[Callable[[np.ndarray], object]]:
    """What TensorFlow makes of variables as constants, called in sessions; nothing where it cannot be done."""
    loaded = tf.saved_model.load(str(root))
    frozen = convert_variables_to_constants_v2(loaded.signatures["serving_default"], lower_control_flow=False)
    if len(frozen.inputs) > 1:  # a table stays one of them
        return
    names = [[tensor.name for tensor in tensors] for tensors in (frozen.inputs, frozen.outputs)]
    for is_inline in (False, True):
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(frozen.graph.as_graph_def(), name="")
        yield callable_of(tf.compat.v1.Session(graph=graph, config=session_config(device, is_inline=is_inline)), *names)


def _timed(run: Callable[[int], object]) -> dict[str, float]:
    run(1)
    times = _repeated(lambda: run(1))
    found = {"one_row_ms": sorted(times)[len(times) // 2] * 1e3}
    for rows in _BATCHES:
        for at_once in (1, 2):
            with ThreadPoolExecutor(at_once) as pool:
                times = _repeated(lambda: list(pool.map(run, [rows] * at_once)))  # noqa: B023 - called within the turn
                found[f"rows_per_s_{rows}x{at_once}"] = rows * at_once * len(times) / sum(times)
    return found


def _repeated(do: Callable[[], object]) -> list[float]:
    times: list[float] = []
    while len(times) < _LEAST_CALLS or sum(times) < _LEAST_S:
        began = time.perf_counter()
        do()
        times.append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    main()
