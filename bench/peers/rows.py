"""What a peer's callers send, made arrays; without TensorFlow, for processes of a peer that do not call the model."""

import json
import os
from typing import Any

import numpy as np

_spec = json.loads(os.environ["BENCH_SPEC"])
IS_TEXT = _spec["datatype"] == "BYTES"
IS_RAGGED = -1 in _spec["dims"]
"""Whether rows differ in length; then they end in rows of zeros, and may be filled up with them."""


def from_lists(x: Any) -> np.ndarray:
    """Nested lists to an array."""
    return np.asarray(x, object if IS_TEXT else np.float32)


def from_bytes(x: bytes) -> np.ndarray:
    """One row as it lies, or the text itself, to an array."""
    return np.array([[x]], object) if IS_TEXT else np.frombuffer(x, np.float32).reshape(1, *_spec["dims"])


def stacked(parts: list[np.ndarray]) -> np.ndarray:
    """Several callers' rows as one batch."""
    if IS_RAGGED:
        longest = max(part.shape[1] for part in parts)
        parts = [np.pad(part, [(0, 0), (0, longest - part.shape[1]), (0, 0)]) for part in parts]
    return np.concatenate(parts)
