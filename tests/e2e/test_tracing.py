"""Traces of predictions, from the request to the batch, as a collector gets them from ``hub serve``."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import tritonclient.grpc as triton
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from hub import Client
from tests.e2e.conftest import serving

pytestmark = pytest.mark.slow
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
WITHIN_S = 20


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """A server that takes spans as OpenTelemetry's collector does; its address, and what came."""
    spans: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", spans
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def of_trace(spans: list[Any], enough: int) -> list[Any]:
    until = time.monotonic() + WITHIN_S
    while True:
        found = [span for span in spans if span.trace_id.hex() == TRACE]
        if len(found) >= enough:
            return found
        assert time.monotonic() < until, [span.name for span in spans]
        time.sleep(0.1)


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


def test_a_predictions_time_is_told_from_the_request_to_its_batch(
    tmp_path: Path, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as (endpoint, spans):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        with serving(tmp_path) as hub:
            with Client(hub.url, hub.token) as client:
                client.push(tiny_models / "doubler", "acme/doubler")
            body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
            path = f"{hub.url}/v2/models/acme/doubler/infer"
            httpx2.post(path, json=body, headers={"traceparent": TRACEPARENT}).raise_for_status()
            by_http = of_trace(spans, 3)
            spans.clear()
            x = triton.InferInput("x", [1, 2], "FP32")
            x.set_data_from_numpy(np.ones((1, 2), np.float32))
            with triton.InferenceServerClient(hub.grpc) as other:
                other.infer("acme/doubler", [x], headers={"traceparent": TRACEPARENT})
            by_grpc = of_trace(spans, 3)
    for found, name, server in (
        (by_http, "/v2/models/{owner}/{name}/infer", {"http.request.method": "POST", "http.response.status_code": 200}),
        (by_grpc, "/inference.GRPCInferenceService/ModelInfer", {"rpc.system": "grpc"}),
    ):
        by_name = {span.name: span for span in found}
        assert by_name.keys() == {name, "queue", "compute"}
        request, queue, compute = by_name[name], by_name["queue"], by_name["compute"]
        assert request.parent_span_id.hex() == PARENT
        assert {queue.parent_span_id, compute.parent_span_id} == {request.span_id}
        assert server.items() <= attributes(request).items()
        assert attributes(request)["hub.model"] == "acme/doubler@1"
        assert attributes(compute)["hub.batch.rows"] == 1
        times = [request.start_time_unix_nano, queue.start_time_unix_nano, compute.start_time_unix_nano]
        assert times == sorted(times)
        assert queue.end_time_unix_nano == compute.start_time_unix_nano
        assert compute.end_time_unix_nano <= request.end_time_unix_nano
