"""Predictions over real gRPC, asked by the clients that people have: TensorFlow Serving's and Triton's."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from hub.api.facades import oip_rpc, tfserving_rpc
from hub.api.facades.rpc import CODE_KEY, RpcPatience, rpc_server
from hub.domain.errors import Overloaded, WorkerLost
from hub.domain.versions import State
from hub.protocol.messages import TENSORFLOW
from hub.services.house import House
from tests.support.arrays_hub import X_TO_Y, Hub, half_plus_two, raising, running_hub, signature

pytestmark = pytest.mark.slow

KINDS = {
    "f32": "float32", "f64": "float64", "i8": "int8", "u8": "uint8", "i16": "int16", "u16": "uint16", "i32": "int32",
    "i64": "int64", "u32": "uint32", "u64": "uint64", "b": "bool", "f16": "float16", "s": "string",
}  # fmt: skip
# Fields of packed numbers, of enumerations and of whole examples are the same on the wire as these.
SAME_ON_THE_WIRE = {("float", "bytes"), ("double", "bytes"), ("enum", "int32"), ("message", "bytes")}
TYPES = {1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 8: "bool", 9: "string", 11: "message",
         12: "bytes", 13: "uint32", 14: "enum"}  # fmt: skip
CLIENT = Path(__file__).parents[1] / "support" / "tfserving_client.py"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        running.add("acme/half", [X_TO_Y], half_plus_two, alias="stable")
        running.add("acme/refused", [X_TO_Y], half_plus_two, state=State.REJECTED)
        running.add("acme/private", [X_TO_Y], half_plus_two, is_private=True)
        running.add("acme/busy", [X_TO_Y], raising(Overloaded("Too many wait.", remedy="Come back.")))
        running.add("acme/lost", [X_TO_Y], raising(WorkerLost("It died.")))
        every: dict[str, tuple[str, Any]] = {name: (kind, (None,)) for name, kind in KINDS.items()}
        running.add("acme/every", [signature(every, every, "serving_default")], lambda inputs: inputs)
        for name, (kind, shape) in every.items():
            one = {name: (kind, shape)}
            running.add(f"acme/{kind}", [signature(one, one, "serving_default")], lambda inputs: inputs)
        running.add("acme/examples", example_signatures(), of_examples)
        yield running


def example_signatures() -> list[Any]:
    taken: dict[str, tuple[str, Any]] = {"examples": ("string", (None,))}
    given: dict[str, tuple[str, Any]] = {"classes": ("string", (None, 2)), "scores": ("float32", (None, 2))}
    return [signature(taken, given, "classify"), signature(taken, {"outputs": ("float32", (None, 1))}, "regress")]


def of_examples(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scores that only the right bytes give: lengths of the serialized examples."""
    sizes = np.array([[len(each)] for each in inputs["examples"]], np.float32)
    return {"classes": np.full((len(sizes), 2), b"cat", object), "scores": np.hstack([sizes, -sizes]), "outputs": sizes}


@pytest.fixture(scope="module")
def address(hub: Hub) -> Iterator[str]:
    with serving(hub.house) as port:
        yield f"127.0.0.1:{port}"


class serving:  # noqa: N801 - used like a function
    """The gRPC server on an event loop of its own."""

    def __init__(self, house: House, patience: RpcPatience = RpcPatience()) -> None:  # noqa: B008 - it is frozen
        self.house, self.patience = house, patience
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)

    async def start(self) -> int:
        self.server = rpc_server(self.house, tfserving_rpc.methods() | oip_rpc.methods(), self.patience)
        port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()
        return port

    def __enter__(self) -> int:
        self.thread.start()
        return asyncio.run_coroutine_threadsafe(self.start(), self.loop).result(30)

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(None), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)
        self.loop.close()


@pytest.fixture(scope="module")
def said(address: str) -> dict[str, Any]:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, str(CLIENT), address], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return json.loads(done.stdout)


