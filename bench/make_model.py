"""Makes SavedModels with real TensorFlow; run as a process of its own, so that the benchmark stays without it.

``tensors FOLDER ROWS SEED[:CHANGED]…`` makes one model for each seed, all in one go, in ``FOLDER/SEED[:CHANGED]``:
128 variables of ROWS times 1,024 random floats, 128 small ones, one signature that uses them all. ``0:7`` is the model
of seed 0 with every tenth variable drawn anew from seed 7.

``keras FOLDER CLASSES`` makes a MobileNetV2 with a head of so many classes. Its trunk has the same weights every time.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

VARIABLES = 128
COLUMNS = 1_024
_SMALL = 256
_TENTH = 10
_SEED = 1


class Tensors(tf.Module):
    """Variables with given values, and a function that reads every one."""

    def __init__(self, large: Iterator[np.ndarray], small: Iterator[np.ndarray]) -> None:
        super().__init__()
        self.large = [tf.Variable(value, name=f"large_{index}") for index, value in enumerate(large)]
        self.small = [tf.Variable(value, name=f"small_{index}") for index, value in enumerate(small)]

    @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32, name="x")])
    def __call__(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """The input, shifted by the sum of all means."""
        return {"y": x + tf.add_n([tf.reduce_mean(variable) for variable in (*self.large, *self.small)])}


def make_tensors(folder: Path, rows: int, recipe: str) -> None:
    """Make the model of a seed, or of a seed with a tenth of it changed."""
    seed, _, changed = recipe.partition(":")

    def values(kind: int, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
        for index in range(VARIABLES):
            drawn = changed if changed and index % _TENTH == 0 else seed
            yield np.random.default_rng([int(drawn), kind, index]).random(shape, np.float32)

    model = Tensors(values(0, (rows, COLUMNS)), values(1, (_SMALL,)))
    tf.saved_model.save(model, str(folder / recipe), signatures={"serving_default": model.__call__})


def make_keras(folder: Path, classes: int) -> None:
    """Make a MobileNetV2 with a classifier."""
    import keras

    keras.utils.set_random_seed(_SEED)
    trunk = keras.applications.MobileNetV2(weights=None, include_top=False, pooling="avg")
    model = keras.Sequential([keras.Input((224, 224, 3)), trunk, keras.layers.Dense(classes)])
    model.export(str(folder), verbose=False)


def main() -> None:
    """Do what the arguments say."""
    kind, folder, *rest = sys.argv[1:]
    if kind == "keras":
        make_keras(Path(folder), int(rest[0]))
        return
    for recipe in rest[1:]:
        make_tensors(Path(folder), int(rest[0]), recipe)


if __name__ == "__main__":
    main()
