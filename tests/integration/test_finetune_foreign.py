"""Reusable SavedModels that other people and older Keras versions wrote, as trunks."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from hub.domain.errors import InvalidModel
from hub.finetune import Trunk, export_trunk

pytestmark = pytest.mark.slow

CORPUS = Path(os.environ.get("HUB_TEST_CORPUS") or Path(__file__).parents[3] / "shared/savedmodels")
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of SavedModels is not here")


@needs_corpus
def test_a_keras_2_model_trains_and_can_be_exported_again(tmp_path: Path) -> None:
    trunk = Trunk(CORPUS / "tfrust__keras_single_input", trainable=True)
    inputs = np.random.default_rng(1).random((8, 5), dtype=np.float32)
    signature = trunk.face.root.signatures["serving_default"]
    [served] = signature(tf.constant(inputs)).values()
    np.testing.assert_allclose(trunk(inputs), served, rtol=1e-5)

    model = keras.Sequential([keras.Input((5,)), trunk, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), loss="mse")
    before = [variable.numpy().copy() for variable in trunk.trainable_variables]
    model.fit(inputs, np.ones((8, 1), np.float32), verbose=0)
    assert len(before) == 6
    assert any(not np.array_equal(was, now.numpy()) for was, now in zip(before, trunk.trainable_variables, strict=True))

    again = tf.saved_model.load(str(export_trunk(model, tmp_path / "again")))
    np.testing.assert_allclose(again(inputs), model(inputs), rtol=1e-5)


@needs_corpus
def test_a_keras_2_model_with_a_list_of_inputs_keeps_its_structure() -> None:
    [directory] = [file.parent for file in (CORPUS / "tfx__trainer_keras_serving").rglob("saved_model.pb")]
    trunk = Trunk(directory)
    outputs = trunk([np.ones((2, 1), np.float32)] * 4)
    assert outputs.shape == (2, 3)


@needs_corpus
def test_a_tensorflow_1_model_says_that_it_cannot_be_trained_on() -> None:
    with pytest.raises(InvalidModel, match="has signatures only"):
        Trunk(CORPUS / "tfserving__saved_model_half_plus_two_cpu")
