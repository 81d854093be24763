"""Placement on a second device, tried with a logical CPU in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
PLACED = """
import sys
from pathlib import Path
import numpy as np, orjson
from hub.domain.signatures import Signature
from hub.runtime.devices import Device
from hub.runtime.loader import load_with
from hub.runtime.orders import Order
from hub.runtime.placement import claim

folder, device = Path(sys.argv[1]), Device("cpu", 1)
claim(device)
described = orjson.loads(folder.with_suffix(".json").read_bytes())
order = Order("d", folder, "object_graph", 1, {entry["name"]: Signature.model_validate(entry) for entry in described})
servable = load_with("object_graph", order, device)
inputs = {"x": np.ones((1, 2), np.float32)}
print(servable.run("serving_default", inputs)["doubled"].device)
print(servable.root.signatures["serving_default"].variables[0].device)
session = load_with("session", order, device)
print(session.run("serving_default", inputs)["doubled"].tolist())
print({op.device for op in session._session.graph.get_operations() if op.type == "VarHandleOp"})
"""


def test_variables_and_calls_are_on_the_workers_device(tiny_models: Path) -> None:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-c", PLACED, str(tiny_models / "doubler")]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()
    device = "/job:localhost/replica:0/task:0/device:CPU:1"
    assert said == [device, device, "[[2.0, 2.0]]", "{'/device:CPU:1'}"]
