"""MLServer: a runtime of its own, called by the Open Inference Protocol as JSON and over gRPC."""

from typing import Any

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from rows import IS_TEXT


class Trunk(MLModel):
    """Calls the model."""

    async def load(self) -> bool:
        """Load it in the process that calls it."""
        import model

        self._model: Any = model
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer a request, or several that MLServer made one."""
        given = payload.inputs[0]
        x = np.array(list(given.data), object).reshape(given.shape) if IS_TEXT else NumpyCodec.decode_input(given)
        features = NumpyCodec.encode_output("features", self._model.call(x))
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[features])
