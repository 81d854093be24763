"""The rules: every check by its stable id, how bad it is, which question it answers, and what to do about it.

Laws: ids never change their meaning; a rule with severity ``error`` rejects; a finding whose rule answers
``tunable`` or ``portable`` makes that answer ``no`` without rejecting. ``docs/reference/rules.md`` lists them all.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from hub.domain.reports import Finding, Severity
from hub.savedmodel.limits import MAX_FINDINGS_PER_RULE, MAX_TEXT_CHARS

Question = Literal["servable", "tunable", "portable", "safe"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One check.

    Attributes:
        id: ``topic.what``.
        severity: What a finding of it means for the version.
        question: Which of the four answers it makes ``no``; None where it only informs.
        claim: What holds for a model that passes.
        remedy: What to do about a finding, unless the finding knows better.
    """

    id: str
    severity: Severity
    question: Question | None
    claim: str
    remedy: str = ""


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
_EXPORT = "Export it again with hub.finetune.export_trunk(model, path)."
_SAVE_AGAIN = "Save the model again, and copy the whole folder."

_TABLE = (
    Rule("layout.no-saved-model", _E, "servable", "The folder holds saved_model.pb.", "Push a SavedModel's folder."),
    Rule("layout.nested", _E, "servable", "The SavedModel is the folder itself, not one inside it."),
    Rule("layout.text-format", _E, "servable", "The graph is in saved_model.pb alone, in no second format.",
         "Load it, save it with tf.saved_model.save, and push that folder."),
    Rule("layout.link", _E, "safe", "There are no symbolic links.", "Copy the folder with cp -rL and push the copy."),
    Rule("layout.special-file", _E, "safe", "There are only files and folders.", "Remove it."),
    Rule("layout.bad-name", _E, "servable", "Every path can be stored on every system.", "Rename or remove the file."),
    Rule("layout.too-many-files", _E, "servable", "There are at most 10,000 files.", "Remove what is not the model."),
    Rule("layout.lfs-pointer", _E, "servable", "Files are there themselves, not as Git LFS pointers.",
         "Run git lfs pull where the folder was cloned, and push it again."),
    Rule("layout.unreadable", _E, "servable", "Every file can be read.", "Check the permissions."),
    Rule("layout.extra-file", _N, None, "There are only files that TensorFlow reads.",
         "It is stored and never opened; remove it to save the space."),
    Rule("layout.code-file", _W, None, "There is no code or pickle beside the model.",
         "The hub never runs it, and nobody who pulls the model should; remove it if it is not needed."),
    Rule("layout.sparse-file", _W, None, "Files take the space on disk that their size says."),
    Rule("layout.flattened-variables", _E, "servable", "The variables lie in a folder called variables.",
         "Move variables.index and variables.data-* into a folder variables/ beside saved_model.pb."),
    Rule("layout.missing-variables", _E, "servable", "The variables are there if the model has any.",
         "Copy the variables folder beside saved_model.pb."),
    Rule("layout.missing-shard", _E, "servable", "Every shard that the index names is there.",
         "Copy the missing file into the variables folder."),
    Rule("layout.missing-asset", _E, "servable", "Every asset file is in the assets folder.",
         "Copy the file into the assets folder."),
    Rule("assets.path", _E, "safe", "Asset files are plain names below assets/.", _SAVE_AGAIN),
    Rule("graph.malformed", _E, "servable", "saved_model.pb can be read.", _SAVE_AGAIN),
    Rule("graph.no-meta-graph", _E, "servable", "There is a meta graph.", _SAVE_AGAIN),
    Rule("graph.ambiguous", _E, "servable", "It is clear which meta graph is served.",
         "Save only the meta graph that is to be served, tagged serve."),
    Rule("graph.more-meta-graphs", _N, None, "There is one meta graph."),
    Rule("graph.future", _E, "servable", "The graph asks for no newer TensorFlow than the hub's.",
         "Save it with the hub's TensorFlow version or an older one."),
    Rule("graph.dangling", _E, "servable", "Every node and function that is referred to exists.", _SAVE_AGAIN),
    Rule("graph.recursion", _E, "safe", "No function calls itself.", "Use tf.while_loop."),
    Rule("graph.call-depth", _E, "safe", "Function calls are not nested too deeply.", "Use tf.while_loop."),
    Rule("graph.expansion", _E, "safe", "The graph stays small when every call is inlined.", "Use tf.while_loop."),
    Rule("graph.constant", _E, "safe", "Constants take about the bytes they are written with.",
         "Make large tensors of one value with tf.fill, or store them as variables."),
    Rule("graph.tf1", _N, None, "The model is in TensorFlow 2's format.",
         "It is served through a Session and cannot be fine-tuned."),
    Rule("objects.dangling", _E, "servable", "Every object and function that is referred to exists.", _SAVE_AGAIN),
    Rule("objects.child-name", _E, "safe", "No child's name replaces a part of Python objects.",
         "Rename the attribute."),
    Rule("objects.optimizer-slots", _W, None, "No optimizer state is stored.",
         "Its weights are stored several times over, and tf.saved_model.load needs tf_keras; save it without the"
         " optimizer."),
    Rule("signature.none", _E, "servable", "There is a signature.",
         "Pass signatures={'serving_default': …} to tf.saved_model.save, or use hub.finetune.export_trunk."),
    Rule("signature.unreadable", _W, None, "Every signature's inputs and outputs are plain named tensors.",
         "It is left out; give it dense tensors."),
    Rule("signature.set-differs", _W, None, "signature_def and the object graph have the same signatures.",
         _SAVE_AGAIN),
    Rule("signature.contradiction", _E, "servable", "signature_def says of a signature what its function does.",
         _SAVE_AGAIN),
    Rule("signature.name", _W, None, "Names consist of letters, digits and the usual punctuation."),
    Rule("signature.defaults", _N, None, "No input has a default value.",
         "Send every input: the hub does not fill in defaults."),
    Rule("signature.stateful", _N, None, "Signatures leave the variables alone.",
         "A version is immutable: after each call its state is restored."),
    Rule("variables.malformed", _E, "servable", "variables.index can be read.", _SAVE_AGAIN),
    Rule("variables.contradiction", _E, "servable", "What the index says of a tensor fits its type and its shard.",
         _SAVE_AGAIN),
    Rule("variables.missing-tensor", _E, "servable", "Every variable is stored.", _SAVE_AGAIN),
    Rule("variables.mismatch", _E, "servable", "Stored tensors have the type and shape of their variables.",
         _SAVE_AGAIN),
    Rule("variables.not-finite", _W, None, "The first numbers of every stored tensor are finite.",
         "Check that training went well: what is computed with them is NaN too."),
    Rule("ops.unknown", _E, "servable", "TensorFlow has every op.",
         "Export the model without that package's ops: do their work in the caller."),
    Rule("ops.no-kernel", _E, "servable", "TensorFlow ships an implementation of every op.",
         "Retrain or rewrite that part with current ops."),
    Rule("ops.no-kernel-somewhere", _W, None, "Every op that is not called at once has an implementation."),
    Rule("ops.no-cpu-kernel", _W, None, "Every op runs on a CPU.", "Serve it where there is a GPU."),
    Rule("ops.denied", _E, "safe", "Nothing that runs reaches beyond the model's own tensors.",
         "Export the model without this op."),
    Rule("ops.denied-unused", _W, None, "Also what nothing runs stays within the model's own tensors.",
         "Whoever calls that function after a pull runs it; export the model without it."),
    Rule("ops.checkpoint-io", _E, "safe", "Only the saver reads and writes checkpoints.",
         "Export the model without saving or restoring in its functions."),
    Rule("ops.file-attribute", _E, "safe", "No op's attribute names a file, a stream or a service.",
         "Export the model without that attribute."),
    Rule("ops.opaque-module", _W, None, "All computation is visible as ops.",
         "It comes from JAX; the probe shows whether it runs."),
    Rule("ops.native-call", _E, "safe", "Embedded modules call no native functions.",
         "Export it from JAX without custom calls."),
    Rule("ops.table-file", _E, "safe", "Lookup tables read only the model's own assets.",
         "Track the vocabulary file as tf.saved_model.Asset."),
    Rule("tuning.no-call", _N, "tunable", "The object is callable.", _EXPORT),
    Rule("tuning.no-variables", _N, "tunable", "It lists its variables and its trainable variables.", _EXPORT),
    Rule("tuning.no-training", _N, "tunable", "training was traced for both True and False.", _EXPORT),
    Rule("tuning.no-gradient", _W, "tunable", "A gradient reaches every trainable variable.",
         "Leave the others out of trainable_variables."),
    Rule("tuning.training-fails", _W, "tunable", "It can be called with training=True.", _EXPORT),
    Rule("portable.unrestored", _W, "portable", "The session loader restores every variable.", _EXPORT),
    Rule("portable.session-fails", _W, "portable", "The session loader loads and runs it with equal results.", _EXPORT),
    Rule("probe.does-not-load", _E, "servable", "TensorFlow loads it."),
    Rule("probe.nothing-runs", _E, "servable", "At least one signature runs."),
    Rule("probe.signature-fails", _W, None, "Every signature runs."),
    Rule("probe.inputs-refused", _W, None, "Signatures take the values the probe makes up.",
         "Call it with real inputs; the probe only knows types and shapes."),
    Rule("probe.spec-differs", _W, None, "Outputs have the types and shapes that the signature says."),
)  # fmt: skip
RULES = {rule.id: rule for rule in _TABLE}


def clip(text: str) -> str:
    """A name found in a model as it may be shown: printable and not too long."""
    shown = "".join(char if char.isprintable() else "�" for char in text[:MAX_TEXT_CHARS])
    return shown + "…" if len(text) > MAX_TEXT_CHARS else shown


def finding(rule_id: str, message: str, place: str = "", remedy: str | None = None) -> Finding:
    """What the rule of that id found."""
    rule = RULES[rule_id]
    return Finding(
        rule=rule.id,
        severity=rule.severity,
        message=message,
        place=place,
        remedy=rule.remedy if remedy is None else remedy,
    )


def bounded(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings, at most 20 of each rule and one that counts the others."""
    counts: dict[str, int] = {}
    for found in findings:
        counts[found.rule] = counts.get(found.rule, 0) + 1
        if counts[found.rule] <= MAX_FINDINGS_PER_RULE:
            yield found
    for rule_id, count in counts.items():
        if count > MAX_FINDINGS_PER_RULE and rule_id in RULES:
            yield finding(rule_id, f"and {count - MAX_FINDINGS_PER_RULE} more of the same kind")
