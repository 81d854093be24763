"""Code to copy: pull a version, train on it, predict with it; with this hub's address and this version's own inputs.

Laws: what is printed runs as it stands (shell, JSON and Python each quoted by their own rules, since tensor and
signature names are whatever the pusher chose); an input it shows has the dtype and a shape that the signature takes;
code that could not work (no tuning face, a dtype that JSON cannot carry) is left out.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from hub.domain.lineage import EdgeKind
from hub.domain.manifest import Kind
from hub.domain.names import ModelName
from hub.domain.signatures import SERVING_DEFAULT, Signature, TuningFace
from hub.domain.tensors import TensorSpec
from hub.domain.versions import Model, State, Version
from hub.protocol.frames import Tensor
from hub.protocol.schemas import VersionDetail
from hub.web.examples import Example, example_inputs, quoted

_INLINE_ELEMENTS = 24
_READABLE_ELEMENTS = 300
CALLABLE = frozenset({State.READY, State.YANKED})
_OPTIONS = {EdgeKind.HEAD_OF: "--head-of", EdgeKind.FINETUNED_FROM: "--from"}


@dataclass(frozen=True, slots=True)
class Snippet:
    """One piece of code under its own label."""

    key: str
    label: str
    code: str
    note: str = ""


def snippets(
    detail: VersionDetail, base_url: str, samples: Mapping[str, Tensor], *, needs_token: bool
) -> list[Snippet]:
    """Everything a reader can do with a version, the most common first.

    Args:
        detail: The version.
        base_url: The hub as the reader reached it, without a slash at the end.
        samples: Inputs that the default signature is known to take, by name.
        needs_token: Whether calls must prove who asks.

    Returns:
        Empty where the version cannot be used (still validating, or rejected).
    """
    if detail.version.state not in CALLABLE:
        return []
    signature = default_signature(detail.signatures)
    found = [_pull(detail.version, base_url)]
    if detail.version.kind is Kind.TRUNK:
        found += _finetune(detail, signature, base_url)
    examples = None if signature is None else example_inputs(signature, samples)
    if signature is None or examples is None:
        return found
    note = _refusal_note(detail, signature)
    python = _python_code(detail, signature, examples, base_url)
    curl = curl_code(detail.version, signature, examples, base_url, needs_token=needs_token)
    return [*found, Snippet("python", "Predict", python, note), Snippet("curl", "curl", curl, note)]


def default_signature(signatures: dict[str, Signature]) -> Signature | None:
    """The one a call without a name means, else the first by name; None where there is none."""
    if SERVING_DEFAULT in signatures:
        return signatures[SERVING_DEFAULT]
    return signatures[min(signatures)] if signatures else None


def _pull(version: Version, base_url: str) -> Snippet:
    name = ModelName.parse(version.model).name
    lines = [f"export HUB_URL={shlex.quote(base_url)}", f"hub pull {version.reference} ./{name}"]
    return Snippet("pull", "Pull", "\n".join(lines), "Checked against its sha256 digests on arrival.")


def _finetune(detail: VersionDetail, signature: Signature | None, base_url: str) -> list[Snippet]:
    face = detail.tuning_face
    inputs = None if face is None or detail.report.tunable.answer == "no" else _keras_inputs(face)
    if inputs is None:
        return []
    code = [
        f"# Once: hub login {base_url}",
        "import hub",
        "import keras",
        "",
        f"trunk = hub.trunk({quoted(detail.version.reference)})",
        f"inputs = {inputs}",
        "features = keras.tree.flatten(trunk(inputs))[0]",
        *_pooling(signature),
        'outputs = keras.layers.Dense(5, activation="softmax")(features)',
        "model = keras.Model(inputs, outputs)",
        'model.compile("adam", "sparse_categorical_crossentropy")',
        "# model.fit(your_data)",
        '# hub.push(model, "you/your-head")',
    ]
    note = "The trunk stays as it is; hub.trunk(…, trainable=True) trains it as well."
    return [Snippet("finetune", "Fine-tune", "\n".join(code), note)]


def _keras_inputs(face: TuningFace) -> str | None:
    """The trunk's inputs as Keras inputs; None where they are nested, or of unknown rank."""
    names = [spec.name for spec in face.inputs]
    if not names or any(not spec.shape for spec in face.inputs) or any("/" in name for name in names):
        return None
    inputs = [_keras_input(spec) for spec in face.inputs]
    if names == [""]:
        return inputs[0]
    if names == [str(position) for position in range(len(names))]:
        return f"[{', '.join(inputs)}]"
    return "{" + ", ".join(f"{quoted(name)}: {one}" for name, one in zip(names, inputs, strict=True)) + "}"


