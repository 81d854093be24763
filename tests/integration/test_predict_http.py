"""Predictions over real HTTP: both protocols, the real catalog and application; the models are functions of arrays."""

import gzip
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from hub.domain.access import Scope
from hub.domain.errors import HubError, ModelFailed, Overloaded, WorkerLost
from hub.domain.lineage import Edge, EdgeKind
from hub.domain.versions import State, Version
from hub.protocol.schemas import CreateToken
from tests.support.arrays_hub import (
    REQUEST_MAX_BYTES,
    X_TO_Y,
    Hub,
    half_plus_two,
    raising,
    running_hub,
    signature,
)

pytestmark = pytest.mark.slow

HALF_PLUS_TWO = b'{"instances": [[1.0], [2.0]]}'


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def half(hub: Hub) -> Version:
    return hub.add("acme/half", [X_TO_Y], half_plus_two, alias="stable")


def problem(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    assert response.headers["content-type"] == "application/problem+json"
    assert body["detail"] in body["error"]
    return body


@pytest.mark.parametrize(
    "name",
    ["acme/half", "acme/half/versions/1", "acme/half/labels/stable", "acme/half@1", "acme/half:stable", "acme/half~1"],
)
def test_every_way_to_name_a_version_answers_by_tensorflow_serving(hub: Hub, half: Version, name: str) -> None:
    answer = hub.post(f"/v1/models/{name}:predict", HALF_PLUS_TWO)
    assert answer.json() == {"predictions": [[2.5], [3.0]]}
    assert answer.headers["content-type"] == "application/json"


def test_a_digest_names_a_version(hub: Hub, half: Version) -> None:
    answer = hub.post(f"/v1/models/acme/half@{half.digest}:predict", HALF_PLUS_TWO)
    assert answer.json() == {"predictions": [[2.5], [3.0]]}


@pytest.mark.parametrize(
    "name",
    [
        "acme/half",
        "acme%2Fhalf",
        "acme/half/versions/1",
        "acme%2Fhalf/versions/stable",
        "acme/half~1",
        "acme%2Fhalf%3Astable",
    ],
)
def test_every_way_to_name_a_version_answers_by_open_inference(hub: Hub, half: Version, name: str) -> None:
    x = {"name": "x", "datatype": "FP32", "shape": [2, 1], "data": [1, 2]}
    answer = hub.post(f"/v2/models/{name}/infer", json.dumps({"id": "7", "inputs": [x]}).encode())
    assert answer.json() == {
        "model_name": "acme/half",
        "model_version": "1",
        "id": "7",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [2, 1], "data": [2.5, 3.0]}],
    }


def test_open_inference_answers_binary_with_binary(hub: Hub, half: Version) -> None:
    x = {"name": "x", "datatype": "FP32", "shape": [2, 1], "parameters": {"binary_data_size": 8}}
    head = json.dumps({"inputs": [x], "parameters": {"binary_data_output": True}}).encode()
    body = head + np.array([1, 2], "<f4").tobytes()
    answer = hub.post("/v2/models/acme/half/infer", body, **{"Inference-Header-Content-Length": str(len(head))})
    assert answer.headers["content-type"] == "application/octet-stream"
    end = int(answer.headers["inference-header-content-length"])
    assert np.frombuffer(answer.content[end:], "<f4").tolist() == [2.5, 3.0]
    assert json.loads(answer.content[:end])["outputs"][0]["parameters"] == {"binary_data_size": 8}


def test_a_body_above_the_thread_limit_answers_the_same(hub: Hub, half: Version) -> None:
    rows = [[at / 7] for at in range(20_000)]
    answer = hub.post("/v1/models/acme/half:predict", json.dumps({"instances": rows}).encode())
    np.testing.assert_allclose(answer.json()["predictions"], np.array(rows) / 2 + 2, rtol=1e-6)


def test_a_compressed_body_is_read_and_a_bomb_is_not(hub: Hub, half: Version) -> None:
    url = "/v1/models/acme/half:predict"
    packed = gzip.compress(HALF_PLUS_TWO)
    assert hub.post(url, packed, **{"Content-Encoding": "gzip"}).json() == {"predictions": [[2.5], [3.0]]}
    bomb = gzip.compress(bytes(REQUEST_MAX_BYTES + 1))
    problem(hub.post(url, bomb, **{"Content-Encoding": "gzip"}), 413, "too-large")
    for broken in (packed[:-5], b"not gzip", packed + b"more"):
        problem(hub.post(url, broken, **{"Content-Encoding": "gzip"}), 422, "invalid-request")
    problem(hub.post(url, packed, **{"Content-Encoding": "br"}), 422, "invalid-request")


