"""Writes the networks that the GPU's tests run, a MobileNetV2 trunk and two heads: ``python networks.py DIR``."""

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

SEED = 7


def main() -> None:
    folder = Path(sys.argv[1])
    keras.utils.set_random_seed(SEED)
    model = keras.applications.MobileNetV2(weights=None, include_top=False, pooling="avg", input_shape=(96, 96, 3))
    for layer in model.layers:  # statistics of one batch, or an untrained network gives next to nothing
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(np.random.default_rng(SEED).uniform(-1, 1, (8, 96, 96, 3)).astype(np.float32), training=True)
    save(folder / "trunk", model.variables, "x", [None, 96, 96, 3], lambda x: {"features": model(x, training=False)})
    for number in range(2):
        layer = keras.layers.Dense(10)
        layer.build((None, 1280))
        save(
            folder / f"head-{number}", layer.variables, "features", [None, 1280], lambda x, of=layer: {"scores": of(x)}
        )


def save(folder: Path, variables: list[keras.Variable], name: str, shape: list[int | None], call) -> None:
    holder = tf.Module()
    holder.held = [variable.value for variable in variables]
    spec = tf.TensorSpec(shape, tf.float32, name=name)
    function = tf.function(lambda **given: call(given[name])).get_concrete_function(**{name: spec})
    tf.saved_model.save(holder, str(folder), signatures={"serving_default": function})


if __name__ == "__main__":
    main()
