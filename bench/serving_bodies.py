"""What the serving benchmark sends and what must come back, in every form that one of the servers takes.

Of a model ``NAME`` there is, in the benchmark's folder, ``NAME/1`` (a SavedModel: ``x`` to ``features``),
``NAME/spec.json`` (`Spec`), and in ``NAME/requests`` for each of `REQUESTS` numbers one row (``0.x.npy``), what every
server must answer (``0.features.npy``), and one body of each kind (``0.bin``, …). Rows differ, so that an answer that
went to the wrong caller is seen.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

OWNER = "bench"
REQUESTS, HEADS = 8, 16
BINARY, JSON, GRPC = "binary", "json", "grpc"
FORMS = (BINARY, JSON, GRPC)
_CLOSE = {"rtol": 1e-3, "atol": 1e-4}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of body.

    Attributes:
        name: Its name, and the ending of its files.
        form: One of `FORMS`; only kinds of one form are compared.
        ours: The kind that a hub is sent where others are sent this one.
        read: The features in an answer, of the body and the length of its header.
    """

    name: str
    form: str
    ours: str
    read: Callable[[bytes, int], Any]


def _first(found: Any) -> Any:
    while isinstance(found, dict):
        found = next(iter(found.values()))
    return found


def _oip_json(body: bytes, _: int) -> Any:
    return json.loads(body)["outputs"][0]["data"]


def _oip_rpc(body: bytes, _: int) -> Any:
    from tritonclient.grpc import service_pb2

    answer = service_pb2.ModelInferResponse.FromString(body)
    if answer.raw_output_contents:
        return np.frombuffer(answer.raw_output_contents[0], np.float32)
    return answer.outputs[0].contents.fp32_contents


def _tensorflow_rpc(body: bytes, _: int) -> Any:
    from hub.protocol.messages import TENSORFLOW

    answer: Any = TENSORFLOW["PredictResponse"].FromString(body)
    tensor = answer.outputs["features"]
    return np.frombuffer(b"".join(tensor.float_val) or tensor.tensor_content, np.float32)


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("bin", BINARY, "bin", lambda body, header: np.frombuffer(body[header:], np.float32)),
        Kind("raw", BINARY, "bin", lambda body, _: np.frombuffer(body, np.float32)),
        Kind("oip.json", JSON, "oip.json", _oip_json),
        Kind("lists.json", JSON, "oip.json", lambda body, _: _first(json.loads(body))),
        Kind("b64.json", JSON, "oip.json", lambda body, _: _first(json.loads(body))),
        Kind("tfs.json", JSON, "tfs.json", lambda body, _: _first(json.loads(body))),
        Kind("grpc", GRPC, "grpc", _oip_rpc),
        Kind("tfs.grpc", GRPC, "tfs.grpc", _tensorflow_rpc),
    )
}
METHODS = {
    "grpc": "/inference.GRPCInferenceService/ModelInfer",
    "tfs.grpc": "/tensorflow.serving.PredictionService/Predict",
}


def differs(kind: Kind, body: bytes, header: int, expected: np.ndarray) -> str:
    """What is wrong with an answer; nothing where it is right."""
    try:
        found = np.asarray(kind.read(body, header), np.float32).ravel()
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return f"answered what cannot be read ({error!r}): {body[:200]!r}"
    if found.shape != expected.ravel().shape:
        return f"answered {found.size} numbers, not {expected.size}"
    if not np.allclose(found, expected.ravel(), **_CLOSE):
        return f"answered wrong numbers, off by up to {np.abs(found - expected.ravel()).max():.2g}"
    return ""


def called(kind: str, model: str) -> bytes:
    """What goes before a gRPC body, which does not name the model: in protobuf what follows is merged with it."""
    name = model.encode()
    named = b"\x0a" + bytes([len(name)]) + name  # the first field of both messages: a name, or what has a name
    return named if kind == "grpc" else b"\x0a" + bytes([len(named)]) + named


@dataclass(frozen=True, slots=True)
class Spec:
    """What a model takes and gives, a row: ``FP32`` or ``BYTES``, dimensions (-1 where they differ), features."""

    datatype: str
    dims: tuple[int, ...]
    features: int

    @staticmethod
    def path(folder: Path, model: str) -> Path:
        """Its file."""
        return folder / model / "spec.json"

    @classmethod
    def read(cls, folder: Path, model: str) -> "Spec":
        """Of a model of the benchmark's folder."""
        return cls(**json.loads(cls.path(folder, model).read_bytes()))

    def write(self, folder: Path, model: str) -> None:
        """Keep it for other processes."""
        self.path(folder, model).write_bytes(_json(asdict(self)))


def write(folder: Path, number: int, x: np.ndarray, features: np.ndarray, predict_request: bytes) -> None:
    """Write one row in every kind.

    Args:
        folder: Where to.
        number: Which row it is.
        x: [1, …] float32, or [1, 1] bytes objects of text.
        features: [1, features] float32.
        predict_request: TensorFlow Serving's message.
    """
    is_text = x.dtype == object
    flat = [each.decode() for each in x.ravel()] if is_text else x.ravel().tolist()
    lists = [flat] if is_text else x.tolist()
    plain = x.item() if is_text else x.tobytes()
    raw = len(plain).to_bytes(4, "little") + plain if is_text else plain
    entry = {"name": "x", "shape": list(x.shape), "datatype": "BYTES" if is_text else "FP32"}
    header = _header(entry, raw, {"outputs": [{"name": "features", "parameters": {"binary_data": True}}]})
    bodies = {
        "bin": header + raw,
        "raw": plain,
        "oip.json": _json({"inputs": [entry | {"data": flat}]}),
        "lists.json": _json({"x": lists}),
        "b64.json": _json({"b64": base64.b64encode(plain).decode()}),
        "tfs.json": _json({"inputs": {"x": lists}}),
        "grpc": _model_infer(entry, raw),
        "tfs.grpc": predict_request,
    }
    for kind, body in bodies.items():
        (folder / f"{number}.{kind}").write_bytes(body)
    (folder / f"{number}.length").write_text(str(len(header)))
    np.save(folder / f"{number}.x.npy", x, allow_pickle=is_text)
    np.save(folder / f"{number}.features.npy", features)


def write_heads(folder: Path, x: np.ndarray, features: np.ndarray, heads: list[str]) -> None:
    """Write the one binary request that asks several heads of a trunk at once.

    Args:
        folder: Where to.
        x: [1, …] float32.
        features: [heads, 1, features] float32.
        heads: Their names.
    """
    entry = {"name": "x", "shape": list(x.shape), "datatype": "FP32"}
    header = _header(entry, x.tobytes(), {"parameters": {"heads": heads, "binary_data_output": True}})
    (folder / "0.bin").write_bytes(header + x.tobytes())
    (folder / "0.length").write_text(str(len(header)))
    np.save(folder / "0.features.npy", features)


def _header(entry: dict[str, Any], raw: bytes, rest: dict[str, Any]) -> bytes:
    return _json({"inputs": [entry | {"parameters": {"binary_data_size": len(raw)}}]} | rest)


def _json(what: object) -> bytes:
    return json.dumps(what).encode()


def _model_infer(entry: dict[str, Any], raw: bytes) -> bytes:
    from tritonclient.grpc import service_pb2

    request = service_pb2.ModelInferRequest(raw_input_contents=[raw])
    request.inputs.add(**entry)
    return request.SerializeToString()
