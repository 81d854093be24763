"""MLflow: a Python model saved, then served by ``mlflow models serve``; TensorFlow Serving's JSON, no batches."""

import os
import sys
from typing import Any

import mlflow
import numpy as np

_FOLDER = "saved"


class Trunk(mlflow.pyfunc.PythonModel):
    """Calls the model."""

    def load_context(self, _context: Any) -> None:
        """Load it in the process that calls it."""
        import model

        self._model: Any = model

    def predict(self, context: Any, model_input: dict[str, np.ndarray], params: Any = None) -> np.ndarray:  # noqa: ARG002 - so it is called
        """A request to its features."""
        return self._model.call(self._model.from_lists(model_input["x"]))


if __name__ == "__main__":
    mlflow.pyfunc.save_model(_FOLDER, python_model=Trunk(), pip_requirements=[])
    serve = [
        "models",
        "serve",
        "-m",
        _FOLDER,
        "-h",
        "127.0.0.1",
        "-p",
        os.environ["BENCH_PORT"],
        "--env-manager",
        "local",
    ]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", *serve])
