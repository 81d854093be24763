"""A hub that is told to stop while it predicts: what is under way is answered, over HTTP and gRPC; nothing begins."""

import signal
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from os import kill
from pathlib import Path

import grpc
import httpx2
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format

from hub import Client
from hub.protocol.messages import INFERENCE
from tests.e2e.conftest import RunningHub, serving

pytestmark = pytest.mark.faults
INFER = "/inference.GRPCInferenceService/ModelInfer"
LONG_S = 8.0


def save_slow(folder: Path) -> Path:
    """A model that multiplies matrices as often as its input says, and gives that back."""

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    def work(x: tf.Tensor) -> dict[str, tf.Tensor]:
        times = tf.cast(tf.clip_by_value(tf.reduce_max(x), 1.0, 1e6), tf.int32)
        begun = tf.eye(400) * (1.0 + 0.0 * tf.reduce_max(x))
        _, done = tf.while_loop(lambda at, _: at < times, lambda at, m: (at + 1, tf.tanh(m @ m)), (0, begun))
        return {"y": x + 0.0 * done[0, 0]}

    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": work})
    return folder


def over_http(hub: RunningHub, times: float) -> float:
    asked = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [times]}]}
    headers = {"Authorization": f"Bearer {hub.token}"}
    answer = httpx2.post(f"{hub.url}/v2/models/acme/slow/infer", json=asked, headers=headers, timeout=60)
    return answer.raise_for_status().json()["outputs"][0]["data"][0]


def over_grpc(hub: RunningHub, times: float) -> float:
    packed = b64encode(np.float32(times).tobytes()).decode()  # our messages take packed numbers as bytes
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 1], "contents": {"fp32Contents": [packed]}}
    request = json_format.ParseDict({"modelName": "acme/slow", "inputs": [tensor]}, INFERENCE["ModelInferRequest"]())
    with grpc.insecure_channel(hub.grpc) as channel:
        metadata = (("authorization", f"Bearer {hub.token}"),)
        answer = channel.unary_unary(INFER)(request.SerializeToString(), metadata=metadata, timeout=60)
    (output,) = INFERENCE["ModelInferResponse"].FromString(answer).raw_output_contents
    return float(np.frombuffer(output, np.float32)[0])


def times_for(hub: RunningHub, seconds: float) -> float:
    """How often to multiply for a prediction to take about so long here."""
    over_http(hub, 1.0)
    began = time.perf_counter()
    over_http(hub, 200.0)
    return round(200 * seconds / (time.perf_counter() - began))


def test_predictions_under_way_are_answered_before_the_hub_ends(tmp_path: Path) -> None:
    with serving(tmp_path, environment={"HUB_DRAIN_S": "60"}) as hub, ThreadPoolExecutor(2) as pool:
        with Client(hub.url, hub.token) as client:
            client.push(save_slow(tmp_path / "model"), "acme/slow")
        times = times_for(hub, LONG_S)
        under_way = [pool.submit(ask, hub, times) for ask in (over_http, over_grpc)]
        time.sleep(LONG_S / 8)
        assert not [call.result() for call in under_way if call.done()]
        kill(hub.pid, signal.SIGTERM)
        assert [call.result() for call in under_way] == [times, times]
        with pytest.raises(httpx2.TransportError):
            over_http(hub, 1.0)
