"""Small models that the finetune tests export, pull and train."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from hub.finetune import Trunk, export_trunk


def conv_model(*, frozen: bool = False) -> keras.Model:
    """Convolution, batch norm, dropout and a regularized dense layer: 6 trainable of 9 variables."""
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3)(image)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.5, seed=3)(x)
    x = keras.layers.Dense(5, kernel_regularizer=keras.regularizers.L2(0.01))(x)
    model = keras.Model(image, x)
    model.layers[1].trainable = not frozen
    return model


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    keras.utils.set_random_seed(7)


@pytest.fixture
def images() -> np.ndarray:
    """[6, 8, 8, 3] float32 in [0, 1]."""
    return np.random.default_rng(1).random((6, 8, 8, 3), dtype=np.float32)


@pytest.fixture
def conv() -> keras.Model:
    return conv_model()


@pytest.fixture
def pulled(tmp_path: Path) -> Callable[..., Trunk]:
    """A convolutional trunk, exported and loaded as a layer."""

    def make(**options: bool) -> Trunk:
        directory = tmp_path / "pulled"
        if not directory.exists():
            export_trunk(conv_model(), directory)
        return Trunk(directory, **options)

    return make