def test_messages_are_those_that_tensorflow_serving_publishes(said: dict[str, Any]) -> None:
    published = said["published"]
    assert set(TENSORFLOW) - set(published) == {"ExamplesRequest"}  # stands for two that are the same
    for name, kind in TENSORFLOW.items():
        for field in kind.DESCRIPTOR.fields:
            number, type_, is_repeated = published.get(name, published["ClassificationRequest"])[field.name]
            ours, theirs = TYPES[field.type], TYPES[type_]
            assert field.number == number, (name, field.name)
            assert ours == theirs or (theirs, ours) in SAME_ON_THE_WIRE, (name, field.name)
            assert field.is_repeated == is_repeated, (name, field.name)


def test_tensorflow_servings_client_names_versions_in_every_way(said: dict[str, Any]) -> None:
    outputs = {"y": [[2.5], [3.0]]}
    wanted = {"outputs": outputs, "dtypes": {"y": "float32"}, "version": 1, "signature": "serving_default"}
    assert said["half"] == [wanted] * 4


@pytest.mark.parametrize(("key", "count"), [("one", 1), ("three", 3)])
def test_every_type_comes_back_as_it_was_sent(said: dict[str, Any], key: str, count: int) -> None:
    """One element travels in the field of its type, three travel as bytes."""
    sent = {
        "f32": 1.5, "f64": 2.5, "i8": -3, "u8": 200, "i16": -300, "u16": 60000, "i32": -7, "i64": 1 << 40,
        "u32": 1 << 31, "u64": 1 << 63, "b": True, "f16": 0.5, "s": "text",
    }  # fmt: skip
    assert said[key]["outputs"] == {name: [value] * count for name, value in sent.items()}
    assert said[key]["dtypes"] == {name: kind.replace("string", "object") for name, kind in KINDS.items()}


def test_tensorflow_servings_client_is_told_what_is_wrong(said: dict[str, Any]) -> None:
    assert [(each["code"], dict(each["trailing"])[CODE_KEY]) for each in said["wrong"]] == [
        ("NOT_FOUND", "model-not-found"),
        ("INVALID_ARGUMENT", "invalid-tensor"),
        ("INVALID_ARGUMENT", "invalid-tensor"),
        ("INVALID_ARGUMENT", "invalid-tensor"),
        ("UNAVAILABLE", "overloaded"),
    ]
    assert said["wrong"][1]["text"] == "Input 'x' is int32, the signature takes float32."
    assert said["wrong"][4]["text"] == "Too many wait. Come back."


def test_examples_reach_the_model_byte_for_byte(said: dict[str, Any]) -> None:
    size = 17  # of an example with one float named by one letter: 4 + 1 bytes, and six tags with lengths
    assert said["examples"] == {
        "classes": [[["cat", float(size)], ["cat", -float(size)]]] * 2,
        "values": [2.0 * size] * 2,  # the context's features and the example's
        "both": [[2, 2], [float(size)] * 2],
    }


def test_tensorflow_servings_client_reads_metadata_and_status(said: dict[str, Any]) -> None:
    assert said["metadata"] == {"dtype": 1, "shape": [-1, 1], "version": 1}
    assert said["status"] == [[1, 30]]


@pytest.fixture
def client(address: str) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(address) as made:
        yield made


def an_input(name: str = "x", datatype: str = "FP32", value: Any = ((1.0,), (2.0,))) -> triton.InferInput:
    array = np.array(value, dtype=triton.triton_to_np_dtype(datatype) if datatype != "FP32" else np.float32)
    made = triton.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array)
    return made


def test_tritons_client_infers(client: triton.InferenceServerClient) -> None:
    for version in ("", "1", "stable"):
        answer = client.infer("acme/half", [an_input()], model_version=version, request_id="r1")
        assert answer.as_numpy("y").tolist() == [[2.5], [3.0]]
        response = answer.get_response()
        assert (response.model_name, response.model_version, response.id) == ("acme/half", "1", "r1")
    asked = client.infer(
        "acme/half",
        [an_input()],
        outputs=[triton.InferRequestedOutput("y")],
        parameters={"signature": "serving_default"},
        compression_algorithm="gzip",
    )
    assert asked.as_numpy("y").tolist() == [[2.5], [3.0]]


