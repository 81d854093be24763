"""LitServe: JSON, batches of what came within two milliseconds."""

import os
from typing import Any

import litserve
import numpy as np
from rows import from_lists


class Trunk(litserve.LitAPI):
    """Calls the model."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - it is given
        """Load it in the process that calls it."""
        import model

        self._model: Any = model

    def decode_request(self, request: dict) -> np.ndarray:
        """Nested lists to an array."""
        return from_lists(request["x"])

    def batch(self, inputs: list) -> list:
        """Requests as they are: they may differ in length."""
        return inputs

    def predict(self, x: list | np.ndarray) -> list | np.ndarray:
        """A batch, or one request where nothing is batched, to its features."""
        return self._model.call_together(x) if isinstance(x, list) else self._model.call(x)

    def unbatch(self, output: list) -> list:
        """A batch to answers."""
        return output

    def encode_response(self, output: np.ndarray) -> dict:
        """An array to nested lists."""
        return {"features": output.tolist()}


if __name__ == "__main__":
    api = Trunk(max_batch_size=32, batch_timeout=0.002)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=60, fast_queue=True)
    port = int(os.environ["BENCH_PORT"])
    server.run(host="127.0.0.1", port=port, num_api_servers=1, generate_client_file=False, log_level="warning")
