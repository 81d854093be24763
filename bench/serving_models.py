"""Makes what the serving benchmark serves and sends; run as a process of its own, because it needs TensorFlow.

``FOLDER NAME…`` writes ``FOLDER/NAME/1`` (a SavedModel: ``x`` to ``features``) and, of one row, ``FOLDER/NAME.npy``,
``NAME.bin`` with ``NAME.length`` (Open Inference Protocol, binary), ``NAME.oip.json`` and ``NAME.lists.json``
(``{"x": [[…]]}``), and ``NAME.features.npy``, which every server must answer. Names: ``tiny``, ``mobilenetSIDE``,
``rnn`` (a loop over sequences that end where their rows are zero).

``limit FOLDER NAME DEVICE`` prints what this process itself reaches, as JSON: milliseconds of one row, and rows per
second in batches of 8 and 32, one or two at a time, with the signature as it is and in the way that measured best.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

_SEED = 1234
_ROUNDS = 12


def make(folder: Path, name: str) -> None:
    """Write a model and a request."""
    keras.utils.set_random_seed(_SEED)
    model, shape = _MADE[name]() if name in _MADE else _mobilenet(int(name.removeprefix("mobilenet")))
    specs = [tf.TensorSpec([None, *shape], tf.float32, name="x")]
    function = tf.function(lambda x: {"features": model(x)}, input_signature=specs)
    holder = tf.Module()
    holder.variables_of_the_model = [variable.value for variable in model.variables]
    tf.saved_model.save(holder, str(folder / name / "1"), signatures={"serving_default": function})
    x = np.random.default_rng(_SEED).uniform(-1, 1, (1, *shape)).astype(np.float32)
    np.save(folder / f"{name}.npy", x)
    np.save(folder / f"{name}.features.npy", function(x)["features"].numpy())
    entry = {"name": "x", "shape": list(x.shape), "datatype": "FP32"}
    binary = {"parameters": {"binary_data_size": x.nbytes}}
    wanted = [{"name": "features", "parameters": {"binary_data": True}}]
    header = json.dumps({"inputs": [entry | binary], "outputs": wanted}).encode()
    (folder / f"{name}.bin").write_bytes(header + x.tobytes())
    (folder / f"{name}.length").write_text(str(len(header)))
    (folder / f"{name}.oip.json").write_text(json.dumps({"inputs": [entry | {"data": x.ravel().tolist()}]}))
    (folder / f"{name}.lists.json").write_text(json.dumps({"x": x.tolist()}))


def _tiny() -> tuple[keras.Model, tuple[int, ...]]:
    layers = [keras.Input((64,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(10)]
    return keras.Sequential(layers), (64,)


class DynamicRNN(keras.Model):
    """A GRU cell stepped by a loop that AutoGraph writes, as far as the longest sequence of the batch goes."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = keras.layers.GRUCell(32)

    @tf.function  # Keras does not have AutoGraph convert what it calls
    def call(self, x: tf.Tensor) -> tf.Tensor:
        """The state after each sequence's last row.

        Args:
            x: [rows, steps, 16] float32; a sequence ends before its first row of zeros.

        Returns:
            [rows, 32] float32.
        """
        lengths = tf.math.count_nonzero(tf.reduce_any(x != 0, axis=2), axis=1, dtype=tf.int32)
        state = tf.zeros([tf.shape(x)[0], 32])
        for step in tf.range(tf.reduce_max(lengths)):
            _, (stepped,) = self.cell(x[:, step], (state,))
            state = tf.where((step < lengths)[:, tf.newaxis], stepped, state)
        return state


def _rnn() -> tuple[keras.Model, tuple[int, ...]]:
    model = DynamicRNN()
    model.cell.build((None, 16))
    return model, (24, 16)


_MADE = {"tiny": _tiny, "rnn": _rnn}


def _mobilenet(side: int) -> tuple[keras.Model, tuple[int, ...]]:
    shape = (side, side, 3)
    model = keras.applications.MobileNetV2(weights=None, include_top=False, pooling="avg", input_shape=shape)
    for layer in model.layers:  # statistics of one batch, or an untrained network gives next to nothing
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(np.random.default_rng(_SEED).uniform(-1, 1, (8, *shape)).astype(np.float32), training=True)
    return model, shape


def limit(folder: Path, name: str, on: str) -> dict[str, dict[str, float]]:
    """What calls in one process reach."""
    from hub.runtime.choosing import choose
    from hub.runtime.devices import Device
    from hub.runtime.loader import load
    from hub.runtime.orders import Order
    from hub.runtime.placement import claim
    from hub.savedmodel.inspect import inspect

    device, root = Device.parse(on), folder / name / "1"
    claim(device)
    seen = inspect(root)
    servable = load(Order("sha256:", root, seen.loader, 1, seen.signatures), device)
    signature = seen.signatures["serving_default"]
    row = np.load(folder / f"{name}.npy")

    def run(rows: int) -> None:
        servable.run("serving_default", {"x": np.repeat(row, rows, axis=0)})

    found = {"plain": _timed(run)}
    way = choose(servable, signature, iter([{"x": row}]), device).way
    return found | {way: _timed(run)}


def _timed(run: object) -> dict[str, float]:
    assert callable(run)
    found = {}
    run(1)
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        run(1)
        times.append(time.perf_counter() - began)
    found["one_row_ms"] = sorted(times)[_ROUNDS // 2] * 1e3
    for rows in (8, 32):
        for at_once in (1, 2):
            with ThreadPoolExecutor(at_once) as pool:
                list(pool.map(run, [rows] * at_once))
                began = time.perf_counter()
                list(pool.map(run, [rows] * _ROUNDS))
                found[f"rows_per_s_{rows}x{at_once}"] = rows * _ROUNDS / (time.perf_counter() - began)
    return found


def main() -> None:
    """Do what the arguments say."""
    if sys.argv[1] == "limit":
        print(json.dumps(limit(Path(sys.argv[2]), *sys.argv[3:])))
        return
    for name in sys.argv[2:]:
        make(Path(sys.argv[1]), name)


if __name__ == "__main__":
    main()
