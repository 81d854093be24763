"""Writes the tiny SavedModels that the engine's tests run: ``python make_models.py DIR``."""

import sys
from pathlib import Path

import keras
import orjson
import tensorflow as tf

VECTORS = tf.TensorSpec([None, 2], tf.float32, name="x")
NUMBER = tf.TensorSpec([], tf.float32, name="x")
WORDS = tf.TensorSpec([None], tf.string, name="words")
FEATURES = tf.TensorSpec([None, 3], tf.float32, name="features")


class Doubler(tf.Module):
    def __init__(self) -> None:
        self.factor = tf.Variable(2.0, name="factor")

    @tf.function(input_signature=[VECTORS])
    def double(self, x):
        return {"doubled": self.factor * x, "total": tf.reduce_sum(x)}


class Counter(tf.Module):
    def __init__(self) -> None:
        self.count = tf.Variable(0.0, name="count")
        self.seen = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, 0)

    @tf.function(input_signature=[])
    def count_up(self):
        return {"count": self.count.assign_add(1.0)}

    @tf.function(input_signature=[WORDS])
    def remember(self, words):
        self.seen.insert(words, tf.ones_like(words, tf.int64))
        return {"known": self.seen.size()}


class Vocabulary(tf.Module):
    def __init__(self) -> None:
        pairs = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([0, 1], tf.int64))
        self.table = tf.lookup.StaticHashTable(pairs, -1)

    @tf.function(input_signature=[WORDS])
    def find(self, words):
        return {"ids": self.table.lookup(words), "upper": tf.strings.upper(words)}


class Ledger(Vocabulary):
    """The same, beside a signature that changes state."""

    def __init__(self) -> None:
        super().__init__()
        self.count = tf.Variable(0.0, name="count")

    @tf.function(input_signature=[])
    def count_up(self):
        return {"count": self.count.assign_add(1.0)}


class Nameless(tf.Module):
    """A table without a name, which each run of a session makes anew."""

    def __init__(self) -> None:
        self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1, experimental_is_anonymous=True)
        self.table.insert(tf.constant(["kauri", "rimu"]), tf.constant([5, 6], tf.int64))

    @tf.function(input_signature=[WORDS])
    def find(self, words):
        return {"ids": tf.ensure_shape(self.table.lookup(words), [None])}


class Endless(tf.Module):
    @tf.function(input_signature=[NUMBER])
    def spin(self, x):
        return {"y": tf.while_loop(lambda at: at < x, lambda at: [at * 1.0], [tf.constant(0.0)])[0]}


class Picky(tf.Module):
    @tf.function(input_signature=[NUMBER])
    def refuse(self, x):
        with tf.control_dependencies([tf.debugging.assert_greater(x, 100.0, message="x is too small")]):
            return {"y": tf.identity(x)}


class Aborter(tf.Module):
    @tf.function(input_signature=[NUMBER])
    def abort(self, x):
        with tf.control_dependencies([tf.raw_ops.Abort(error_msg="on purpose", exit_without_error=False)]):
            return {"y": tf.identity(x)}


class Dice(tf.Module):
    @tf.function(input_signature=[NUMBER])
    def roll(self, x):
        return {"y": x + tf.random.uniform([])}


class Trunk(tf.train.Checkpoint):
    def __init__(self) -> None:
        super().__init__()
        self.weight = tf.Variable([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], name="weight")
        self.unused = tf.Variable(1.0, name="unused")
        self.variables = [self.weight, self.unused]
        self.trainable_variables = [self.weight, self.unused]
        self.regularization_losses = []

    @tf.function
    def __call__(self, inputs, training=False):
        features = inputs @ self.weight
        return tf.nn.dropout(features, 0.5) if training else features


class Centred(tf.Module):
    """Rows that depend on each other, which its shapes do not tell."""

    @tf.function(input_signature=[VECTORS])
    def centre(self, x):
        return {"y": x - tf.reduce_mean(x, axis=0)}


class Head(tf.Module):
    def __init__(self) -> None:
        self.scale = tf.Variable(10.0, name="scale")

    @tf.function(input_signature=[FEATURES])
    def score(self, features):
        return {"scores": self.scale * tf.reduce_sum(features, axis=1)}


class HiddenKeras(tf.Module):
    """Keras variables that TensorFlow's session loader does not find."""

    def __init__(self) -> None:
        self.layer = keras.layers.Dense(3)
        self.layer.build((None, 2))

    @tf.function(input_signature=[VECTORS])
    def call(self, x):
        return {"y": self.layer(x)}


class HiddenWords(tf.Module):
    """The same, with a table, and read for some words only."""

    def __init__(self) -> None:
        pairs = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([0, 1], tf.int64))
        self.table = tf.lookup.StaticHashTable(pairs, -1)
        self.layer = keras.layers.Dense(1)
        self.layer.build((None, 1))

    @tf.function(input_signature=[WORDS])
    def call(self, words):
        ids = self.table.lookup(words)
        seen = tf.reduce_max(tf.concat([ids, [-1]], axis=0)) >= 0
        return {
            "y": tf.cond(
                seen,
                lambda: tf.squeeze(self.layer(tf.cast(ids[:, tf.newaxis], tf.float32)), 1),
                lambda: tf.cast(ids, tf.float32),
            )
        }


def save(root: tf.Module, folder: Path, signatures: dict, stateful: tuple[str, ...] = ()) -> None:
    """Save a model, and beside it a JSON file with its signatures as the hub describes them."""
    tf.saved_model.save(root, str(folder), signatures=signatures)
    described = []
    for name, function in tf.saved_model.load(str(folder)).signatures.items():
        sides = {"inputs": function.structured_input_signature[1], "outputs": function.structured_outputs}
        specs = {
            side: {
                key: {"name": key, "dtype": spec.dtype.name, "shape": spec.shape.as_list()}
                for key, spec in sorted(tensors.items())
            }
            for side, tensors in sides.items()
        }
        described.append({"name": name, **specs, "is_stateful": name in stateful})
    folder.with_suffix(".json").write_bytes(orjson.dumps(described))


def main(target: Path) -> None:
    """Write all models."""
    default = "serving_default"
    doubler, counter, vocabulary, head = Doubler(), Counter(), Vocabulary(), Head()
    save(doubler, target / "doubler", {default: doubler.double})
    stateful = {"count_up": counter.count_up, "remember": counter.remember}
    save(counter, target / "counter", stateful, tuple(stateful))
    save(vocabulary, target / "vocabulary", {default: vocabulary.find})
    ledger = Ledger()
    save(ledger, target / "ledger", {default: ledger.find, "count_up": ledger.count_up}, ("count_up",))
    save(head, target / "head", {default: head.score})
    for name, model, function in (
        ("endless", Endless(), "spin"),
        ("picky", Picky(), "refuse"),
        ("aborter", Aborter(), "abort"),
        ("dice", Dice(), "roll"),
        ("centred", Centred(), "centre"),
        ("hidden_keras", HiddenKeras(), "call"),
        ("hidden_words", HiddenWords(), "call"),
        ("nameless", Nameless(), "find"),
    ):
        save(model, target / name, {default: getattr(model, function)})
    trunk = Trunk()
    traced = trunk.__call__.get_concrete_function(tf.TensorSpec([None, 2], tf.float32, name="inputs"), training=False)
    trunk.__call__.get_concrete_function(tf.TensorSpec([None, 2], tf.float32, name="inputs"), training=True)
    save(trunk, target / "trunk", {default: traced})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
