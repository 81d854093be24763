"""Ray Serve: raw bytes or JSON through its HTTP proxy, batches of what came within two milliseconds."""

import os
import shutil
import signal
import tempfile
from typing import Any

import numpy as np
import ray
from ray import serve
from rows import from_bytes, from_lists
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_OBJECTS_BYTES = 256 << 20
_RAW = "application/octet-stream"


@serve.deployment(num_replicas=1, max_ongoing_requests=256, ray_actor_options={"num_cpus": 1})
class Trunk:
    """Calls the model."""

    def __init__(self) -> None:
        import model

        self._model: Any = model

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.002)
    async def together(self, parts: list[np.ndarray]) -> list[np.ndarray]:
        """Several requests to their answers."""
        return self._model.call_together(parts)

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        if request.headers.get("content-type") == _RAW:
            features = await self.together(from_bytes(await request.body()))
            return Response(features.tobytes(), media_type=_RAW)
        features = await self.together(from_lists((await request.json())["x"]))
        return JSONResponse({"features": features.tolist()})


if __name__ == "__main__":
    folder = tempfile.mkdtemp(prefix="ray-")  # a short name: sockets lie in it
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        ray.init(include_dashboard=False, object_store_memory=_OBJECTS_BYTES, _temp_dir=folder, log_to_driver=False)
        serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["BENCH_PORT"])})
        serve.run(Trunk.bind(), route_prefix="/predict")
        signal.pause()
    except KeyboardInterrupt:
        ray.shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