def test_a_body_that_is_too_long_is_refused_announced_or_not(hub: Hub, half: Version) -> None:
    url = f"{hub.url}/v1/models/acme/half:predict"
    announced = httpx2.post(url, content=bytes(REQUEST_MAX_BYTES + 1))
    streamed = httpx2.post(url, content=iter([bytes(REQUEST_MAX_BYTES), b"1"]))
    for answer in (announced, streamed):
        assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.mark.parametrize(
    ("path", "body", "code", "says"),
    [
        ("/v1/models/acme/half:predict", b"{", "invalid-request", "not JSON"),
        ("/v1/models/acme/half:predict", b'{"instances": [["1"]]}', "invalid-tensor", "'x' has a string"),
        ("/v1/models/acme/half:predict", b'{"inputs": {"z": 1}}', "invalid-tensor", "'z'"),
        ("/v1/models/acme/half:classify", b'{"examples": [{}]}', "invalid-request", "not serialized examples"),
        ("/v2/models/acme/half/infer", b"\xff", "invalid-request", "not JSON"),
        ("/v2/models/acme/half/infer", b"{}", "invalid-tensor", "'x' is missing"),
    ],
)
def test_a_wrong_input_is_named(hub: Hub, half: Version, path: str, body: bytes, code: str, says: str) -> None:
    assert says in problem(hub.post(path, body), 422, code)["detail"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/models/acme/nothing:predict", 404, "model-not-found"),
        ("/v1/models/acme/half/versions/9:predict", 404, "version-not-found"),
        ("/v1/models/acme/half/labels/nope:predict", 404, "version-not-found"),
        ("/v1/models/acme/half/versions/x:predict", 422, "invalid-name"),
        ("/v1/models/acme/half/labels/9:predict", 422, "invalid-name"),
        ("/v1/models/ACME/half:predict", 422, "invalid-name"),
        ("/v2/models/acme/half/versions/9/infer", 404, "version-not-found"),
        ("/v2/models/acme/half@1/versions/1/infer", 422, "invalid-name"),
        ("/v2/models/acme%2Fnothing/infer", 404, "model-not-found"),
    ],
)
def test_a_name_that_means_nothing_is_a_problem(hub: Hub, half: Version, path: str, status: int, code: str) -> None:
    problem(hub.post(path, HALF_PLUS_TWO), status, code)


def test_a_signature_that_is_not_there_lists_those_that_are(hub: Hub, half: Version) -> None:
    body = b'{"signature_name": "nope", "instances": [[1]]}'
    found = problem(hub.post("/v1/models/acme/half:predict", body), 404, "signature-not-found")
    assert found["facts"] == {"signatures": ["serving_default"]}


@pytest.mark.parametrize(
    ("error", "status", "code", "retry"),
    [
        (ModelFailed("The model failed."), 422, "model-failed", None),
        (Overloaded("Too many wait."), 429, "overloaded", "1"),
        (WorkerLost("The worker died."), 503, "worker-lost", "2"),
    ],
)
def test_what_the_engine_raises_reaches_the_caller(
    hub: Hub, error: HubError, status: int, code: str, retry: str | None
) -> None:
    hub.add(f"acme/{code}", [X_TO_Y], raising(error))
    answer = hub.post(f"/v1/models/acme/{code}:predict", HALF_PLUS_TWO)
    problem(answer, status, code)
    assert answer.headers.get("retry-after") == retry


def test_tritons_client_over_http(hub: Hub, half: Version) -> None:
    with triton.InferenceServerClient(hub.url.removeprefix("http://")) as client:
        assert client.is_server_ready()
        assert client.is_model_ready("acme/half", "stable")
        assert client.get_model_metadata("acme/half")["versions"] == ["1"]
        for is_binary in (True, False):
            x = triton.InferInput("x", [2, 1], "FP32")
            x.set_data_from_numpy(np.float32([[1.0], [2.0]]), binary_data=is_binary)
            wanted = [triton.InferRequestedOutput("y", binary_data=is_binary)]
            answer = client.infer("acme/half", [x], outputs=wanted, priority=1, timeout=2_000_000)
            assert answer.as_numpy("y").tolist() == [[2.5], [3.0]]
            assert (hub.engine.priorities[-1], hub.engine.deadlines_s[-1]) == (-1, 2.0)
        with pytest.raises(InferenceServerException, match="There is no model acme/none"):
            client.infer("acme/none", [x])


