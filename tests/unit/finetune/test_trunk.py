"""A pulled trunk as a Keras layer: what trains, what stays, what survives saving."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from hub.client.cache import Cache
from hub.client.digesting import cut_files
from hub.domain.errors import HubUnreachable, InvalidModel, InvalidTensor
from hub.domain.manifest import Kind, Manifest
from hub.finetune import Trunk, export_trunk

pytestmark = pytest.mark.slow

# Two graphs of one model differ by the order in which floats are added.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}
MakeTrunk = Callable[..., Trunk]


def composite(trunk: Trunk) -> keras.Model:
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Dense(2, name="kind")(trunk(image)))
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse")
    return model


def values(layer: keras.Layer) -> list[np.ndarray]:
    return [variable.numpy().copy() for variable in layer.variables]


def moved(before: list[np.ndarray], layer: keras.Layer) -> set[str]:
    now = zip(before, layer.variables, strict=True)
    return {variable.name for was, variable in now if not np.array_equal(was, variable.numpy())}


def test_the_layer_computes_what_the_exported_model_computes(
    tmp_path: Path, conv: keras.Model, images: np.ndarray
) -> None:
    trunk = Trunk(export_trunk(conv, tmp_path / "t"))
    np.testing.assert_allclose(trunk(images), conv(images), **CLOSE)
    assert len(trunk.variables) == len(conv.variables)


def test_a_frozen_trunk_keeps_every_bit_while_its_head_is_fitted(pulled: MakeTrunk, images: np.ndarray) -> None:
    trunk = pulled()
    model = composite(trunk)
    before = values(trunk)
    head = model.layers[-1].kernel.numpy().copy()
    model.fit(images, np.ones((6, 2), np.float32), epochs=2, verbose=0)
    assert moved(before, trunk) == set()
    assert trunk.is_unchanged()
    assert trunk.trainable_variables == []
    assert not np.array_equal(head, model.layers[-1].kernel.numpy())


def test_a_trainable_trunk_moves_its_weights_and_statistics(pulled: MakeTrunk, images: np.ndarray) -> None:
    trunk = pulled(trainable=True)
    model = composite(trunk)
    before = values(trunk)
    assert len(trunk.trainable_variables) == 6
    model.fit(images, np.ones((6, 2), np.float32), epochs=2, verbose=0)
    assert moved(before, trunk) == {variable.name for variable in trunk.variables}
    assert not trunk.is_unchanged()


def test_inference_moves_nothing_even_in_a_trainable_trunk(pulled: MakeTrunk, images: np.ndarray) -> None:
    trunk = pulled(trainable=True)
    trunk(images, training=False)
    composite(trunk).predict(images, verbose=0)
    assert trunk.is_unchanged()


def test_a_trunk_can_be_frozen_and_thawed_after_it_was_pulled(pulled: MakeTrunk, images: np.ndarray) -> None:
    trunk = pulled()
    trunk.trainable = True
    assert len(trunk.trainable_variables) == 6
    trunk.trainable = False
    assert trunk.trainable_variables == []
    trunk(images, training=True)
    assert trunk.is_unchanged()


def test_what_the_publisher_froze_stays_frozen(tmp_path: Path, conv: keras.Model, images: np.ndarray) -> None:
    conv.layers[1].trainable = False
    trunk = Trunk(export_trunk(conv, tmp_path / "t"), trainable=True)
    before = values(trunk)
    composite(trunk).fit(images, np.ones((6, 2), np.float32), verbose=0)
    assert len(trunk.trainable_variables) == 4
    kernel = next(index for index, variable in enumerate(trunk.variables) if variable.shape == (3, 3, 3, 4))
    np.testing.assert_array_equal(trunk.variables[kernel], before[kernel])


def test_regularization_counts_only_while_the_trunk_trains(pulled: MakeTrunk, images: np.ndarray) -> None:
    trunk = pulled(trainable=True)
    trunk(images)
    [loss] = trunk.losses
    kernel = next(variable for variable in trunk.variables if variable.shape == (4, 5))
    np.testing.assert_allclose(loss, 0.01 * np.sum(kernel.numpy() ** 2), rtol=1e-5)
    trunk.trainable = False
    trunk(images)
    assert trunk.losses == []


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)  # Keras saving any TensorFlow variable
@pytest.mark.parametrize("trainable", [False, True])
def test_a_keras_file_gives_the_same_model_again(
    pulled: MakeTrunk, images: np.ndarray, tmp_path: Path, trainable: bool
) -> None:
    model = composite(pulled(trainable=trainable))
    model.fit(images, np.ones((6, 2), np.float32), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(images), model(images), **CLOSE)
    assert again.layers[1].trainable is trainable
    assert again.layers[1].is_unchanged() is not trainable
    again.fit(images, np.ones((6, 2), np.float32), verbose=0)


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)  # Keras saving any TensorFlow variable
def test_a_keras_file_finds_the_version_in_the_cache_without_a_hub(
    tmp_path: Path, conv: keras.Model, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HUB_URL", "http://127.0.0.1:9")
    exported = export_trunk(conv, tmp_path / "t")
    paths = (path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file())
    files = cut_files(exported, {path: (exported / path).stat().st_size for path in paths}, lambda _: None)
    manifest = Manifest(kind=Kind.TRUNK, files=files, signatures={}, tuning_face=None, tensors=(), lineage=())
    snapshot = Cache().keep(manifest.canonical(), exported)
    model = composite(Trunk(snapshot, reference="acme/shapes@3", digest=manifest.digest()))
    model.fit(images, np.ones((6, 2), np.float32), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(images), model(images), **CLOSE)
    assert again.layers[1].directory == snapshot
    Cache().discard(manifest.digest())
    with pytest.raises(HubUnreachable):
        keras.models.load_model(tmp_path / "model.keras")


def test_the_whole_can_be_exported_and_saved_again(pulled: MakeTrunk, images: np.ndarray, tmp_path: Path) -> None:
    trunk = pulled(trainable=True)
    model = composite(trunk)
    model.fit(images, np.ones((6, 2), np.float32), verbose=0)
    want = model(images).numpy()
    loaded = tf.saved_model.load(str(export_trunk(model, tmp_path / "again")))
    np.testing.assert_allclose(loaded(images), want, **CLOSE)
    assert len(loaded.trainable_variables) == 8
    assert len(loaded.regularization_losses) == 1
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(loaded(images, training=True))
    assert all(gradient is not None for gradient in tape.gradient(loss, loaded.trainable_variables))
    tf.saved_model.save(model, str(tmp_path / "plain"))
    plain = tf.saved_model.load(str(tmp_path / "plain")).signatures["serving_default"]
    [output] = plain(tf.constant(images)).values()
    np.testing.assert_allclose(output, want, **CLOSE)


def test_a_trunk_alone_can_be_exported_again(pulled: MakeTrunk, images: np.ndarray, tmp_path: Path) -> None:
    trunk = pulled(trainable=True)
    again = Trunk(export_trunk(trunk, tmp_path / "again"), trainable=True)
    np.testing.assert_allclose(again(images), trunk(images), **CLOSE)
    assert len(again.trainable_variables) == 6


def test_sequential_takes_a_trunk_without_being_told_its_input(pulled: MakeTrunk, images: np.ndarray) -> None:
    model = keras.Sequential([pulled(), keras.layers.Dense(2)])
    assert model(images).shape == (6, 2)
    assert model.output_shape == (None, 2)


def test_a_tape_inside_a_function_trains_head_and_trunk(pulled: MakeTrunk, images: np.ndarray) -> None:
    model = composite(pulled(trainable=True))
    optimizer = keras.optimizers.Adam(0.01)

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(images, training=True) ** 2) + tf.add_n(model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    assert float(step()) > float([step() for _ in range(20)][-1])


def test_many_inputs_and_outputs_keep_their_structure(tmp_path: Path) -> None:
    inputs = {"ids": keras.Input((None,), dtype="int32", name="ids"), "mask": keras.Input((None,), name="mask")}
    embedded = keras.layers.Embedding(9, 4)(inputs["ids"]) * inputs["mask"][:, :, None]
    model = keras.Model(inputs, {"default": keras.ops.sum(embedded, axis=1), "sequence": embedded})
    trunk = Trunk(export_trunk(model, tmp_path / "t"))
    symbolic = trunk({"ids": keras.Input((None,), dtype="int32"), "mask": keras.Input((None,))})
    assert {name: tensor.shape for name, tensor in symbolic.items()} == {
        "default": (None, 4),
        "sequence": (None, None, 4),
    }
    for length in (2, 5):
        feeds = {"ids": np.ones((1, length), np.int64), "mask": np.ones((1, length), np.float64)}
        assert trunk(feeds)["sequence"].shape == (1, length, 4)
    with pytest.raises(InvalidTensor, match="ids"):
        trunk({"ids": feeds["ids"]})


def test_text_goes_in_as_it_is(tmp_path: Path) -> None:
    text = keras.Input((), dtype="string")
    ids = keras.layers.TextVectorization(vocabulary=["cat", "dog"], output_sequence_length=2)(text)
    model = keras.Model(text, keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(4, 2)(ids)))
    trunk = Trunk(export_trunk(model, tmp_path / "t"))
    again = keras.Sequential([keras.Input((), dtype="string"), trunk, keras.layers.Dense(1)])
    words = tf.constant(["dog cat", "cow"])
    want = again(words)
    tf.saved_model.save(again, str(tmp_path / "plain"))
    [output] = tf.saved_model.load(str(tmp_path / "plain")).signatures["serving_default"](words).values()
    np.testing.assert_allclose(output, want, **CLOSE)


def test_mixed_precision_around_a_trunk_leaves_its_own_precision(pulled: MakeTrunk, images: np.ndarray) -> None:
    pulled()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = composite(pulled())
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.layers[1](images).dtype == tf.float32
    assert model(images).dtype == tf.float16


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (np.zeros((2, 8, 8, 3), np.uint8), r"uint8\(2, 8, 8, 3\), the trunk takes float32\(None, 8, 8, 3\)"),
        (np.zeros((2, 9, 8, 3), np.float32), r"float32\(2, 9, 8, 3\)"),
        (np.zeros((8, 8, 3), np.float32), r"float32\(8, 8, 3\)"),
    ],
)
def test_a_wrong_input_says_what_the_trunk_takes(pulled: MakeTrunk, wrong: np.ndarray, says: str) -> None:
    with pytest.raises(InvalidTensor, match=says):
        pulled()(wrong)


def test_a_wrong_symbolic_input_is_refused_while_the_model_is_built(pulled: MakeTrunk) -> None:
    with pytest.raises(InvalidTensor, match=r"the trunk takes float32\(None, 8, 8, 3\)"):
        pulled()(keras.Input((4, 4, 3)))


class Foreign(tf.Module):
    """Somebody else's reusable SavedModel: other names, lists left out, two traces."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.ones((3, 2)))

    @tf.function
    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reshape(x, (-1, 3)) @ self.kernel


