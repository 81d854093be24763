"""Makes what the serving benchmark serves and sends; run as a process of its own, because it needs TensorFlow.

``FOLDER NAME…`` writes models and requests (`bench.serving_bodies` says which files). Names: ``tiny``,
``mobilenetSIDE``, ``rnn`` (a loop over sequences that end where their rows are zero; requests of different lengths),
``text`` (sentences: split into words, looked up, embedded), and ``heads`` (`bench.serving_heads`).
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from bench import serving_bodies
from bench.serving_bodies import HEADS, OWNER, REQUESTS, Spec

HEADS_SIDE = 96
_SEED = 1234
_LENGTHS = (24, 8, 40, 12, 36, 16, 32, 20)  # of the sequences; the first is what a process alone is asked
_WORDS, _LONGEST = 5_000, 40
_CLASSES = 10


@dataclass(frozen=True, slots=True)
class Made:
    """A model, what it holds, and rows for it; -1 among ``dims`` where rows differ."""

    call: Callable[[tf.Tensor], tf.Tensor]
    holds: Sequence[Any]
    dims: tuple[int, ...]
    rows: Sequence[np.ndarray]

    @property
    def spec(self) -> tf.TensorSpec:
        """Of a batch."""
        dtype = tf.string if self.rows[0].dtype == object else tf.float32
        return tf.TensorSpec([None, *(None if size < 0 else size for size in self.dims)], dtype, name="x")


def make(folder: Path, name: str) -> None:
    """Write a model and its requests."""
    keras.utils.set_random_seed(_SEED)
    made = _MADE[name]() if name in _MADE else _mobilenet(int(name.removeprefix("mobilenet")))
    function = save(made.call, made.holds, made.spec, folder / name / "1")
    requests = folder / name / "requests"
    requests.mkdir()
    for number, row in enumerate(made.rows):
        features = function(tf.constant(row))["features"].numpy()
        message = predict_pb2.PredictRequest()
        message.inputs["x"].CopyFrom(tf.make_tensor_proto(row))
        serving_bodies.write(requests, number, row, features, message.SerializeToString())
    datatype = "BYTES" if made.spec.dtype == tf.string else "FP32"
    Spec(datatype, made.dims, int(features.shape[1])).write(folder, name)


def save(call: Callable[[Any], Any], holds: Sequence[Any], spec: tf.TensorSpec, folder: Path) -> Any:
    """Save a function of one tensor to ``features``, in a form that every loader reads, and give it."""
    function = tf.function(lambda x: {"features": call(x)}, input_signature=[spec])
    holder = tf.Module()
    holder.what_it_holds = holds
    tf.saved_model.save(holder, str(folder), signatures={"serving_default": function})
    return function


def _held(model: keras.Layer) -> list[Any]:
    return [variable.value for variable in model.variables]  # TensorFlow's, which its session loader finds


def _floats(*shape: int) -> list[np.ndarray]:
    chance = np.random.default_rng(_SEED)
    return [chance.uniform(-1, 1, (1, *shape)).astype(np.float32) for _ in range(REQUESTS)]


def _tiny() -> Made:
    layers = [keras.Input((64,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(_CLASSES)]
    model = keras.Sequential(layers)
    return Made(model, _held(model), (64,), _floats(64))


class DynamicRNN(keras.Model):
    """A GRU cell stepped by a loop that AutoGraph writes, as far as the longest sequence of the batch goes."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = keras.layers.GRUCell(32)

    @tf.function  # Keras does not have AutoGraph convert what it calls
    def call(self, x: tf.Tensor) -> tf.Tensor:
        """The state after each sequence's last row.

        Args:
            x: [rows, steps, 16] float32; a sequence ends before its first row of zeros.

        Returns:
            [rows, 32] float32.
        """
        lengths = tf.math.count_nonzero(tf.reduce_any(x != 0, axis=2), axis=1, dtype=tf.int32)
        state = tf.zeros([tf.shape(x)[0], 32])
        for step in tf.range(tf.reduce_max(lengths)):
            _, (stepped,) = self.cell(x[:, step], (state,))
            state = tf.where((step < lengths)[:, tf.newaxis], stepped, state)
        return state