def test_a_deadline_can_be_shortened_never_extended(hub: Hub, half: Version) -> None:
    url = "/v1/models/acme/half:predict"
    for asked in ("1500", "1e9"):
        assert hub.post(url, HALF_PLUS_TWO, **{"Hub-Deadline-Ms": asked}).status_code == 200
    assert hub.engine.deadlines_s[-2:] == [1.5, 30.0]
    for wrong in ("0", "-1", "soon", "nan"):
        problem(hub.post(url, HALF_PLUS_TWO, **{"Hub-Deadline-Ms": wrong}), 422, "invalid-request")


def test_a_private_model_is_absent_for_those_without_a_token(hub: Hub) -> None:
    hub.add("acme/secret", [X_TO_Y], half_plus_two, is_private=True)
    for path in ("/v1/models/acme/{}:predict", "/v1/models/acme/{}/versions/9:predict", "/v2/models/acme/{}/infer"):
        hidden = problem(hub.post(path.format("secret"), HALF_PLUS_TWO), 404, "model-not-found")
        absent = problem(hub.post(path.format("absent"), HALF_PLUS_TWO), 404, "model-not-found")
        for each in (hidden, absent):
            del each["request_id"]
        assert json.dumps(hidden).replace("secret", "absent") == json.dumps(absent)
    assert hub.get("/v1/models/acme/secret").status_code == 404
    token = {"Authorization": f"Bearer {hub.secret}"}
    answer = hub.post("/v1/models/acme/secret:predict", HALF_PLUS_TWO, **token)
    assert answer.json() == {"predictions": [[2.5], [3.0]]}
    problem(hub.post("/v1/models/acme/secret:predict", HALF_PLUS_TWO), 404, "model-not-found")


def test_a_wrong_token_is_refused_and_a_reader_s_is_enough(hub: Hub, half: Version) -> None:
    url = "/v1/models/acme/half:predict"
    wrong = hub.post(url, HALF_PLUS_TWO, Authorization="Bearer nope")
    problem(wrong, 401, "unauthorized")
    assert wrong.headers["www-authenticate"] == "Bearer"
    admin = hub.house.access.authenticate(f"Bearer {hub.secret}")
    reader = hub.house.access.create(admin, CreateToken(name="r", scope=Scope.READ))
    assert hub.post(url, HALF_PLUS_TWO, Authorization=f"Bearer {reader.secret}").status_code == 200


def test_only_a_ready_version_answers_and_a_yanked_one_by_number(hub: Hub) -> None:
    for state in (State.VALIDATING, State.REJECTED, State.YANKED):
        hub.add("acme/states", [X_TO_Y], half_plus_two, state=state)
    problem(hub.post("/v1/models/acme/states:predict", HALF_PLUS_TWO), 404, "version-not-found")
    for number in (1, 2):
        path = f"/v1/models/acme/states/versions/{number}:predict"
        problem(hub.post(path, HALF_PLUS_TWO), 409, "version-not-ready")
    assert hub.post("/v1/models/acme/states/versions/3:predict", HALF_PLUS_TWO).status_code == 200
    listed = hub.get("/v1/models/acme/states").json()["model_version_status"]
    # The hub works on version 1 meanwhile: it may be rejected by now.
    assert [(each["version"], each["state"]) for each in listed][:2] == [("3", "END"), ("2", "END")]