def _keras_input(spec: TensorSpec) -> str:
    shape = tuple(spec.shape or ())[1:]
    dtype = "" if spec.dtype == "float32" else f", dtype={quoted(spec.dtype)}"
    return f"keras.Input({shape}{dtype})"


def _pooling(signature: Signature | None) -> list[str]:
    """The line that pools the first output to one vector; a trunk called as one may give it bare or in a dictionary."""
    if signature is None or not signature.outputs:
        return []
    _, spec = min(signature.outputs.items())
    layers = {3: "GlobalAveragePooling1D", 4: "GlobalAveragePooling2D"}
    layer = layers.get(len(spec.shape or ()))
    return [f"features = keras.layers.{layer}()(features)"] if layer else []


def _python_code(detail: VersionDetail, signature: Signature, examples: Mapping[str, Example], base_url: str) -> str:
    entries = [f"    {quoted(name)}: {example.array()}," for name, example in examples.items()]
    is_default = signature.name == SERVING_DEFAULT or len(detail.signatures) == 1
    chosen = "" if is_default else f", signature={quoted(signature.name)}"
    code = [
        "import hub",
        *(["import numpy as np"] if entries else []),
        "",
        f"client = hub.Client({quoted(base_url)})",
        *(["inputs = {", *entries, "}"] if entries else ["inputs = {}"]),
        f"outputs = client.predict({quoted(detail.version.reference)}, inputs{chosen})",
        "print(outputs)",
    ]
    return "\n".join(code)


def curl_code(
    version: Version, signature: Signature, examples: Mapping[str, Example], base_url: str, *, needs_token: bool
) -> str:
    """A command that sends a signature its example; where that is long, a program writes it."""
    url = shlex.quote(f"{base_url}/v1/models/{version.model}/versions/{version.number}:predict")
    token = ['  -H "Authorization: Bearer $HUB_TOKEN"'] if needs_token else []
    call = [f"curl -s {url}", *token, "  -H 'Content-Type: application/json'"]
    if _elements(examples) <= _INLINE_ELEMENTS:
        inputs = {name: example.nested() for name, example in examples.items()}
        body = json.dumps({"signature_name": signature.name, "inputs": inputs}, ensure_ascii=False)
        return " \\\n".join([*call, f"  -d {shlex.quote(body)}"])
    entries = ", ".join(f"{quoted(name)}: {example.expression()}" for name, example in examples.items())
    body = f'{{"signature_name": {quoted(signature.name)}, "inputs": {{{entries}}}}}'
    program = shlex.quote(f"import json; print(json.dumps({body}))")
    return f"python3 -c {program} |\n" + " \\\n".join([*call, "  -d @-"])


def request_json(signature: Signature, examples: Mapping[str, Example]) -> str:
    """The body of that request, one input a line; empty where it is too long to be read."""
    if _elements(examples) > _READABLE_ELEMENTS:
        return ""
    inputs = [f"    {quoted(name)}: {json.dumps(one.nested(), ensure_ascii=False)}" for name, one in examples.items()]
    lines = ["{", f'  "signature_name": {quoted(signature.name)},', '  "inputs": {', ",\n".join(inputs), "  }", "}"]
    return "\n".join(line for line in lines if line)


def _elements(examples: Mapping[str, Example]) -> int:
    return sum(example.elements for example in examples.values())


def _refusal_note(detail: VersionDetail, signature: Signature) -> str:
    probe = detail.report.probe
    seen = probe.signatures.get(signature.name) if probe else None
    if seen is not None and seen.status == "inputs-refused":
        return "This model refused every made-up input when it was checked: put in a real one."
    return ""


def push_command(model: Model, detail: VersionDetail | None) -> str:
    """How a model is pushed, the first time or once more: with what it was made from, which is part of its content."""
    edges = detail.lineage if detail else ()
    made = [f" {_OPTIONS[edge.kind]} {edge.model}@{edge.number}" for edge in edges if edge.kind in _OPTIONS]
    if not made and model.kind is Kind.HEAD:
        made = [" --head-of OWNER/TRUNK"]
    return f"hub push ./your_saved_model {model.name}{''.join(made)}"
