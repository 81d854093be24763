"""MLflow: a Python model saved, then served by ``mlflow models serve``; TensorFlow Serving's JSON, no batches."""

import os
import sys
from typing import Any

import mlflow
import numpy as np
from rows import from_lists

_FOLDER = "saved"


class Trunk(mlflow.pyfunc.PythonModel):
    """Calls the model."""

    def load_context(self, context: Any) -> None:  # noqa: ARG002 - it is given
        """Load it in the process that calls it."""
        import model

        self._model: Any = model

    def predict(self, context: Any, model_input: dict[str, np.ndarray]) -> np.ndarray:  # noqa: ARG002 - it is given
        """A request to its features."""
        return self._model.call(from_lists(model_input["x"]))


if __name__ == "__main__":
    mlflow.pyfunc.save_model(_FOLDER, python_model=Trunk(), pip_requirements=[])
    port = os.environ["BENCH_PORT"]
    serve = f"-m mlflow models serve -m {_FOLDER} -h 127.0.0.1 -p {port} --env-manager local"
    os.execv(sys.executable, [sys.executable, *serve.split()])
