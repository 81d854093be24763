"""Code to copy is run here: by a real shell and by Python, with names that try to break out of their quotes."""

import ast
import base64
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hub.domain.digests import digest_of
from hub.domain.lineage import Edge, EdgeKind
from hub.domain.manifest import Kind
from hub.domain.reports import ProbeResult, Report, SignatureProbe, Verdict
from hub.domain.signatures import Signature, TuningFace
from hub.domain.tensors import TensorSpec, check_tensor
from hub.domain.versions import Model, State, Version
from hub.protocol.frames import Tensor, from_numpy
from hub.protocol.schemas import VersionDetail
from hub.web.examples import example_inputs, needs_samples
from hub.web.snippets import Snippet, default_signature, push_command, snippets

URL = "http://127.0.0.1:8460"
YES = Verdict(answer="yes")
NASTY = ["plain", "it's", 'say "hi"', "$(touch pwned)", "`id`", "a\\b", "naïve 🌳", "x' ; exit 3 ; '", "%s{0}"]


def spec(name: str, dtype: str, *shape: int | None) -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape)


def signature(*inputs: TensorSpec, name: str = "serving_default") -> Signature:
    return Signature(name=name, inputs={one.name: one for one in inputs}, outputs={"y": spec("y", "float32", None, 8)})


def detail(
    *signatures: Signature, kind: Kind = Kind.TRUNK, state: State = State.READY, **changes: Any
) -> VersionDetail:
    version = Version(
        model="acme/shapes",
        number=3,
        digest=digest_of(b"x"),
        kind=kind,
        state=state,
        interface=1,
        size=10,
        created_at=datetime(2026, 11, 23, tzinfo=UTC),
        created_by="ines",
    )
    facts: dict[str, Any] = {
        "version": version,
        "report": Report(servable=YES, tunable=YES, portable=YES, safe=YES),
        "signatures": {one.name: one for one in signatures},
        "tuning_face": None,
        "lineage": (),
        "loader": "object_graph",
        "file_count": 1,
    }
    return VersionDetail(**facts | changes)


def made(one: VersionDetail, *samples: Tensor, needs_token: bool = False) -> dict[str, Snippet]:
    by_name = {sample.name: sample for sample in samples}
    return {snippet.key: snippet for snippet in snippets(one, URL, by_name, needs_token=needs_token)}


def example_shape(wanted: TensorSpec) -> tuple[int, ...]:
    examples = example_inputs(signature(wanted), {})
    assert examples is not None
    return examples[wanted.name].shape


def run_curl(code: str, folder: Path) -> tuple[list[str], Any]:
    """Run a snippet in a real shell whose ``curl`` writes down what it was given."""
    shim = folder / "curl"
    shim.write_text(
        f"#!{sys.executable}\nimport json, sys\nargs = sys.argv[1:]\n"
        "body = sys.stdin.read() if args[-1] == '@-' else args[-1]\n"
        "json.dump([args, json.loads(body)], open('seen.json', 'w'))\n"
    )
    shim.chmod(0o755)
    env = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "HUB_TOKEN": "s3cret"}
    subprocess.run(["sh", "-euc", code], cwd=folder, env=env, check=True, timeout=60)
    args, body = json.loads((folder / "seen.json").read_text())
    assert {path.name for path in folder.iterdir()} == {"curl", "seen.json"}
    return args, body


def inputs_of(code: str) -> dict[str, np.ndarray]:
    """What the Python snippet would send."""
    assigned = [node for node in ast.parse(code).body if isinstance(node, ast.Assign)]
    value = next(
        node.value for node in assigned if isinstance(node.targets[0], ast.Name) and node.targets[0].id == "inputs"
    )
    return eval(compile(ast.Expression(value), "snippet", "eval"), {"np": np})


@pytest.mark.parametrize("name", NASTY)
def test_no_tensor_name_breaks_out_of_the_shells_quotes(name: str, tmp_path: Path) -> None:
    small, large = signature(spec(name, "float32", None, 3)), signature(spec(name, "int64", None, 50), name=name)
    for chosen in (small, large):
        args, body = run_curl(made(detail(chosen))["curl"].code, tmp_path)
        assert body["signature_name"] == chosen.name
        assert list(body["inputs"]) == [name]
        assert args[:2] == ["-s", f"{URL}/v1/models/acme/shapes/versions/3:predict"]


@pytest.mark.parametrize("name", NASTY)
def test_no_tensor_name_breaks_out_of_pythons_quotes(name: str) -> None:
    chosen, other = signature(spec(name, "float32", None, 3), name=name), signature(name="other" + name)
    code = made(detail(chosen, other))["python"].code
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    predict = next(call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "predict")
    assert ast.literal_eval(predict.keywords[0].value) == min(name, "other" + name)


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "int8", "int64", "uint8", "uint64", "bool", "string"]
)
@pytest.mark.parametrize("shape", [(), (None,), (None, 4), (2, None, 3), (None, None, None, 3), (None, 0)])
def test_the_python_example_fits_the_signature(dtype: str, shape: tuple[int | None, ...]) -> None:
    wanted = spec("x", dtype, *shape)
    array = inputs_of(made(detail(signature(wanted)))["python"].code)["x"]
    check_tensor("x", "string" if array.dtype == object else array.dtype.name, array.shape, wanted)


