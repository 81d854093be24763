"""Models in TensorFlow 1's format: sessions, tags, reference variables, initializers, control flow of its time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
NUMBERS = np.linspace(0.1, 0.6, 6, dtype=np.float32).reshape(2, 3)
WEIGHTS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
Tensors = dict[str, tf.Tensor]
TAGS: dict[str, list[str]] = {
    "v1-reference-variables": ["serve", "gpu"],
    "v1-hub-module": [],
    "v1-tables": ["serve"],
    "v1-frozen": ["serve"],
    "v1-old-loop": ["serve"],
}


def save(
    folder: Path,
    tags: list[str],
    make: Callable[[], tuple[Tensors, Tensors]],
    *,
    first: list[str] | None = None,
    has_tables: bool = False,
) -> None:
    """Build a graph and save it under ``tags``; before it, under the tags ``first``, with what nobody shall see."""
    builder = v1.saved_model.Builder(str(folder))
    with tf.Graph().as_default(), v1.Session() as session:
        inputs, outputs = make()
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        signature = {"serving_default": v1.saved_model.predict_signature_def(inputs, outputs)}
        if first is not None:
            other = {"serving_default": v1.saved_model.predict_signature_def(inputs, {"loss": tf.constant(0.0)})}
            builder.add_meta_graph_and_variables(session, first, other)
            builder.add_meta_graph(tags, signature)
        else:
            assets = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)
            fill = v1.tables_initializer() if has_tables else None
            builder.add_meta_graph_and_variables(
                session, tags, signature, assets_collection=assets, legacy_init_op=fill
            )
    builder.save()


def reference_variables(folder: Path) -> dict:
    """Reference and partitioned variables with optimizer slots; the graph to serve comes after the one to train."""

    def make() -> tuple[Tensors, Tensors]:
        x = v1.placeholder(tf.float32, [None, 3], "x")
        weights = v1.get_variable("w", initializer=WEIGHTS)
        split = v1.get_variable(
            "split", [4, 2], initializer=v1.ones_initializer(), partitioner=v1.fixed_size_partitioner(2)
        )
        y = x @ weights @ tf.convert_to_tensor(split)
        v1.train.AdamOptimizer().minimize(tf.reduce_sum(y))
        return {"x:0": x}, {"y": y, "x_again": x}

    v1.disable_resource_variables()
    try:
        save(folder, TAGS["v1-reference-variables"], make, first=["train"])
    finally:
        v1.enable_resource_variables()
    return {"serving_default": {"x:0": NUMBERS}}


def hub_module(folder: Path) -> dict:
    """Without tags, as modules of TensorFlow Hub were saved."""

    def make() -> tuple[Tensors, Tensors]:
        x = v1.placeholder(tf.float32, None, "x")
        return {"x": x}, {"y": x * v1.get_variable("scale", initializer=3.0)}

    save(folder, TAGS["v1-hub-module"], make)
    return {"serving_default": {"x": NUMBERS}}


def tables(folder: Path) -> dict:
    """A vocabulary among the assets, filled by ``legacy_init_op``; one output is a single string."""
    vocabulary = folder.with_name("v1-vocabulary.txt")
    vocabulary.write_text("a\nb\nc\n")

    def make() -> tuple[Tensors, Tensors]:
        words = v1.placeholder(tf.string, [None], "words")
        path = tf.constant(str(vocabulary))
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, path)
        line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
        table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(path, tf.string, line, tf.int64, number), -1)
        return {"words": words}, {"ids": table.lookup(words), "joined": tf.strings.reduce_join(words)}

    save(folder, TAGS["v1-tables"], make, has_tables=True)
    return {"serving_default": {"words": np.array([b"b", b"z"], dtype=object)}}


def frozen(folder: Path) -> dict:
    """Everything constant: there is nothing to restore."""

    def make() -> tuple[Tensors, Tensors]:
        images = v1.placeholder(tf.float32, [None, 3], "images")
        is_training = v1.placeholder_with_default(False, [], "is_training")
        scores = tf.nn.softmax(images @ tf.constant(WEIGHTS))
        return {"images": images}, {"scores": tf.cond(is_training, lambda: scores * 0, lambda: scores)}

    save(folder, TAGS["v1-frozen"], make)
    return {"serving_default": {"images": NUMBERS}}


def old_loop(folder: Path) -> dict:
    """A loop made of Enter, Merge, Switch and NextIteration."""

    def make() -> tuple[Tensors, Tensors]:
        x = v1.placeholder(tf.float32, [None, None, 2], "x")
        rows = tf.zeros([tf.shape(x)[0], 2])
        _, total = tf.while_loop(
            lambda step, _: step < tf.shape(x)[1], lambda step, total: (step + 1, total + x[:, step]), (0, rows)
        )
        return {"x": x}, {"total": total}

    v1.disable_control_flow_v2()
    try:
        save(folder, TAGS["v1-old-loop"], make)
    finally:
        v1.enable_control_flow_v2()
    return {"serving_default": {"x": np.ones((2, 3, 2), np.float32)}}


MODELS = {
    "v1-reference-variables": reference_variables,
    "v1-hub-module": hub_module,
    "v1-tables": tables,
    "v1-frozen": frozen,
    "v1-old-loop": old_loop,
}