def test_tritons_client_asks_how_things_are(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    ready = [client.is_model_ready(name) for name in ("acme/half", "acme/none", "acme/refused")]
    assert ready == [True, False, False]
    assert client.get_server_metadata().name == "trunkhub"
    model = client.get_model_metadata("acme/half")
    assert (model.name, list(model.versions), model.platform) == ("acme/half", ["1"], "tensorflow_savedmodel")
    assert [(each.name, each.datatype, list(each.shape)) for each in model.inputs] == [("x", "FP32", [-1, 1])]


@pytest.mark.parametrize("is_raw", [False, True])
@pytest.mark.parametrize(
    ("datatype", "name", "field", "elements"),
    [
        ("FP32", "f32", "fp32_contents", [1.5, -2.0]),
        ("FP64", "f64", "fp64_contents", [2.5, 3.0]),
        ("INT8", "i8", "int_contents", [-3, 4]),
        ("INT16", "i16", "int_contents", [-300, 4]),
        ("INT32", "i32", "int_contents", [-70_000, 4]),
        ("INT64", "i64", "int64_contents", [1 << 40, 4]),
        ("UINT8", "u8", "uint_contents", [200, 4]),
        ("UINT16", "u16", "uint_contents", [60_000, 4]),
        ("UINT32", "u32", "uint_contents", [1 << 31, 4]),
        ("UINT64", "u64", "uint64_contents", [1 << 63, 4]),
        ("BOOL", "b", "bool_contents", [True, False]),
        ("BYTES", "s", "bytes_contents", [b"a", b"bc"]),
    ],
)
def test_contents_by_type_and_raw_ones_are_the_same(
    address: str, datatype: str, name: str, field: str, elements: list[Any], is_raw: bool
) -> None:
    text = b"".join(len(each).to_bytes(4, "little") + each for each in (b"a", b"bc"))
    raw = text if name == "s" else np.array(elements, KINDS[name]).tobytes()
    request = triton.service_pb2.ModelInferRequest(model_name=f"acme/{KINDS[name]}")
    sent = request.inputs.add(name=name, datatype=datatype, shape=[2])
    if is_raw:
        request.raw_input_contents.append(raw)
    else:
        getattr(sent.contents, field).extend(elements)
    answer = asked(address, request)
    assert [(each.name, each.datatype, list(each.shape)) for each in answer.outputs] == [(name, datatype, [2])]
    assert list(answer.raw_output_contents) == [raw]


def asked(address: str, request: Any) -> Any:
    with grpc.insecure_channel(address) as channel:
        return triton.service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=20)