def save_foreign(directory: Path) -> Path:
    foreign = Foreign()
    for shape in ((None, 3), (None, None, 3)):
        foreign.__call__.get_concrete_function(tf.TensorSpec(shape, name="x"))
    tf.saved_model.save(foreign, str(directory))
    return directory


def test_a_foreign_callable_is_a_frozen_trunk(tmp_path: Path) -> None:
    trunk = Trunk(save_foreign(tmp_path / "f"))
    assert trunk(np.ones((2, 3), np.float32), training=True).numpy().tolist() == [[3, 3], [3, 3]]
    assert len(trunk.non_trainable_variables) == 1


def test_any_trace_of_a_foreign_callable_may_be_used(tmp_path: Path) -> None:
    trunk = Trunk(save_foreign(tmp_path / "f"))
    assert trunk(np.ones((2, 4, 3))).shape == (8, 2)
    with pytest.raises(InvalidTensor, match="the trunk takes"):
        trunk(np.ones((2, 4, 4)))


def test_what_publishes_nothing_trainable_is_not_trained_silently(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="no trainable variables"):
        Trunk(save_foreign(tmp_path / "f"), trainable=True)


def test_what_has_only_signatures_says_how_to_export_it(tmp_path: Path, conv: keras.Model) -> None:
    conv.export(str(tmp_path / "e"), verbose=False)
    with pytest.raises(InvalidModel, match="export_trunk"):
        Trunk(tmp_path / "e")


def test_what_is_no_saved_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="cannot load"):
        Trunk(tmp_path)
