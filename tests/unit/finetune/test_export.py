"""What ``export_trunk`` writes: servable, tunable and portable, each weight once."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from hub.domain.errors import InvalidModel, InvalidRequest
from hub.finetune import export_trunk

pytestmark = pytest.mark.slow

# Two graphs of one model differ by the order in which floats are added.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def bytes_of_variables(directory: Path) -> int:
    return sum(file.stat().st_size for file in (directory / "variables").glob("variables.data*"))


def run_in_session(directory: Path, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Load and call the way TF Serving, C, Java and Go do."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(directory))
        signature = graph.signature_def["serving_default"]
        outputs = {name: info.name for name, info in signature.outputs.items()}
        return session.run(outputs, {signature.inputs[name].name: value for name, value in feeds.items()})


def test_the_same_model_gives_the_same_names_twice(conv: keras.Model, tmp_path: Path) -> None:
    keras.Input((1,))
    for directory in (tmp_path / "a", tmp_path / "b"):
        export_trunk(conv, directory)
        signature = tf.saved_model.load(str(directory)).signatures["serving_default"]
        assert list(signature.structured_input_signature[1]) == ["inputs"]
        assert list(signature.structured_outputs) == ["features"]
        assert signature.structured_input_signature[1]["inputs"].shape.as_list() == [None, 8, 8, 3]


def test_signature_and_call_and_session_compute_what_the_model_computes(
    conv: keras.Model, images: np.ndarray, tmp_path: Path
) -> None:
    want = conv(images, training=False).numpy()
    directory = export_trunk(conv, tmp_path / "t")
    loaded = tf.saved_model.load(str(directory))
    np.testing.assert_allclose(loaded(images), want, **CLOSE)
    np.testing.assert_allclose(loaded.signatures["serving_default"](inputs=images)["features"], want, **CLOSE)
    np.testing.assert_allclose(run_in_session(directory, {"inputs": images})["features"], want, **CLOSE)


def test_each_weight_is_stored_once(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(512), keras.layers.Dense(64)])
    directory = export_trunk(model, tmp_path / "t")
    weights = sum(variable.numpy().nbytes for variable in model.variables)
    assert weights <= bytes_of_variables(directory) <= 1.1 * weights


def test_a_gradient_reaches_every_trainable_variable(conv: keras.Model, images: np.ndarray, tmp_path: Path) -> None:
    loaded = tf.saved_model.load(str(export_trunk(conv, tmp_path / "t")))
    assert len(loaded.trainable_variables) == 6
    assert len(loaded.variables) == len(conv.variables)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(loaded(images, training=True) ** 2)
    assert all(gradient is not None for gradient in tape.gradient(loss, loaded.trainable_variables))


def test_training_moves_the_statistics_and_inference_does_not(
    conv: keras.Model, images: np.ndarray, tmp_path: Path
) -> None:
    loaded = tf.saved_model.load(str(export_trunk(conv, tmp_path / "t")))
    before = [variable.numpy() for variable in loaded.variables]
    loaded(images, training=False)
    assert all(np.array_equal(was, now) for was, now in zip(before, loaded.variables, strict=True))
    first, second = loaded(images, training=True), loaded(images, training=True)
    assert not np.array_equal(first, second)
    assert sum(not np.array_equal(was, now) for was, now in zip(before, loaded.variables, strict=True)) == 3


def test_frozen_layers_are_left_out_of_the_trainable_list(conv: keras.Model, tmp_path: Path) -> None:
    conv.layers[1].trainable = False
    loaded = tf.saved_model.load(str(export_trunk(conv, tmp_path / "t")))
    assert len(loaded.trainable_variables) == 4
    assert len(loaded.variables) == len(conv.variables)


def test_weight_regularizers_become_losses(conv: keras.Model, tmp_path: Path) -> None:
    loaded = tf.saved_model.load(str(export_trunk(conv, tmp_path / "t")))
    [loss] = loaded.regularization_losses
    np.testing.assert_allclose(loss(), 0.01 * np.sum(conv.layers[-1].kernel.numpy() ** 2), rtol=1e-5)


def test_names_that_people_gave_are_kept_as_identifiers(tmp_path: Path) -> None:
    left, right = keras.Input((3,), name="left-eye"), keras.Input((None,), dtype="int32")
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(9, 2)(right))
    model = keras.Model([left, right], [keras.layers.Dense(2, name="near")(left), pooled])
    loaded = tf.saved_model.load(str(export_trunk(model, tmp_path / "t")))
    signature = loaded.signatures["serving_default"]
    assert sorted(signature.structured_input_signature[1]) == ["inputs_1", "left_eye"]
    assert sorted(signature.structured_outputs) == ["features_1", "near"]
    near, far = loaded([tf.ones((2, 3)), tf.ones((2, 4), tf.int32)], training=True)
    assert (near.shape, far.shape) == ((2, 2), (2, 2))


def test_a_dict_model_keeps_its_keys(tmp_path: Path) -> None:
    inputs = {"ids": keras.Input((None,), dtype="int64", name="ids"), "mask": keras.Input((None,), name="mask")}
    embedded = keras.layers.Embedding(9, 4)(inputs["ids"]) * inputs["mask"][:, :, None]
    model = keras.Model(inputs, {"default": keras.ops.sum(embedded, axis=1), "sequence": embedded})
    directory = export_trunk(model, tmp_path / "t")
    feeds = {"ids": np.array([[1, 2, 3]]), "mask": np.ones((1, 3), np.float32)}
    want = model(feeds)
    got = run_in_session(directory, feeds)
    assert sorted(got) == ["default", "sequence"]
    np.testing.assert_allclose(got["sequence"], want["sequence"], **CLOSE)
    np.testing.assert_allclose(tf.saved_model.load(str(directory))(feeds)["default"], want["default"], **CLOSE)


def test_a_vocabulary_travels_with_the_trunk(tmp_path: Path) -> None:
    text = keras.Input((), dtype="string", name="text")
    ids = keras.layers.TextVectorization(vocabulary=["cat", "dog"], output_sequence_length=3)(text)
    model = keras.Model(text, keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(4, 2)(ids)))
    want = model(tf.constant(["dog cat", "cow"])).numpy()
    directory = export_trunk(model, tmp_path / "t")
    got = run_in_session(directory, {"text": np.array(["dog cat", "cow"])})
    np.testing.assert_allclose(got["features"], want, **CLOSE)


class Recurrent(tf.Module):
    """A TensorArray filled by a ``tf.range`` loop; batch and time are free."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.random.stateless_normal((5, 3), (1, 2)))
        self.recurrent = tf.Variable(tf.random.stateless_normal((3, 3), (3, 4)))
        self.steps = tf.Variable(0, trainable=False)

    @tf.function
    def __call__(self, inputs: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        state = tf.zeros((tf.shape(inputs)[0], 3))
        states = tf.TensorArray(tf.float32, size=tf.shape(inputs)[1])
        for step in tf.range(tf.shape(inputs)[1]):
            state = tf.tanh(inputs[:, step] @ self.kernel + state @ self.recurrent)
            states = states.write(step, state)
        if training:
            self.steps.assign_add(1)
        return {"last": state, "sequence": tf.transpose(states.stack(), (1, 0, 2))}


def test_a_module_with_a_loop_over_time_runs_at_any_length(tmp_path: Path) -> None:
    module = Recurrent()
    directory = export_trunk(module, tmp_path / "t", inputs=tf.TensorSpec((None, None, 5)))
    loaded = tf.saved_model.load(str(directory))
    for batch, time in ((1, 1), (3, 7)):
        inputs = np.random.default_rng(time).random((batch, time, 5), dtype=np.float32)
        want = module(inputs)
        np.testing.assert_allclose(run_in_session(directory, {"inputs": inputs})["sequence"], want["sequence"], **CLOSE)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(loaded(inputs, training=True)["last"])
    assert len(loaded.trainable_variables) == 2
    assert all(gradient is not None for gradient in tape.gradient(loss, loaded.trainable_variables))
    assert loaded.variables[-1] == 1


def test_a_module_without_a_training_argument_is_exported_too(tmp_path: Path) -> None:
    class Scale(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = tf.Variable(2.0)

        def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
            return inputs * self.factor

    loaded = tf.saved_model.load(str(export_trunk(Scale(), tmp_path / "t", inputs=tf.TensorSpec((None, 2), name="x"))))
    assert loaded.signatures["serving_default"](x=tf.ones((1, 2)))["features"].numpy().tolist() == [[2.0, 2.0]]
    assert loaded(tf.ones((1, 2)), training=True).numpy().tolist() == [[2.0, 2.0]]


def test_a_subclassed_model_is_exported_with_given_specs(tmp_path: Path) -> None:
    class Custom(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

    model = Custom()
    with pytest.raises(InvalidModel, match="no weights yet"):
        export_trunk(model, tmp_path / "t", inputs=tf.TensorSpec((None, 3)))
    model(np.ones((1, 3), np.float32))
    with pytest.raises(InvalidModel, match="does not say what its inputs are"):
        export_trunk(model, tmp_path / "t")
    loaded = tf.saved_model.load(str(export_trunk(model, tmp_path / "t", inputs=tf.TensorSpec((None, 3)))))
    assert loaded(tf.ones((4, 3))).shape == (4, 2)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: keras.Sequential([keras.layers.Dense(2)]), "no weights yet"),
        (lambda: keras.Sequential([keras.Input((3,), sparse=True), keras.layers.Dense(2)]), "sparse"),
        (lambda: object(), "object cannot be exported"),
        (lambda: tf.Module(), "Module cannot be exported"),
        (Recurrent, "does not say what its inputs are"),
    ],
)
def test_what_cannot_be_exported_says_why(make: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match=says):
        export_trunk(make(), tmp_path / "t")


def test_a_model_that_cannot_be_traced_names_the_specs(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match=r"inputs: float32\(None, 4\)"):
        export_trunk(Recurrent(), tmp_path / "t", inputs=tf.TensorSpec((None, 4)))


def test_the_reason_a_model_cannot_be_traced_is_what_its_own_code_raised(tmp_path: Path) -> None:
    class Scaled(tf.Module):
        def __call__(self, inputs: Any, training: bool = False) -> Any:
            return inputs * tf.ones(3)

    with pytest.raises(InvalidModel, match="Dimensions must be equal"):
        export_trunk(Scaled(), tmp_path / "t", inputs=tf.TensorSpec((None, 5)))


@pytest.mark.parametrize("inputs", [(None, 3), np.ones((1, 3), np.float32)], ids=["shape", "array"])
def test_inputs_that_are_no_specs_are_refused(inputs: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"not a tf\.TensorSpec"):
        export_trunk(Recurrent(), tmp_path / "t", inputs=inputs)
    assert not (tmp_path / "t").exists()


def test_a_directory_in_use_is_left_alone(conv: keras.Model, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidRequest, match="not an empty directory"):
        export_trunk(conv, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]
