"""BentoML: JSON with adaptive batches, where rows are alike; and the bytes in base64, which it cannot batch."""

import base64
from typing import Any

import bentoml
import numpy as np
from rows import IS_RAGGED, IS_TEXT, from_bytes, from_lists

_LONGEST_MS = 60_000  # past its longest latency it refuses requests
_batches = {} if IS_RAGGED else {"batchable": True, "max_batch_size": 32, "max_latency_ms": _LONGEST_MS}


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 256})
class Trunk:
    """Calls the model."""

    def __init__(self) -> None:
        import model

        self._model: Any = model

    if IS_TEXT:

        @bentoml.api(**_batches)
        def predict(self, x: list[list[str]]) -> np.ndarray:
            """A batch to its features."""
            return self._model.call(from_lists(x))

    else:

        @bentoml.api(**_batches)
        def predict(self, x: np.ndarray) -> np.ndarray:
            """A batch to its features."""
            return self._model.call(x.astype(np.float32, copy=False))

    @bentoml.api
    def predict_bytes(self, b64: str) -> np.ndarray:
        """One row to its features."""
        return self._model.call(from_bytes(base64.b64decode(b64)))
