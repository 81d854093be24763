"""KServe's model server: Open Inference Protocol, JSON and binary, over HTTP and gRPC."""

import os

import kserve
from model import call


class Trunk(kserve.Model):
    """Calls the model."""

    def __init__(self) -> None:
        super().__init__("trunk")
        self.ready = True

    def predict(self, payload: kserve.InferRequest, *_headers: object, **_more: object) -> kserve.InferResponse:
        """Answer one request."""
        outputs = call(payload.inputs[0].as_numpy())
        named = kserve.InferOutput("features", list(outputs.shape), "FP32", outputs)
        if payload.from_grpc:
            named.set_data_from_numpy(outputs)
        return kserve.InferResponse(
            payload.id or "0",
            "trunk",
            [named],
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )


if __name__ == "__main__":
    ports = {"http_port": int(os.environ["BENCH_PORT"]), "grpc_port": int(os.environ["BENCH_RPC_PORT"])}
    kserve.ModelServer(**ports, enable_grpc=True, workers=1, access_log_format=None).start([Trunk()])
