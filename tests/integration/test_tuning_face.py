"""The tuning face of a model that TensorFlow has just written."""

from pathlib import Path

import pytest
import tensorflow as tf

from hub.savedmodel.inspect import inspect

pytestmark = pytest.mark.slow
FLOATS = tf.TensorSpec([None, 3], tf.float32)


class Adjustable(tf.Module):
    """TF Hub's way of hyper-parameters: further arguments of ``__call__``."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = tf.Variable(tf.ones([3, 2]))

    @tf.function
    def __call__(
        self, inputs: tf.Tensor, mask: tf.Tensor, training: bool = False, momentum: float = 0.9, *, scale: float = 1.0
    ) -> tf.Tensor:
        return tf.matmul(inputs, self.weight) * mask * momentum * scale * (2.0 if training else 1.0)


def test_further_arguments_are_named_and_those_with_defaults_may_be_left_out(tmp_path: Path) -> None:
    model = Adjustable()
    for training in (False, True):
        model.__call__.get_concrete_function(FLOATS, tf.TensorSpec([None, 1]), training, tf.TensorSpec([]))
    tf.saved_model.save(model, str(tmp_path / "model"))
    inspection = inspect(tmp_path / "model")
    face = inspection.tuning_face
    assert face is not None
    assert [spec.shape for spec in face.inputs] == [(None, 3)]
    assert face.training_values == (False, True)
    assert face.arguments == {"mask": False, "momentum": True, "scale": True}