def _rnn() -> Made:
    model = DynamicRNN()
    model.cell.build((None, 16))
    rows = [row[:, :length] for row, length in zip(_floats(max(_LENGTHS), 16), _LENGTHS, strict=True)]
    return Made(model, _held(model), (-1, 16), rows)


class Text(tf.Module):
    """Sentences as they come: small letters, words, a vocabulary, an embedding, its mean, a dense layer."""

    def __init__(self, words: Sequence[str]) -> None:
        numbers = tf.lookup.KeyValueTensorInitializer(list(words), tf.range(1, len(words) + 1, dtype=tf.int64))
        self.table = tf.lookup.StaticHashTable(numbers, 0)
        self.embedding = tf.Variable(tf.random.stateless_normal([len(words) + 1, 64], [_SEED, 1]))
        self.dense = tf.Variable(tf.random.stateless_normal([64, _CLASSES], [_SEED, 2]))

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[rows, 1] strings to [rows, 10] float32."""
        plain = tf.strings.regex_replace(tf.strings.lower(x[:, 0]), r"[^a-z ]", "")
        words = tf.strings.split(plain)
        numbers = words.with_values(self.table.lookup(words.values)).to_tensor(0)
        known = tf.cast(numbers > 0, tf.float32)[..., tf.newaxis]
        embedded = tf.gather(self.embedding, numbers) * known
        return tf.reduce_sum(embedded, axis=1) / tf.maximum(tf.reduce_sum(known, axis=1), 1.0) @ self.dense


def _text() -> Made:
    chance = np.random.default_rng(_SEED)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = sorted({"".join(chance.choice(letters, size)) for size in chance.integers(2, 10, _WORDS)})
    sentences = [" ".join(chance.choice(words, size)) for size in chance.integers(5, _LONGEST, REQUESTS)]
    rows = [np.array([[f"{sentence.capitalize()}, unseen!".encode()]], object) for sentence in sentences]
    model = Text(words)
    return Made(model, [model], (1,), rows)


def _mobilenet(side: int) -> Made:
    shape = (side, side, 3)
    model = keras.applications.MobileNetV2(weights=None, include_top=False, pooling="avg", input_shape=shape)
    for layer in model.layers:  # statistics of one batch, or an untrained network gives next to nothing
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(np.random.default_rng(_SEED).uniform(-1, 1, (8, *shape)).astype(np.float32), training=True)
    return Made(model, _held(model), shape, _floats(*shape))


_MADE = {"tiny": _tiny, "rnn": _rnn, "text": _text}


def make_heads(folder: Path) -> None:
    """Write ``trunk``, heads ``head-K`` and ``full-K``, which is both in one; requests for each, and one for all."""
    keras.utils.set_random_seed(_SEED)
    trunk = _mobilenet(HEADS_SIDE)
    x = trunk.rows[0]
    features = trunk.call(tf.constant(x))
    taken = tf.TensorSpec([None, features.shape[1]], tf.float32, name="x")
    save(trunk.call, trunk.holds, trunk.spec, folder / "trunk")
    answers = []
    for number in range(HEADS):
        head = keras.layers.Dense(_CLASSES)
        answers.append(head(features).numpy())
        save(head, _held(head), taken, folder / f"head-{number}")
        save(
            lambda x, head=head: head(trunk.call(x)),
            [*trunk.holds, *_held(head)],
            trunk.spec,
            folder / f"full-{number}",
        )
        requests = folder / "requests" / str(number)
        requests.mkdir(parents=True)
        serving_bodies.write(requests, 0, x, answers[-1], b"")
    together = folder / "requests" / "all"
    together.mkdir()
    serving_bodies.write_heads(together, x, np.stack(answers), [f"{OWNER}/head-{number}" for number in range(HEADS)])


def main() -> None:
    """Do what the arguments say."""
    for name in sys.argv[2:]:
        if name == "heads":
            make_heads(Path(sys.argv[1]) / "heads")
        else:
            make(Path(sys.argv[1]), name)


if __name__ == "__main__":
    main()
