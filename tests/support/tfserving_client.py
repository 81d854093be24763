"""What TensorFlow Serving's own Python client says to a server: ``python tfserving_client.py ADDRESS`` prints JSON.

A program of its own, because it imports TensorFlow.
"""

import json
import sys
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.descriptor import Descriptor
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

MESSAGES = (
    predict_pb2.PredictRequest,
    predict_pb2.PredictResponse,
    classification_pb2.ClassificationRequest,
    classification_pb2.ClassificationResponse,
    regression_pb2.RegressionRequest,
    regression_pb2.RegressionResponse,
    inference_pb2.MultiInferenceRequest,
    inference_pb2.MultiInferenceResponse,
    get_model_metadata_pb2.GetModelMetadataRequest,
    get_model_metadata_pb2.GetModelMetadataResponse,
    get_model_metadata_pb2.SignatureDefMap,
    get_model_status_pb2.GetModelStatusRequest,
    get_model_status_pb2.GetModelStatusResponse,
)


def published() -> dict[str, dict[str, list[Any]]]:
    """Number, type and repetition of every field of every message that is reached from those above."""
    found: dict[str, dict[str, list[Any]]] = {}
    left: list[Descriptor] = [message.DESCRIPTOR for message in MESSAGES]
    while left:
        kind = left.pop()
        if kind.name in found:
            continue
        found[kind.name] = {field.name: [field.number, field.type, field.is_repeated] for field in kind.fields}
        left += [field.message_type for field in kind.fields if field.message_type]
    return found


def spec(name: str, **more: Any) -> model_pb2.ModelSpec:
    version = more.pop("version", None)
    made = model_pb2.ModelSpec(name=name, **more)
    if version is not None:
        made.version.value = version
    return made


class Client:
    def __init__(self, address: str) -> None:
        channel = grpc.insecure_channel(address)
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(channel)

    def predict(self, model: model_pb2.ModelSpec, outputs: tuple[str, ...] = (), **inputs: Any) -> Any:
        request = predict_pb2.PredictRequest(model_spec=model, output_filter=outputs)
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        try:
            answer = self.predictions.Predict(request, timeout=20)
        except grpc.RpcError as error:
            return {"code": error.code().name, "text": error.details(), "trailing": list(error.trailing_metadata())}
        read = {name: tf.make_ndarray(proto) for name, proto in answer.outputs.items()}
        return {
            "outputs": {
                name: array.astype("U" if array.dtype == object else array.dtype).tolist()
                for name, array in read.items()
            },
            "dtypes": {name: str(array.dtype) for name, array in read.items()},
            "version": answer.model_spec.version.value,
            "signature": answer.model_spec.signature_name,
        }

    def examples(self) -> dict[str, Any]:
        rows = [tf.train.Example(features=tf.train.Features(feature={"x": number(value)})) for value in (1.0, 3.0)]
        classify = classification_pb2.ClassificationRequest(model_spec=spec("acme/examples", signature_name="classify"))
        classify.input.example_list.examples.extend(rows)
        regress = regression_pb2.RegressionRequest(model_spec=spec("acme/examples", signature_name="regress"))
        regress.input.example_list_with_context.context.features.feature["w"].CopyFrom(number(2.0))
        regress.input.example_list_with_context.examples.extend(rows)
        several = inference_pb2.MultiInferenceRequest(input=classify.input)
        for name in ("classify", "regress"):
            several.tasks.add(
                method_name=f"tensorflow/serving/{name}", model_spec=spec("acme/examples", signature_name=name)
            )
        classified = self.predictions.Classify(classify, timeout=20)
        regressed = self.predictions.Regress(regress, timeout=20)
        both = self.predictions.MultiInference(several, timeout=20).results
        return {
            "classes": [[[c.label, c.score] for c in row.classes] for row in classified.result.classifications],
            "values": [row.value for row in regressed.result.regressions],
            "both": [
                [len(row.classes) for row in both[0].classification_result.classifications],
                [row.value for row in both[1].regression_result.regressions],
            ],
        }

    def metadata(self) -> dict[str, Any]:
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=spec("acme/half"), metadata_field=["signature_def"]
        )
        answer = self.predictions.GetModelMetadata(request, timeout=20)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        assert answer.metadata["signature_def"].Unpack(signatures)
        x = signatures.signature_def["serving_default"].inputs["x"]
        return {
            "dtype": x.dtype,
            "shape": [dim.size for dim in x.tensor_shape.dim],
            "version": answer.model_spec.version.value,
        }

    def status(self) -> list[list[Any]]:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec("acme/half"))
        return [
            [each.version, each.state] for each in self.models.GetModelStatus(request, timeout=20).model_version_status
        ]


def plain(array: np.ndarray) -> list[Any]:
    return (array.astype("U") if array.dtype == object else array).tolist()


def number(value: float) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))


def main() -> None:
    client = Client(sys.argv[1])
    x = np.array([[1.0], [2.0]], np.float32)
    every = {
        "f32": np.float32([1.5]), "f64": np.float64([2.5]), "f16": np.float16([0.5]), "b": np.array([True]),
        "i8": np.int8([-3]), "i16": np.int16([-300]), "i32": np.int32([-7]), "i64": np.int64([1 << 40]),
        "u8": np.uint8([200]), "u16": np.uint16([60000]), "u32": np.uint32([1 << 31]), "u64": np.uint64([1 << 63]),
        "s": np.array([b"text"]),
    }  # fmt: skip
    thrice = {name: np.repeat(array, 3) for name, array in every.items()}
    print(
        json.dumps(
            {
                "published": published(),
                "half": [
                    client.predict(spec("acme/half"), x=x),
                    client.predict(spec("acme/half", version=1), x=x),
                    client.predict(spec("acme/half", version_label="stable", signature_name="serving_default"), x=x),
                    client.predict(spec("acme/half~1"), ("y",), x=x),
                ],
                "one": client.predict(spec("acme/every"), **every),
                "three": client.predict(spec("acme/every"), **thrice),
                "wrong": [
                    client.predict(spec("acme/none"), x=x),
                    client.predict(spec("acme/half"), x=np.int32([[1]])),
                    client.predict(spec("acme/half"), ("z",), x=x),
                    client.predict(spec("acme/half"), y=x),
                    client.predict(spec("acme/busy"), x=x),
                ],
                "examples": client.examples(),
                "metadata": client.metadata(),
                "status": client.status(),
            }
        )
    )


if __name__ == "__main__":
    main()
