"""The SavedModel that a peer serves, called as its users would: the default signature, one intra-op thread."""

import os

import numpy as np
import tensorflow as tf
from rows import stacked

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
_loaded = tf.saved_model.load(os.environ["BENCH_MODEL"])
_signature = _loaded.signatures["serving_default"]


def call(x: np.ndarray) -> np.ndarray:
    """[n, …] float32 or text to [n, features] float32."""
    return _signature(x=tf.constant(x))["features"].numpy()


def call_together(parts: list[np.ndarray]) -> list[np.ndarray]:
    """What each of several callers is answered, by one call."""
    if len(parts) == 1:
        return [call(parts[0])]
    return np.split(call(stacked(parts)), np.cumsum([len(part) for part in parts])[:-1])
