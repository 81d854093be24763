"""Measures what a process keeps of versions that it loaded, called and let go again: ``python -m bench.unloading``.

Each model goes through a number of rounds in a process of its own, as a worker does it: once as the hub unloads it,
and once with what TensorFlow's registry of gradients would hold on to. Memory is what is resident, in MiB, after each
round.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.processes import ROOT, environment

_MODELS = ("MobileNetV2", "EfficientNetB0")


def _make(name: str, folder: Path) -> None:
    import keras

    made = getattr(keras.applications, name)
    model = made(weights=None, include_top=False, pooling="avg", input_shape=(96, 96, 3))
    model.export(str(folder), verbose=False)


def _cycle(folder: Path, rounds: int, *, keeps_gradients: bool) -> None:
    import numpy as np

    from hub.runtime.devices import Device
    from hub.runtime.loader import load
    from hub.runtime.memory import release, resident_bytes
    from hub.runtime.object_graph import ObjectGraphServable
    from hub.runtime.orders import Order
    from hub.runtime.placement import claim
    from hub.savedmodel.inspect import inspect

    if keeps_gradients:
        ObjectGraphServable._forget_gradients = lambda self: None  # noqa: ARG005, SLF001
    device = Device("cpu", 0)
    claim(device)
    seen = inspect(folder)
    signature = seen.signatures["serving_default"]
    inputs = {name: np.ones((1, 96, 96, 3), np.float32) for name in signature.inputs}
    for number in range(rounds):
        servable = load(Order(str(number), folder, seen.loader, 1, seen.signatures), device)
        servable.run("serving_default", inputs)
        servable.close()
        del servable
        release()
        print(resident_bytes() >> 20, end=" ", flush=True)


def main() -> None:
    """Measure every model, each way."""
    parser = argparse.ArgumentParser(prog="bench.unloading", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--step", nargs=3, metavar=("WHAT", "MODEL", "FOLDER"), help="used by the benchmark itself")
    given = parser.parse_args()
    if given.step:
        what, name, folder = given.step
        if what == "make":
            _make(name, Path(folder))
        else:
            _cycle(Path(folder), given.rounds, keeps_gradients=what == "keep")
        return
    with tempfile.TemporaryDirectory(prefix="bench-unloading-") as place:
        for name in _MODELS:
            for what, words in (("make", ""), ("keep", "gradients kept"), ("forget", "gradients forgotten")):
                command = [sys.executable, "-m", "bench.unloading", "--rounds", str(given.rounds)]
                command += ["--step", what, name, f"{place}/{name}"]
                quiet = environment({"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"})
                done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(done.stderr[-1_000:])
                if words:
                    print(f"{name:<15} {words:<20} {done.stdout}", flush=True)


if __name__ == "__main__":
    main()
