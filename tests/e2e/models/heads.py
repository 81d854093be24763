"""Writes one Keras model twice: the same trunk, with a head of 1000 classes and with one of 10."""

import sys
from pathlib import Path

import keras


def main(folder: Path) -> None:
    """Export ``folder/CLASSES`` for either head."""
    for classes in (1000, 10):
        keras.backend.clear_session()
        keras.utils.set_random_seed(1)
        trunk = keras.applications.MobileNetV2(weights=None, include_top=False, pooling="avg", input_shape=(96, 96, 3))
        model = keras.Sequential([keras.Input((96, 96, 3)), trunk, keras.layers.Dense(classes, activation="softmax")])
        model.export(folder / str(classes), verbose=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
