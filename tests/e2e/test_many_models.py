"""Other people's SavedModels go through a running hub by command line: many kinds, and what goes wrong with each.

Those that can be served answer as plain TensorFlow does, through both protocols and every form of either; the others
are refused for the right reason; wrong inputs get a problem that names the tensor, and never end a worker.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from hub.domain.tensors import BY_NAME, BY_OIP
from hub.protocol import paths
from hub.protocol.frames import Tensor, to_numpy
from hub.protocol.golden import Sample, read_golden

MAKE = Path(__file__).with_name("models") / "make.py"
PUSHES_AT_ONCE = 3
SERVED = (
    "every-type",
    "every-shape",
    "odd-names",
    "state",
    "control-flow",
    "words-and-images",
    "storage",
    "ragged-and-sparse",
    "keras3-exported",
    "keras3-saved",
    "keras3-words",
    "keras2-trained",
    "keras2-subclassed",
    "v1-reference-variables",
    "v1-hub-module",
    "v1-tables",
    "v1-frozen",
    "v1-old-loop",
)
REFUSED = {
    "python-in-a-branch": "EagerPyFunc is not allowed: it calls Python",
    "reads-files": "ReadFile is not allowed: it reads files",
    "dataset": "it runs an input pipeline",
    "prints-to-a-file": "output_stream='file:///tmp/trunkhub-printed'",
    "restores": "RestoreV2 is not allowed outside the saver",
    "waits": "FIFOQueueV2 is not allowed: it can wait for ever",
    "v1-unfed": "You must feed a value for placeholder tensor 'keep_prob'",
    "v1-sparse": "given is a sparse",
}
INDEX, SHARD = "variables/variables.index", "variables/variables.data-00000-of-00001"
NO_JSON_IN_OIP = ("float16", "bfloat16")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of models, made by one process of its own."""
    folder = tmp_path_factory.mktemp("models")
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": root}
    made = subprocess.run([sys.executable, str(MAKE), str(folder)], env=environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def pushed(running_hub: Any, models: Path) -> dict[str, dict[str, Sample]]:
    """Every model that can be served, pushed; its calls by signature."""
    with ThreadPoolExecutor(PUSHES_AT_ONCE) as pool:
        pushes = pool.map(lambda name: running_hub.cli("push", str(models / name), f"many/{name}"), SERVED)
    for name, done in zip(SERVED, pushes, strict=True):
        assert (done.returncode, done.stdout.strip()) == (0, f"many/{name}@1"), f"{name}: {done.stderr}"
    return {name: read_golden((models / f"{name}.npz").read_bytes()) for name in SERVED}


def test_every_model_that_is_made_is_looked_at(models: Path) -> None:
    assert {path.stem for path in models.glob("*.npz")} == set(SERVED)
    assert {path.parent.name for path in models.glob("*/saved_model.pb")} == {*SERVED, *REFUSED}


@pytest.mark.parametrize("name", SERVED)
def test_a_model_answers_as_tensorflow_does_in_every_form(
    running_hub: Any, pushed: dict[str, dict[str, Sample]], name: str
) -> None:
    for signature, sample in pushed[name].items():
        expected = {tensor.name: values_of(tensor) for tensor in sample.outputs}
        for form in (columnar, by_row, oip_json, oip_binary):
            got = form(running_hub, f"many/{name}", signature, sample)
            if got is not None:
                compare(f"{signature} {form.__name__}", got, expected)


def test_each_form_was_asked_for(pushed: dict[str, dict[str, Sample]]) -> None:
    calls = [sample for samples in pushed.values() for sample in samples.values()]
    assert sum(is_by_row(sample) for sample in calls) > len(SERVED) // 2
    assert sum(is_json_in_oip(sample) for sample in calls) > len(SERVED) // 2


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_a_model_that_must_not_or_cannot_be_served_is_refused_for_the_right_reason(
    running_hub: Any, models: Path, name: str, reason: str
) -> None:
    done = running_hub.cli("push", str(models / name), f"refused/{name}")
    assert done.returncode == 1, done.stdout
    assert reason in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def cut(path: str, keep: float) -> Callable[[Path, Path], None]:
    def break_it(root: Path, _other: Path) -> None:
        os.truncate(root / path, int((root / path).stat().st_size * keep))

    return break_it


def without(path: str) -> Callable[[Path, Path], None]:
    return lambda root, _other: (root / path).unlink()


def with_another_s(path: str) -> Callable[[Path, Path], None]:
    return lambda root, other: shutil.copy(other / path, root / path) and None


def with_one_bit_flipped(root: Path, _other: Path) -> None:
    data = bytearray((root / SHARD).read_bytes())
    data[8] ^= 0x10
    (root / SHARD).write_bytes(data)


def one_folder_down(root: Path, _other: Path) -> None:
    root.rename(root.with_name("inner"))
    root.mkdir()
    root.with_name("inner").rename(root / "7")


def only_a_keras_file(root: Path, _other: Path) -> None:
    shutil.rmtree(root)
    root.mkdir()
    (root / "model.keras").write_bytes(b"PK")


def cloned_without_lfs(root: Path, _other: Path) -> None:
    (root / SHARD).write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n")


@pytest.mark.parametrize("name", ["keras3-exported", "v1-reference-variables"])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut("saved_model.pb", 0.5), "saved_model.pb cannot be read"),
        (cut("saved_model.pb", 0), "saved_model.pb has no meta graph"),
        (cut(INDEX, 0.5), INDEX),
        (cut(SHARD, 0.3), SHARD),
        (without(INDEX), INDEX),
        (without(SHARD), SHARD),
        (with_another_s(INDEX), "variable"),
        (with_one_bit_flipped, "Checksum does not match"),
        (one_folder_down, "/7."),
        (only_a_keras_file, "Load model.keras with Keras"),
        (cloned_without_lfs, "git lfs pull"),
    ],
    ids=[
        "half a graph", "no graph", "half an index", "part of a shard", "no index", "no shard", "another's index",
        "a flipped bit", "one folder down", "a Keras file", "a Git LFS pointer",
    ],
)  # fmt: skip
def test_a_damaged_copy_is_refused_and_the_damage_is_named(
    running_hub: Any, models: Path, tmp_path: Path, name: str, damage: Callable[[Path, Path], None], reason: str
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(models / name, root)
    damage(root, models / "keras2-trained")
    done = running_hub.cli("push", str(root), "refused/damaged")
    assert done.returncode == 1, done.stdout
    assert reason in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert "{{function_node" not in done.stderr


def test_ordinary_files_beside_a_model_do_not_keep_it_out(running_hub: Any, models: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(models / "v1-frozen", root)
    extras = (
        "README.md",
        ".DS_Store",
        ".gitattributes",
        "__pycache__/a.pyc",
        "assets.extra/tf_serving_warmup_requests",
    )
    for extra in (*extras, "keras_metadata.pb", "variables/checkpoint", "прочти.txt"):
        (root / extra).parent.mkdir(exist_ok=True)
        (root / extra).write_bytes(b"x")
    done = running_hub.cli("push", str(root), "many/with-extras")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", SERVED)
def test_wrong_inputs_are_refused_by_name(running_hub: Any, pushed: dict[str, dict[str, Sample]], name: str) -> None:
    url = f"{running_hub.url}/v1/models/many/{name}:predict"
    for signature, sample in pushed[name].items():
        good = {tensor.name: json_values(tensor) for tensor in sample.inputs}
        for key, value in wrong_values(good):
            body = {"signature_name": signature, "inputs": {**good, key: value}}
            status, answer, _ = post(running_hub, url, json.dumps(body).encode())
            assert status == 422, (signature, key, value, answer)
            assert key in json.loads(answer)["detail"]
        for entries, binary in wrong_tensors(sample):
            status, answer, _ = infer(running_hub, f"many/{name}", signature, entries, binary)
            assert status == 422, (signature, entries, answer)
            assert json.loads(answer)["detail"]


def test_no_worker_ended_on_the_way(running_hub: Any, pushed: dict[str, dict[str, Sample]]) -> None:
    status, answer, _ = post(running_hub, running_hub.url + paths.WORKERS, None)
    assert status == 200, answer
    assert [worker["restarts"] for worker in json.loads(answer)["items"]] == [0]


def wrong_values(good: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "no-such-input", 1
    for key in good:
        yield key, {"a": 1}
        yield key, None
        yield key, [[1], [1, 2]]


def wrong_tensors(sample: Sample) -> Iterator[tuple[list[dict[str, Any]], bytes]]:
    if not sample.inputs:
        return
    first, *others = [entry_of(tensor) for tensor in sample.inputs]
    binary = b"".join(bytes(tensor.data) for tensor in sample.inputs)
    for change in ({"datatype": "FP99"}, {"shape": [3] * 7}, {"shape": [-1]}, {"shape": [1 << 40]}, {"name": "nobody"}):
        yield [{**first, **change}, *others], binary
    yield [first, *others], binary[:-1]
    yield [first, *others], binary + b"x"
    yield others, binary


def post(hub: Any, url: str, body: bytes | None, headers: dict[str, str] | None = None) -> tuple[int, bytes, Any]:
    """POST a body, or GET where there is none."""
    request = urllib.request.Request(
        url, data=body, headers={"Authorization": f"Bearer {hub.token}", **(headers or {})}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


def columnar(hub: Any, model: str, signature: str, sample: Sample) -> dict[str, Any]:
    inputs = {tensor.name: json_values(tensor) for tensor in sample.inputs}
    answer = predict(hub, model, {"signature_name": signature, "inputs": inputs})["outputs"]
    return answer if len(sample.outputs) > 1 else {sample.outputs[0].name: answer}


def by_row(hub: Any, model: str, signature: str, sample: Sample) -> dict[str, Any] | None:
    if not is_by_row(sample):
        return None
    columns = {tensor.name: json_values(tensor) for tensor in sample.inputs}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    bare = [next(iter(row.values())) for row in rows] if len(columns) == 1 else rows
    answer = predict(hub, model, {"signature_name": signature, "instances": bare})["predictions"]
    names = [tensor.name for tensor in sample.outputs]
    return {name: [row[name] for row in answer] for name in names} if len(names) > 1 else {names[0]: answer}


def predict(hub: Any, model: str, body: dict[str, Any]) -> dict[str, Any]:
    status, answer, _ = post(hub, f"{hub.url}/v1/models/{model}:predict", json.dumps(body).encode())
    assert status == 200, answer
    return json.loads(answer)


def is_by_row(sample: Sample) -> bool:
    """Whether every input and output has the same number of rows."""
    sizes = {tensor.shape[0] if tensor.shape else None for tensor in (*sample.inputs, *sample.outputs)}
    return bool(sample.inputs) and len(sizes) == 1 and None not in sizes


def oip_json(hub: Any, model: str, signature: str, sample: Sample) -> dict[str, Any] | None:
    if not is_json_in_oip(sample):
        return None
    entries = [
        {**entry_of(tensor), "parameters": {}, "data": [as_text(item) for item in values_of(tensor).ravel().tolist()]}
        for tensor in sample.inputs
    ]
    body = json.dumps({"inputs": entries, "parameters": {"signature": signature}}).encode()
    status, answer, _ = post(hub, f"{hub.url}/v2/models/{model.replace('/', '%2F')}/infer", body)
    assert status == 200, answer
    return {
        output["name"]: np.reshape(np.array(output["data"]), output["shape"])
        for output in json.loads(answer)["outputs"]
    }


def is_json_in_oip(sample: Sample) -> bool:
    """Whether the protocol can write every tensor in JSON: no half floats, and no bytes that are not text."""
    for tensor in (*sample.inputs, *sample.outputs):
        if tensor.dtype in NO_JSON_IN_OIP:
            return False
        if tensor.dtype == "string" and not all(item.isascii() for item in to_numpy(tensor).ravel()):
            return False
    return True


def oip_binary(hub: Any, model: str, signature: str, sample: Sample) -> dict[str, Any]:
    entries = [entry_of(tensor) for tensor in sample.inputs]
    binary = b"".join(bytes(tensor.data) for tensor in sample.inputs)
    status, answer, headers = infer(hub, model, signature, entries, binary)
    assert status == 200, answer
    end, found = int(headers["Inference-Header-Content-Length"]), {}
    for output in json.loads(answer[:end])["outputs"]:
        size = output["parameters"]["binary_data_size"]
        dtype = BY_OIP[output["datatype"]].name
        found[output["name"]] = values_of(Tensor("", dtype, tuple(output["shape"]), answer[end : end + size]))
        end += size
    assert end == len(answer)
    return found


def infer(hub: Any, model: str, signature: str, entries: list[dict[str, Any]], binary: bytes) -> tuple[int, bytes, Any]:
    parameters = {"signature": signature, "binary_data_output": True}
    head = json.dumps({"inputs": entries, "parameters": parameters}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return post(hub, f"{hub.url}/v2/models/{model}/infer", head + binary, headers)


def entry_of(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "datatype": BY_NAME[tensor.dtype].oip,
        "shape": list(tensor.shape),
        "parameters": {"binary_data_size": len(tensor.data)},
    }


def values_of(tensor: Tensor) -> np.ndarray:
    """A tensor as an array of NumPy's own types."""
    if tensor.dtype != "bfloat16":
        return to_numpy(tensor)
    return np.frombuffer(tensor.data, dtype=ml_dtypes.bfloat16).astype(np.float32).reshape(tensor.shape)


def json_values(tensor: Tensor) -> Any:
    array = values_of(tensor)
    if tensor.dtype != "string":
        return array.tolist()
    encoded = np.empty(array.shape, dtype=object)
    encoded.ravel()[:] = [{"b64": base64.b64encode(item).decode()} for item in array.ravel()]
    return encoded.tolist()


def as_text(item: Any) -> Any:
    return item.decode() if isinstance(item, bytes) else item


def as_bytes(item: Any) -> bytes:
    if isinstance(item, dict):
        return base64.b64decode(item["b64"])
    return item if isinstance(item, bytes) else str(item).encode()


def compare(what: str, got: dict[str, Any], expected: dict[str, np.ndarray]) -> None:
    assert got.keys() == expected.keys(), what
    for name, wanted in expected.items():
        found = np.array(got[name], dtype=object if wanted.dtype.kind == "O" else None)
        if wanted.size:  # JSON's empty list does not say how many columns it has not
            assert found.shape == wanted.shape, (what, name)
        if wanted.dtype.kind == "O":
            assert [as_bytes(item) for item in found.ravel()] == list(wanted.ravel()), (what, name)
        else:
            # the answer went through another process' kernels and through JSON: float32's own precision, roughly
            np.testing.assert_allclose(found.astype(np.float64), wanted.astype(np.float64), 1e-4, 1e-6, err_msg=what)
