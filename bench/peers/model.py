"""The SavedModel that a peer serves, called as its users would: the default signature, one intra-op thread."""

import os

import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
_loaded = tf.saved_model.load(os.environ["BENCH_MODEL"])
_signature = _loaded.signatures["serving_default"]


def call(x: np.ndarray) -> np.ndarray:
    """[n, …] float32 to [n, features] float32."""
    return _signature(x=tf.constant(x))["features"].numpy()