@pytest.mark.parametrize(
    ("sent", "raw", "text"),
    [
        ({"datatype": "FP16", "shape": [2]}, [], "'f16' is 'FP16', which has no contents by type"),
        ({"datatype": "FP32", "shape": [2]}, [bytes(8)], "'f16' is float32, the signature takes float16"),
        ({"datatype": "FP16", "shape": [2]}, [bytes(5)], "takes 4 bytes, 5 were sent"),
        ({"datatype": "FP16", "shape": [-1]}, [bytes(4)], "a shape that is not a list of sizes"),
        ({"datatype": "FP16", "shape": [2]}, [bytes(4)] * 2, "There are 1 inputs and 2 raw_input_contents"),
        ({"datatype": "float16", "shape": [2]}, [bytes(4)], "has datatype 'float16', not one of"),
    ],
)
def test_wrong_tensors_are_refused_by_name(address: str, sent: dict[str, Any], raw: list[bytes], text: str) -> None:
    request = triton.service_pb2.ModelInferRequest(model_name="acme/float16", raw_input_contents=raw)
    request.inputs.add(name="f16", **sent)
    with pytest.raises(grpc.RpcError) as caught:
        asked(address, request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert text in caught.value.details()


@pytest.mark.parametrize(
    ("model", "arguments", "code", "text"),
    [
        ("acme/none", {}, "NOT_FOUND", "There is no model acme/none"),
        ("acme/half", {"model_version": "9"}, "NOT_FOUND", "acme/half has no version 9"),
        ("acme/refused@1", {}, "FAILED_PRECONDITION", "acme/refused@1 was rejected"),
        ("acme/private", {}, "NOT_FOUND", "There is no model acme/private"),
        ("no name", {}, "INVALID_ARGUMENT", "'no name' is not a model name"),
        ("acme/busy", {}, "UNAVAILABLE", "Too many wait. Come back."),
        ("acme/lost", {}, "UNAVAILABLE", "It died."),
        ("acme/half", {"inputs": []}, "INVALID_ARGUMENT", "The input 'x' is missing"),
        ("acme/half", {"inputs": [an_input("z")]}, "INVALID_ARGUMENT", "There is no input 'z'"),
        ("acme/half", {"headers": {"authorization": "Bearer nonsense"}}, "UNAUTHENTICATED", "token"),
        ("acme/half", {"parameters": {"signature": "other"}}, "NOT_FOUND", "There is no signature 'other'"),
    ],
)
def test_tritons_client_is_told_what_is_wrong(
    client: triton.InferenceServerClient, model: str, arguments: dict[str, Any], code: str, text: str
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, **({"inputs": [an_input()]} | arguments))
    assert caught.value.status() == f"StatusCode.{code}"
    assert text in caught.value.message()


def test_a_token_opens_what_is_private(hub: Hub, client: triton.InferenceServerClient) -> None:
    answer = client.infer("acme/private", [an_input()], headers={"authorization": f"Bearer {hub.secret}"})
    assert answer.as_numpy("y").tolist() == [[2.5], [3.0]]


def test_a_deadline_is_passed_on_and_never_extended(hub: Hub, client: triton.InferenceServerClient) -> None:
    client.infer("acme/half", [an_input()], client_timeout=7)
    client.infer("acme/half", [an_input()], client_timeout=700)
    client.infer("acme/half", [an_input()])
    short, long, none = hub.engine.deadlines_s[-3:]
    assert 5 < short < 7.5
    assert 29 < long <= 30
    assert 29 < none <= 30


def test_priority_and_timeout_are_tritons(hub: Hub, client: triton.InferenceServerClient) -> None:
    for priority in (0, 1, 2, 5):
        client.infer("acme/half", [an_input()], priority=priority, timeout=3_000_000)
    assert hub.engine.priorities[-4:] == [0, -1, 0, 3]
    assert hub.engine.deadlines_s[-1] == 3.0
    with pytest.raises(InferenceServerException, match="The parameter 'priority' is '101'"):
        client.infer("acme/half", [an_input()], priority=101)


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (b"\xff\xff\xff", "INVALID_ARGUMENT", "The bytes are no ModelInferRequest."),
        (b"", "INVALID_ARGUMENT", "'' is not a model name."),
        (bytes(2 << 20), "RESOURCE_EXHAUSTED", "larger than max"),
    ],
)
@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_bytes_of_anybody_are_refused(
    address: str, body: bytes, code: str, text: str, compression: grpc.Compression
) -> None:
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"{oip_rpc.SERVICE}/ModelInfer")
        with pytest.raises(grpc.RpcError) as caught:
            call(body, timeout=20, compression=compression)
    assert caught.value.code().name == code
    assert text in caught.value.details()


def test_what_was_not_foreseen_is_told_without_a_traceback(
    hub: Hub, client: triton.InferenceServerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(hub.engine, "infer", broken)
    with pytest.raises(InferenceServerException) as caught:
        client.infer("acme/half", [an_input()])
    assert caught.value.status() == "StatusCode.INTERNAL"
    assert caught.value.message() == "The hub could not do this. Its log says why."
