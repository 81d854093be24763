"""The SavedModel that a peer serves, called as its users would: the default signature, one intra-op thread."""

import json
import os
from typing import Any

import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
_loaded = tf.saved_model.load(os.environ["BENCH_MODEL"])
_signature = _loaded.signatures["serving_default"]
_spec = json.loads(os.environ["BENCH_SPEC"])

IS_TEXT = _spec["datatype"] == "BYTES"
IS_RAGGED = -1 in _spec["dims"]
"""Whether rows differ in length; then they end in rows of zeros, and may be filled up with them."""


def call(x: np.ndarray) -> np.ndarray:
    """[n, …] float32 or text to [n, features] float32."""
    return _signature(x=tf.constant(x))["features"].numpy()


def call_together(parts: list[np.ndarray]) -> list[np.ndarray]:
    """What each of several callers is answered, by one call."""
    if len(parts) == 1:
        return [call(parts[0])]
    if IS_RAGGED:
        longest = max(part.shape[1] for part in parts)
        parts = [np.pad(part, [(0, 0), (0, longest - part.shape[1]), (0, 0)]) for part in parts]
    return np.split(call(np.concatenate(parts)), np.cumsum([len(part) for part in parts])[:-1])


def from_lists(x: Any) -> np.ndarray:
    """Nested lists to an array."""
    return np.asarray(x, object if IS_TEXT else np.float32)


def from_bytes(x: bytes) -> np.ndarray:
    """One row as it lies, or the text itself, to an array."""
    return np.array([[x]], object) if IS_TEXT else np.frombuffer(x, np.float32).reshape(1, *_spec["dims"])