@pytest.mark.parametrize("shape", [(None, 4), (None, 64, 64, 3)])
@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "string"])
def test_the_curl_example_fits_the_signature(dtype: str, shape: tuple[int | None, ...], tmp_path: Path) -> None:
    wanted = spec("x", dtype, *shape)
    _, body = run_curl(made(detail(signature(wanted)))["curl"].code, tmp_path)
    array = np.array(body["inputs"]["x"])
    assert array.shape == example_shape(wanted)
    assert array.dtype.kind == {"float32": "f", "int32": "i", "bool": "b", "string": "U"}[dtype]


def test_a_signature_without_inputs_can_be_called(tmp_path: Path) -> None:
    found = made(detail(signature()))
    assert run_curl(found["curl"].code, tmp_path)[1]["inputs"] == {}
    assert inputs_of(found["python"].code) == {}


@pytest.mark.parametrize(
    "data", [b"hello world", b"\x89PNG\r\n\x1a\n\x00", "naïve 'quoted'".encode(), b"\n\x0c\n\x01x"]
)
def test_a_string_that_the_model_is_known_to_take_is_the_example(data: bytes, tmp_path: Path) -> None:
    chosen = detail(signature(spec("x", "string", None)))
    sample = from_numpy("x", np.array([data, b"other"], dtype=object))
    found = made(chosen, sample)
    array = inputs_of(found["python"].code)["x"]
    assert [value.encode() if isinstance(value, str) else value for value in array] == [data, data]
    _, body = run_curl(found["curl"].code, tmp_path)
    sent = body["inputs"]["x"]
    assert [base64.b64decode(one["b64"]) if isinstance(one, dict) else one.encode() for one in sent] == [data, data]


def test_a_large_string_example_is_built_by_python(tmp_path: Path) -> None:
    sample = from_numpy("x", np.full((30,), b"\xff", dtype=object))
    code = made(detail(signature(spec("x", "string", None))), sample)["curl"].code
    assert code.startswith("python3 -c")
    assert run_curl(code, tmp_path)[1]["inputs"]["x"] == [{"b64": "/w=="}] * 30


def test_a_size_that_the_model_is_known_to_take_is_the_examples() -> None:
    wanted = spec("x", "float32", None, None, None, 3)
    sample = from_numpy("x", np.zeros((2, 32, 48, 3), np.float32))
    assert inputs_of(made(detail(signature(wanted)), sample)["python"].code)["x"].shape == (2, 32, 48, 3)


def test_a_sample_that_does_not_fit_is_passed_over() -> None:
    chosen = detail(signature(spec("x", "float32", None, 4)))
    for other in (np.zeros((2, 5), np.float32), np.zeros((2, 4), np.int32)):
        assert inputs_of(made(chosen, from_numpy("x", other))["python"].code)["x"].shape == (1, 4)


@pytest.mark.parametrize(
    ("wanted", "is_needed"),
    [
        (spec("x", "float32", None, 4), False),
        (spec("x", "float32"), False),
        (spec("x", "float32", None, None), True),
        (spec("x", "string", None), True),
        (TensorSpec(name="x", dtype="int32", shape=None), True),
    ],
)
def test_samples_are_read_only_where_made_up_inputs_may_be_refused(wanted: TensorSpec, is_needed: bool) -> None:
    assert needs_samples(signature(wanted)) is is_needed


def test_an_unknown_rank_gets_one_element() -> None:
    assert example_shape(TensorSpec(name="x", dtype="float32", shape=None)) == (1,)


def test_curl_proves_who_asks_only_where_that_is_needed(tmp_path: Path) -> None:
    chosen = detail(signature(spec("x", "float32", None, 2)))
    assert "Authorization: Bearer s3cret" in run_curl(made(chosen, needs_token=True)["curl"].code, tmp_path)[0]
    assert "HUB_TOKEN" not in made(chosen)["curl"].code


def test_the_hubs_address_is_quoted_for_the_shell() -> None:
    found = snippets(detail(signature()), "http://x;touch pwned", {}, needs_token=False)
    assert "export HUB_URL='http://x;touch pwned'\n" in found[0].code


def test_a_dtype_that_json_cannot_carry_has_no_example() -> None:
    assert made(detail(signature(spec("x", "complex64", None)))).keys() == {"pull"}


@pytest.mark.parametrize(
    ("names", "chosen"), [(["b", "serving_default", "a"], "serving_default"), (["b", "a"], "a"), (["b"], "b")]
)
def test_the_default_signature_is_shown(names: list[str], chosen: str) -> None:
    assert default_signature({name: signature(name=name) for name in names}) == signature(name=chosen)


