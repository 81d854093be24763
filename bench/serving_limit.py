"""What one process with TensorFlow reaches by itself: ``python -m bench.serving_limit FOLDER NAME DEVICE``.

It loads a model as a worker does and prints as JSON what it reaches in the plain way, and which way measured best;
then, for every line that it is sent, what it reaches in that: milliseconds of one row, and rows per second in batches
of 1, 2, 8 and 32, one or two at a time.
"""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from hub.runtime.choosing import choose
from hub.runtime.devices import Device
from hub.runtime.loader import load
from hub.runtime.orders import Order
from hub.runtime.placement import claim
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
    print(json.dumps({"plain": plain, "way": way}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(_timed(run)), flush=True)


def _timed(run: Callable[[int], None]) -> dict[str, float]:
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
