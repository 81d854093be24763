"""Models made with Keras 3 and, as most of those in the wild, with Keras 2."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf_keras

RANDOM = np.random.default_rng(7)
IMAGES = RANDOM.random((2, 8, 8, 3), dtype=np.float32)
SEQUENCES = RANDOM.random((2, 4, 2), dtype=np.float32)


def input_names(folder: Path) -> list[str]:
    return list(tf.saved_model.load(str(folder)).signatures["serving_default"].structured_input_signature[1])


def exported(folder: Path) -> dict:
    """Keras 3's own export of a convolutional network, trained for a step, so that batch statistics have moved."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "mse")
    model.fit(IMAGES, np.eye(2), verbose=0)
    model.export(str(folder), verbose=False)
    return {"serving_default": {input_names(folder)[0]: IMAGES}}


def saved(folder: Path) -> dict:
    """Keras 3 through ``tf.saved_model.save``, which TensorFlow Serving's loader cannot run."""
    layers = keras.layers
    ids = keras.Input((5,), dtype="int32", name="ids")
    embedded = layers.Embedding(11, 8, mask_zero=True)(ids)
    attended = layers.LayerNormalization()(layers.MultiHeadAttention(2, 4)(embedded, embedded) + embedded)
    model = keras.Model(ids, layers.Bidirectional(layers.LSTM(3))(attended))
    tf.saved_model.save(model, str(folder))
    return {"serving_default": {input_names(folder)[0]: np.array([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8]], np.int32)}}


def words(folder: Path) -> dict:
    layers = keras.layers
    vectorize = layers.TextVectorization(max_tokens=9, output_sequence_length=4, vocabulary=["the", "cat", "sat"])
    text = keras.Input((), dtype="string", name="text")
    number = keras.Input((1,), name="number")
    normalize = layers.Normalization(mean=[1.0], variance=[4.0])
    embedded = layers.GlobalAveragePooling1D()(layers.Embedding(9, 3)(vectorize(text)))
    model = keras.Model(
        {"text": text, "number": number}, {"out": layers.Concatenate()([embedded, normalize(number)]), "n": number}
    )
    model.export(str(folder), verbose=False)
    text_values = np.array([b"the cat", b"zzz"], dtype=object)
    return {"serving_default": {"text": text_values, "number": np.array([[3], [5]], np.float32)}}


class Total(tf_keras.metrics.Metric):
    """A metric of somebody's own."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        self.total.assign_add(tf.reduce_sum(y_pred))

    def result(self):
        return self.total


def keras2_trained(folder: Path) -> dict:
    """A compiled and trained functional model with optimizer slots, a custom metric, a Lambda and a regularizer."""
    layers = tf_keras.layers
    image, sequence = tf_keras.Input((8, 8, 3), name="image"), tf_keras.Input((None, 2), name="sequence")
    seen = layers.GlobalAveragePooling2D()(layers.BatchNormalization()(layers.Conv2D(3, 3)(image)))
    heard = layers.GRU(3)(layers.Masking()(sequence))
    joined = layers.Lambda(lambda parts: tf.concat(parts, -1))([seen, heard])
    model = tf_keras.Model([image, sequence], layers.Dense(2, kernel_regularizer="l2", name="scores")(joined))
    model.compile(tf_keras.optimizers.legacy.Adam(), "mse", metrics=["mae", Total()])
    model.fit([IMAGES, SEQUENCES], np.eye(2), verbose=0)
    model.save(str(folder), save_format="tf")
    return {"serving_default": {"image": IMAGES, "sequence": SEQUENCES}}


class Scorer(tf_keras.Model):
    """Subclassed, with a serving function of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = tf_keras.layers.Dense(2)

    def call(self, inputs, training=False):
        return self.dense(inputs)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples):
        parsed = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([3], tf.float32)})
        return {"outputs": self(parsed["x"])}


def keras2_subclassed(folder: Path) -> dict:
    model = Scorer()
    model(np.ones((1, 3), np.float32))
    model.save(str(folder), save_format="tf", signatures={"serving_default": model.serve})
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[0.5, 1.5, 2.5]))
    example = tf.train.Example(features=tf.train.Features(feature={"x": feature})).SerializeToString()
    return {"serving_default": {"examples": np.array([example, example], dtype=object)}}


MODELS = {
    "keras3-exported": exported,
    "keras3-saved": saved,
    "keras3-words": words,
    "keras2-trained": keras2_trained,
    "keras2-subclassed": keras2_subclassed,
}
