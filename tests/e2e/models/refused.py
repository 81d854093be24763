"""Models that a hub must not serve, or cannot."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import tensorflow as tf

v1 = tf.compat.v1
VECTOR = tf.TensorSpec([None], tf.float32, name="x")
PATH = tf.TensorSpec([], tf.string, name="path")


def python_in_a_branch(x):
    """Python code, in a branch that ordinary inputs never take."""
    risky = tf.reduce_sum(x) > 1e30
    return tf.cond(risky, lambda: tf.ensure_shape(tf.py_function(lambda a: a, [x], tf.float32), [None]), lambda: x)


def dataset(x):
    return tf.data.Dataset.from_tensor_slices(x).reduce(0.0, lambda total, each: total + each)


def printed_to_a_file(x):
    tf.print(x, output_stream="file:///tmp/trunkhub-printed")
    return x + 1


def checkpoint(path):
    return tf.raw_ops.RestoreV2(prefix=path, tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32])[0]


def queue(x):
    held = tf.raw_ops.FIFOQueueV2(component_types=[tf.float32], shapes=[[]], capacity=2)
    return tf.raw_ops.QueueDequeueV2(handle=held, component_types=[tf.float32])[0] + x


def save_function(function: Callable, spec: tf.TensorSpec, name: str, out: Path) -> None:
    module = tf.Module()
    module.call = tf.function(lambda given: {"y": function(given)}, input_signature=[spec])
    tf.saved_model.save(module, str(out / name), signatures=module.call)


def save_graph(make: Callable[[], tuple], name: str, out: Path) -> None:
    builder = v1.saved_model.Builder(str(out / name))
    with tf.Graph().as_default(), v1.Session() as session:
        inputs, outputs = make()
        infos = [{key: v1.saved_model.build_tensor_info(t) for key, t in side.items()} for side in (inputs, outputs)]
        signature = v1.saved_model.build_signature_def(*infos)
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
    builder.save()


def unfed() -> tuple:
    """A placeholder that no signature mentions: nobody can ever call it."""
    x, keep = v1.placeholder(tf.float32, [None], "x"), v1.placeholder(tf.float32, [], "keep_prob")
    return {"x": x}, {"y": x * keep}


def sparse() -> tuple:
    given = v1.sparse_placeholder(tf.float32, [None, 3], "given")
    return {"given": given}, {"dense": tf.sparse.to_dense(given)}


FUNCTIONS = {
    "python-in-a-branch": (python_in_a_branch, VECTOR),
    "reads-files": (tf.io.read_file, PATH),
    "dataset": (dataset, VECTOR),
    "prints-to-a-file": (printed_to_a_file, VECTOR),
    "restores": (checkpoint, PATH),
    "waits": (queue, VECTOR),
}
MODELS = {name: partial(save_function, *held, name) for name, held in FUNCTIONS.items()} | {
    "v1-unfed": partial(save_graph, unfed, "v1-unfed"),
    "v1-sparse": partial(save_graph, sparse, "v1-sparse"),
}
