"""A model of Triton's Python backend; requests that Triton batched are one call."""

import os
import sys

sys.path[:0] = os.environ["PYTHONPATH"].split(":")  # the embedded interpreter does not look there

import triton_python_backend_utils as backend  # noqa: E402
from model import call_together  # noqa: E402


class TritonPythonModel:
    """What Triton asks for by this name."""

    def execute(self, requests: list) -> list:
        """Answer a batch."""
        parts = [backend.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        return [
            backend.InferenceResponse(output_tensors=[backend.Tensor("features", rows)])
            for rows in call_together(parts)
        ]