def test_a_version_without_signatures_can_still_be_pulled() -> None:
    assert made(detail()).keys() == {"pull"}


@pytest.mark.parametrize("state", [State.VALIDATING, State.REJECTED])
def test_a_version_that_cannot_be_used_has_no_code(state: State) -> None:
    assert snippets(detail(signature(), state=state), URL, {}, needs_token=False) == []


def test_a_model_that_refused_made_up_inputs_says_so() -> None:
    probe = ProbeResult(loader="session", signatures={"serving_default": SignatureProbe(status="inputs-refused")})
    report = Report(servable=YES, tunable=YES, portable=YES, safe=YES, probe=probe)
    found = made(detail(signature(spec("x", "string", None)), report=report))
    assert "put in a real one" in found["curl"].note
    assert "put in a real one" in found["python"].note


def face(*inputs: TensorSpec) -> TuningFace:
    return TuningFace(inputs=inputs, training_values=(False, True), variables=2, trainable_variables=2)


def test_fine_tuning_takes_the_inputs_of_the_tuning_face() -> None:
    one = made(detail(signature(), tuning_face=face(spec("", "float32", None, 16, 16, 1))))["finetune"].code
    assert 'trunk = hub.trunk("acme/shapes@3")' in one
    assert "inputs = keras.Input((16, 16, 1))" in one
    two = face(spec("ids", "int64", None, None), spec("mask", "float32", None, 4))
    both = made(detail(signature(), tuning_face=two))["finetune"].code
    assert 'inputs = {"ids": keras.Input((None,), dtype="int64"), "mask": keras.Input((4,))}' in both
    listed = made(detail(signature(), tuning_face=face(spec("0", "float32", None, 1), spec("1", "float32", None, 1))))
    assert "inputs = [keras.Input((1,)), keras.Input((1,))]" in listed["finetune"].code
    for code in (one, both, listed["finetune"].code):
        ast.parse(code)


def test_fine_tuning_is_not_guessed_for_nested_inputs() -> None:
    nested = face(spec("a/0", "float32", None, 1), spec("a/1", "float32", None, 1))
    assert "finetune" not in made(detail(signature(), tuning_face=nested))


@pytest.mark.parametrize(
    ("outputs", "line"),
    [
        ({"f": spec("f", "float32", None, 8)}, "(trunk(inputs))[0]\noutputs"),
        ({"f": spec("f", "float32", None, None, 8)}, "features = keras.layers.GlobalAveragePooling1D()(features)"),
        ({"f": spec("f", "float32", None, 7, 7, 8)}, "features = keras.layers.GlobalAveragePooling2D()(features)"),
        (
            {"b": spec("b", "float32", None, 8, 8), "a": spec("a", "float32", None, 8)},
            "features = keras.tree.flatten(trunk(inputs))[0]\noutputs",
        ),
    ],
)
def test_fine_tuning_makes_one_vector_of_what_the_trunk_gives(outputs: dict[str, TensorSpec], line: str) -> None:
    serving = Signature(name="serving_default", inputs={}, outputs=outputs)
    code = made(detail(serving, tuning_face=face(spec("", "float32", None, 4))))["finetune"].code
    assert line in code


def test_only_a_trunk_that_can_be_trained_shows_how() -> None:
    trainable = face(spec("", "float32", None, 4))
    cannot = Report(servable=YES, tunable=Verdict(answer="no", reasons=("none",)), portable=YES, safe=YES)
    assert "finetune" in made(detail(tuning_face=trainable))
    assert "finetune" not in made(detail(tuning_face=trainable, report=cannot))
    assert "finetune" not in made(detail(tuning_face=trainable, kind=Kind.HEAD))
    assert "finetune" not in made(detail(tuning_face=face(TensorSpec(name="", dtype="float32", shape=None))))


@pytest.mark.parametrize(
    ("kind", "edges", "told"),
    [
        (Kind.TRUNK, [], ""),
        (Kind.TRUNK, [EdgeKind.FINETUNED_FROM], " --from acme/base@2"),
        (Kind.TRUNK, [EdgeKind.CONVERTED_FROM], ""),
        (Kind.HEAD, [EdgeKind.HEAD_OF], " --head-of acme/base@2"),
        (Kind.HEAD, [], " --head-of OWNER/TRUNK"),
    ],
)
def test_pushing_once_more_says_what_the_version_was_made_from(kind: Kind, edges: list[EdgeKind], told: str) -> None:
    lineage = tuple(Edge(kind=each, model="acme/base", number=2, digest=digest_of(b"base")) for each in edges)
    model = Model.model_construct(name="acme/shapes", kind=kind)
    assert push_command(model, detail(lineage=lineage)) == f"hub push ./your_saved_model acme/shapes{told}"
