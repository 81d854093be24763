"""A model of Triton's Python backend; requests that Triton batched are one call."""

import os
import sys

sys.path[:0] = os.environ["PYTHONPATH"].split(":")  # the embedded interpreter does not look there

import numpy as np  # noqa: E402
import triton_python_backend_utils as backend  # noqa: E402
from model import call  # noqa: E402


class TritonPythonModel:
    """What Triton asks for by this name."""

    def execute(self, requests: list) -> list:
        """Answer a batch."""
        parts = [backend.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        outputs = call(parts[0] if len(parts) == 1 else np.concatenate(parts))
        ends = np.cumsum([len(part) for part in parts])[:-1]
        return [
            backend.InferenceResponse(output_tensors=[backend.Tensor("features", rows)])
            for rows in np.split(outputs, ends)
        ]