def test_a_head_answers_on_its_trunk_s_input(hub: Hub) -> None:
    trunk = hub.add("acme/trunk", [X_TO_Y], half_plus_two)
    edge = Edge(kind=EdgeKind.HEAD_OF, model="acme/trunk", number=1, digest=trunk.digest)
    head = signature({"features": ("float32", (None, 1))}, {"label": ("string", (None,))}, "serving_default")
    labels = lambda inputs: {"label": np.array([b"big" if x > 1 else b"small" for x in inputs["x"][:, 0]], object)}  # noqa: E731
    version = hub.add("acme/head", [head], labels, edge=edge)
    answer = hub.post("/v1/models/acme/head:predict", HALF_PLUS_TWO)
    assert answer.json() == {"predictions": ["small", "big"]}
    described = hub.get(f"/v2/models/acme/head/versions/{version.number}").json()
    assert described["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 1]}]
    assert described["outputs"] == [{"name": "label", "datatype": "BYTES", "shape": [-1]}]


def test_examples_are_classified_and_regressed(hub: Hub) -> None:
    takes = {"inputs": ("string", (None,))}
    classify = signature(takes, {"scores": ("float32", (None, 2))}, "classify")
    hub.add(
        "acme/classes",
        [classify],
        lambda inputs: {"scores": np.tile(np.float32([0.25, 0.75]), (len(inputs["inputs"]), 1))},
    )
    body = b'{"examples": [{"x": 1.0}, {"x": 2.0}]}'
    answer = hub.post("/v1/models/acme/classes:classify", body)
    assert answer.json() == {"results": [[["", 0.25], ["", 0.75]]] * 2}
    regress = signature(takes, {"outputs": ("float32", (None, 1))}, "regress")
    hub.add(
        "acme/values",
        [regress],
        lambda inputs: {"outputs": np.array([[len(row)] for row in inputs["inputs"]], np.float32)},
    )
    assert hub.post("/v1/models/acme/values:regress", body).json() == {"results": [17.0, 17.0]}


def test_a_newer_version_answers_within_a_second_or_so(hub: Hub) -> None:
    hub.add("acme/moves", [X_TO_Y], half_plus_two)
    url = "/v1/models/acme/moves:predict"
    assert hub.post(url, HALF_PLUS_TWO).json() == {"predictions": [[2.5], [3.0]]}
    hub.add("acme/moves", [X_TO_Y], lambda inputs: {"y": inputs["x"]})
    for _ in range(300):
        answer = hub.post(url, HALF_PLUS_TWO).json()
        if answer == {"predictions": [[1.0], [2.0]]}:
            return
        threading.Event().wait(0.05)
    pytest.fail(f"still {answer}")


def test_metadata_and_status_describe_a_version(hub: Hub, half: Version) -> None:
    described = hub.get("/v1/models/acme/half/metadata").json()
    assert described["model_spec"] == {"name": "acme/half", "signature_name": "", "version": "1"}
    assert "serving_default" in described["metadata"]["signature_def"]["signature_def"]
    (status,) = hub.get("/v1/models/acme/half/versions/1").json()["model_version_status"]
    assert status == {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert hub.get("/v1/models/acme/half/labels/stable").json()["model_version_status"] == [status]


def test_open_inference_describes_the_hub_and_its_models(hub: Hub, half: Version) -> None:
    assert hub.get("/v2").json()["extensions"] == ["binary_tensor_data", "schedule_policy"]
    assert hub.get("/v2/health/live").json() == {"live": True}
    assert hub.get("/v2/health/ready").json() == {"ready": True}
    assert hub.get("/v2/models/acme%2Fhalf/ready").json() == {"name": "acme/half", "ready": True}
    described = hub.get("/v2/models/acme%2Fhalf").json()
    assert (described["name"], described["versions"]) == ("acme/half", ["1"])
    assert described["platform"] == "tensorflow_savedmodel"
    problem(hub.get("/v2/models/acme/nothing/ready"), 404, "model-not-found")


def test_a_wrong_method_or_path_is_a_problem(hub: Hub, half: Version) -> None:
    assert hub.get("/v2/models/acme/half/infer").json()["code"] == "method-not-allowed"
    assert hub.post("/v2/models/acme/half/explain", b"{}").json()["code"] == "not-found"


def test_predictions_are_counted_by_protocol_and_outcome(hub: Hub, half: Version) -> None:
    hub.post("/v1/models/acme/half:predict", HALF_PLUS_TWO)
    text = hub.get("/metrics").text
    assert 'hub_predictions_answered_total{outcome="answered",protocol="tfserving"}' in text


def test_heads_that_do_not_belong_together_are_not_asked_together(hub: Hub) -> None:
    sides = {"x": ("float32", (None, 1))}, {"y": ("float32", (None, 1))}
    trunk = hub.add("acme/two-ways", [signature(*sides, name) for name in ("left", "right")], half_plus_two)
    for name, fed_by in (("acme/left", "left"), ("acme/right", "right")):
        edge = Edge(kind=EdgeKind.HEAD_OF, model=trunk.model, number=1, digest=trunk.digest, signature=fed_by)
        hub.add(
            name,
            [signature({"y": ("float32", (None, 1))}, {"z": ("float32", (None, 1))}, "f")],
            half_plus_two,
            edge=edge,
        )
    hub.add("acme/alone", [X_TO_Y], half_plus_two)

    def ask(trunk: str, heads: Any) -> httpx2.Response:
        x = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1]}
        asked = json.dumps({"inputs": [x], "parameters": {"heads": heads}}).encode()
        return hub.post(f"/api/v1/models/{trunk}/heads:predict", asked)

    assert "another signature" in problem(ask("acme/two-ways", None), 422, "invalid-request")["detail"]
    assert "no head of" in problem(ask("acme/two-ways", ["acme/alone"]), 422, "invalid-request")["detail"]
    assert "0 heads" in problem(ask("acme/two-ways", []), 422, "invalid-request")["detail"]
    assert "No ready head" in problem(ask("acme/alone", None), 422, "invalid-request")["detail"]
    assert "list of references" in problem(ask("acme/two-ways", "acme/left"), 422, "invalid-request")["detail"]
    problem(ask("acme/two-ways", ["acme/absent"]), 404, "model-not-found")
