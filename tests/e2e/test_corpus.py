"""Real SavedModels from public repositories go through a running hub by command line.

Those that can be served answer as TensorFlow did, through both protocols; the others are refused for the right reason.
The corpus is not part of this repository: it is found at ``HUB_TEST_CORPUS`` or beside it, and is skipped where absent.
"""

import base64
import json
import os
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hub.domain.tensors import BY_NAME
from hub.protocol.frames import Tensor, from_numpy, to_numpy

CORPUS = Path(os.environ.get("HUB_TEST_CORPUS") or Path(__file__).parents[2].parent / "shared/savedmodels")
EXPECTED: dict[str, Any] = (
    json.loads((CORPUS / "expected.json").read_text()) if (CORPUS / "expected.json").is_file() else {}
)
PUSHES_AT_ONCE = 3
REJECTED = {
    "bleurt__test_checkpoint_NOVARS": "variables.data-00000-of-00001",
    "tfserving__tf_text_regression_88d20a5f": "CaseFoldUTF8",
    "tfx__chicago_trained_saved_model": "BoostedTreesBucketize",
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not EXPECTED, reason="there is no corpus of SavedModels here"),
]


def servable_models() -> list[str]:
    """The models that are there and have at least one expected answer."""
    models = EXPECTED.get("models", {})
    answered = [name for name, signatures in models.items() if any("outputs" in each for each in signatures.values())]
    return [name for name in answered if name not in REJECTED and (CORPUS / name / "saved_model.pb").is_file()]


def name_of(model: str) -> str:
    return "corpus/" + model.replace("/", "-").lower()


def directory_of(model: str) -> Path:
    return CORPUS / model


def filled(name: str, wanted: dict[str, Any], known: dict[str, Any]) -> Tensor:
    """An input as the corpus' rule generates it: by position, so that everybody makes the same."""
    if "values" in wanted:
        dtype = wanted.get("dtype") or "float32"
        return from_numpy(
            name,
            np.array(wanted["values"], dtype=BY_NAME[dtype].numpy).reshape(
                wanted.get("shape", np.shape(wanted["values"]))
            ),
        )
    dtype, shape = wanted["dtype"], tuple(wanted["shape"])
    index = np.arange(int(np.prod(shape, dtype=int)))
    if dtype == "string":
        is_example = wanted["fill"] == "tf.Example"
        element = base64.b64decode(known["_tf_example_b64"]) if is_example else b"hello world"
        array = np.empty(shape, dtype=object)
        array[...] = element
        return from_numpy(name, array)
    numpy_type = np.dtype(BY_NAME[dtype].numpy)
    values = {"f": (index * 37 % 101) / 101, "b": np.zeros(len(index), bool)}.get(numpy_type.kind, index % 3)
    return from_numpy(name, values.astype(numpy_type).reshape(shape))


def post(url: str, body: bytes, headers: dict[str, str]) -> tuple[bytes, Any]:
    request = urllib.request.Request(url, data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.read(), answer.headers


def json_value(tensor: Tensor) -> Any:
    array = to_numpy(tensor)
    if tensor.dtype != "string":
        return array.tolist()
    encoded = [{"b64": base64.b64encode(item).decode()} for item in array.ravel()]
    return encoded if array.ndim else encoded[0]


def by_tfserving(hub: Any, model: str, signature: str, inputs: list[Tensor], outputs: dict[str, Any]) -> dict[str, Any]:
    columns = {tensor.name: json_value(tensor) for tensor in inputs}
    body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
    answered, _ = post(f"{hub.url}/v1/models/{name_of(model)}:predict", body, bearer(hub))
    found = json.loads(answered)["outputs"]
    return found if len(outputs) > 1 else {next(iter(outputs)): found}


def by_oip(hub: Any, model: str, signature: str, inputs: list[Tensor]) -> dict[str, np.ndarray]:
    entries = [
        {
            "name": tensor.name,
            "datatype": BY_NAME[tensor.dtype].oip,
            "shape": list(tensor.shape),
            "parameters": {"binary_data_size": len(tensor.data)},
        }
        for tensor in inputs
    ]
    parameters = {"signature": signature, "binary_data_output": True}
    head = json.dumps({"inputs": entries, "parameters": parameters}).encode()
    headers = bearer(hub) | {"Inference-Header-Content-Length": str(len(head))}
    url = f"{hub.url}/v2/models/{name_of(model).replace('/', '%2F')}/infer"
    answered, said = post(url, head + b"".join(bytes(tensor.data) for tensor in inputs), headers)
    end = int(said["Inference-Header-Content-Length"])
    found = {}
    for output in json.loads(answered[:end])["outputs"]:
        size = output["parameters"]["binary_data_size"]
        dtype = next(dtype.name for dtype in BY_NAME.values() if dtype.oip == output["datatype"])
        tensor = Tensor(output["name"], dtype, tuple(output["shape"]), answered[end : end + size])
        found[output["name"]] = to_numpy(tensor)
        end += size
    assert end == len(answered)
    return found


def bearer(hub: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {hub.token}"}


def compare(expected: dict[str, Any], got: dict[str, Any]) -> None:
    assert got.keys() == expected.keys()
    for name, wanted in expected.items():
        array = np.asarray(got[name])
        assert list(array.shape) == wanted["shape"], name
        # other kernels on another processor: equal to a relative 1e-4, as the corpus says
        np.testing.assert_allclose(array.ravel().astype(float), wanted["values"], rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.fixture(scope="module")
def pushed(running_hub: Any) -> dict[str, str]:
    """Every servable model of the corpus, pushed; name to reference."""
    models = servable_models()
    with ThreadPoolExecutor(PUSHES_AT_ONCE) as pool:
        pushes = pool.map(lambda model: running_hub.cli("push", str(directory_of(model)), name_of(model)), models)
    references = {}
    for model, done in zip(models, pushes, strict=True):
        assert done.returncode == 0, f"{model}: {done.stderr}"
        assert done.stdout.strip() == f"{name_of(model)}@1"
        references[model] = done.stdout.strip()
    return references


@pytest.mark.parametrize("model", servable_models())
def test_a_servable_model_answers_as_tensorflow_did_through_both_protocols(
    running_hub: Any, pushed: dict[str, str], model: str
) -> None:
    checked = 0
    for signature, case in EXPECTED["models"][model].items():
        if "outputs" not in case:
            continue
        inputs = [filled(name, wanted, EXPECTED) for name, wanted in case["inputs"].items()]
        compare(case["outputs"], by_tfserving(running_hub, model, signature, inputs, case["outputs"]))
        compare(case["outputs"], by_oip(running_hub, model, signature, inputs))
        checked += 1
    assert checked


@pytest.mark.parametrize(("model", "reason"), REJECTED.items())
def test_a_model_that_cannot_be_served_is_refused_for_the_right_reason(
    running_hub: Any, model: str, reason: str
) -> None:
    done = running_hub.cli("push", str(directory_of(model)), name_of(model))
    assert done.returncode == 1, done.stdout
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
