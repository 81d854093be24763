"""What ``export_head`` cuts off, what it refuses, and what a model is pushed as."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from hub.domain.errors import InvalidModel
from hub.domain.lineage import Edge, EdgeKind
from hub.domain.manifest import Kind
from hub.finetune import Trunk, export_for_push, export_head, export_trunk

pytestmark = pytest.mark.slow

# Two graphs of one model differ by the order in which floats are added.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}
DIGEST = "sha256:" + "a" * 64
MakeTrunk = Callable[..., Trunk]


def on(trunk: Trunk, *, head_name: str | None = None) -> keras.Model:
    image = keras.Input((8, 8, 3))
    x = keras.layers.Dense(4, activation="relu")(trunk(image))
    return keras.Model(image, keras.layers.Dense(2, name=head_name)(keras.layers.Dropout(0.5)(x)))


def signature_of(directory: Path) -> Any:
    return tf.saved_model.load(str(directory)).signatures["serving_default"]


def test_trunk_then_head_compute_what_the_composite_computes(
    pulled: MakeTrunk, images: np.ndarray, tmp_path: Path
) -> None:
    trunk = pulled()
    model = on(trunk, head_name="kind")
    directory = export_head(model, trunk, tmp_path / "head")
    head = tf.saved_model.load(str(directory))
    features = trunk(images)
    want = model(images)
    np.testing.assert_allclose(head(features), want, **CLOSE)
    np.testing.assert_allclose(head.signatures["serving_default"](features=features)["kind"], want, **CLOSE)


def test_a_head_holds_its_own_weights_and_nothing_of_the_trunk(pulled: MakeTrunk, tmp_path: Path) -> None:
    trunk = pulled()
    head = tf.saved_model.load(str(export_head(on(trunk), trunk, tmp_path / "head")))
    assert [tuple(variable.shape) for variable in head.trainable_variables] == [(5, 4), (4,), (4, 2), (2,)]
    assert list(head.signatures["serving_default"].structured_outputs) == ["output"]


def test_a_sequential_composite_is_cut_too(pulled: MakeTrunk, images: np.ndarray, tmp_path: Path) -> None:
    trunk = pulled()
    model = keras.Sequential([trunk, keras.layers.Dense(3, name="kind")])
    with pytest.raises(InvalidModel, match="call it once"):
        export_head(model, trunk, tmp_path / "early")
    want = model(images)
    signature = signature_of(export_head(model, trunk, tmp_path / "head"))
    np.testing.assert_allclose(signature(features=trunk(images))["kind"], want, **CLOSE)


def test_several_outputs_are_named_by_their_layers(pulled: MakeTrunk, tmp_path: Path) -> None:
    trunk = pulled()
    image = keras.Input((8, 8, 3))
    features = trunk(image)
    model = keras.Model(image, [keras.layers.Dense(2, name="kind")(features), keras.layers.Dense(1)(features)])
    assert sorted(signature_of(export_head(model, trunk, tmp_path / "head")).structured_outputs) == ["kind", "output_1"]


def test_only_the_trunk_outputs_in_use_feed_the_head(tmp_path: Path) -> None:
    ids = keras.Input((None,), dtype="int32", name="ids")
    embedded = keras.layers.Embedding(9, 4)(ids)
    pooled = keras.layers.GlobalAveragePooling1D()(embedded)
    trunk = Trunk(export_trunk(keras.Model(ids, {"default": pooled, "sequence": embedded}), tmp_path / "t"))
    words = keras.Input((None,), dtype="int32")
    model = keras.Model(words, keras.layers.LSTM(2)(trunk(words)["sequence"]))
    signature = signature_of(export_head(model, trunk, tmp_path / "head"))
    assert list(signature.structured_input_signature[1]) == ["sequence"]
    feeds = np.array([[1, 2, 3]], np.int32)
    [output] = signature(sequence=trunk(feeds)["sequence"]).values()
    np.testing.assert_allclose(output, model(feeds), **CLOSE)
    both = trunk(words)
    model = keras.Model(words, keras.layers.Dense(1)(both["default"]) + keras.layers.LSTM(1)(both["sequence"]))
    signature = signature_of(export_head(model, trunk, tmp_path / "both"))
    assert sorted(signature.structured_input_signature[1]) == ["default", "sequence"]
    [output] = signature(**trunk(feeds)).values()
    np.testing.assert_allclose(output, model(feeds), **CLOSE)


def before_the_trunk(trunk: Trunk) -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(2.0), trunk, keras.layers.Dense(1)])


def past_the_trunk(trunk: Trunk) -> keras.Model:
    image = keras.Input((8, 8, 3))
    beside = keras.layers.GlobalAveragePooling2D()(image)
    return keras.Model(image, keras.layers.Concatenate()([trunk(image), beside]))


def twice_the_trunk(trunk: Trunk) -> keras.Model:
    one, two = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    return keras.Model([one, two], trunk(one) - trunk(two))


def inside_another_model(trunk: Trunk) -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 3)), on(trunk), keras.layers.Dense(1)])


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (before_the_trunk, "rescaling.* stands before"),
        (past_the_trunk, "goes past"),
        (twice_the_trunk, "more than once"),
        (inside_another_model, "among its own layers"),
    ],
)
def test_what_is_no_head_is_refused_with_a_remedy(
    pulled: MakeTrunk, tmp_path: Path, build: Callable[[Trunk], keras.Model], says: str
) -> None:
    trunk = pulled()
    with pytest.raises(InvalidModel, match=says) as refused:
        export_head(build(trunk), trunk, tmp_path / "head")
    assert "export_trunk" in (refused.value.remedy or "")


def test_a_changed_trunk_is_not_dropped_silently(pulled: MakeTrunk, tmp_path: Path) -> None:
    trunk = pulled(trainable=True)
    trunk.trainable_variables[0].assign_add(trunk.trainable_variables[0] + 1e-3)
    with pytest.raises(InvalidModel, match="changed since it was pulled"):
        export_head(on(trunk), trunk, tmp_path / "head")


def known(pulled: MakeTrunk, **options: Any) -> Trunk:
    return pulled(reference="acme/shapes@3", digest=DIGEST, **options)


def test_a_model_on_an_unchanged_trunk_is_pushed_as_its_head(pulled: MakeTrunk, tmp_path: Path) -> None:
    parts = export_for_push(on(known(pulled)), tmp_path / "out")
    assert parts.kind is Kind.HEAD
    assert parts.path == tmp_path / "out"
    assert parts.lineage == (Edge(kind=EdgeKind.HEAD_OF, model="acme/shapes", number=3, digest=DIGEST),)


def test_a_model_on_a_tuned_trunk_is_pushed_whole(pulled: MakeTrunk, images: np.ndarray, tmp_path: Path) -> None:
    trunk = known(pulled, trainable=True)
    trunk(images, training=True)
    parts = export_for_push(on(trunk), tmp_path / "out")
    assert parts.kind is Kind.TRUNK
    assert [(edge.kind, edge.digest) for edge in parts.lineage] == [(EdgeKind.FINETUNED_FROM, DIGEST)]
    assert list(signature_of(parts.path).structured_outputs) == ["features"]


def test_a_model_without_a_trunk_is_pushed_as_one(conv: keras.Model, tmp_path: Path) -> None:
    parts = export_for_push(conv, tmp_path / "out")
    assert (parts.kind, parts.lineage) == (Kind.TRUNK, ())


def test_a_trunk_nobody_changed_is_not_pushed_again(pulled: MakeTrunk, tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="acme/shapes@3 has not changed"):
        export_for_push(known(pulled), tmp_path / "out")


def test_a_head_on_a_trunk_that_no_hub_knows_is_refused(pulled: MakeTrunk, tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="Push the trunk first"):
        export_for_push(on(pulled()), tmp_path / "out")
