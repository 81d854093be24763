"""The table of what a change of a version's interface means for its callers.

Laws: ids are stable, people and programs name them; a rule's effect is the same for every model;
``docs/reference/interfaces.md`` has these rows and no others (a test holds the two equal).
"""

from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """What a change means for whoever calls the version before."""

    BREAKING = "breaking"
    COMPATIBLE = "compatible"


@dataclass(frozen=True, slots=True)
class InterfaceRule:
    """One row: what changed, what that means, and why."""

    id: str
    effect: Effect
    change: str
    why: str


_B, _C = Effect.BREAKING, Effect.COMPATIBLE
_TABLE = (
    InterfaceRule("kind.changed", _B, "A trunk became a head, or a head a trunk", "Heads hang on trunks only."),
    InterfaceRule("signature.removed", _B, "A signature is gone", "Calls that name it are refused."),
    InterfaceRule(
        "signature.renamed", _B, "A signature has another name, and the same tensors", "Calls name the old one."
    ),
    InterfaceRule("signature.added", _C, "A signature is new", "Nobody calls it yet."),
    InterfaceRule("signature.stateful", _C, "Calls now write variables", "The hub answers each as freshly loaded."),
    InterfaceRule("signature.stateless", _C, "Calls no longer write variables", "Answers stay what they were."),
    InterfaceRule(
        "default.removed", _B, "A call that names no signature had an answer, and has none", "Such calls are refused."
    ),
    InterfaceRule(
        "default.moved",
        _B,
        "A call that names no signature is answered by another",
        "Who named none gets other answers.",
    ),
    InterfaceRule("default.added", _C, "A call need not name a signature any more", "Who names one goes on doing so."),
    InterfaceRule(
        "method.left",
        _B,
        "The method was classify or regress, and is another",
        "TensorFlow Serving refuses those calls.",
    ),
    InterfaceRule("method.changed", _C, "The method changed otherwise", "Predict calls are answered for any method."),
    InterfaceRule("input.removed", _B, "An input is gone", "Calls that send it are refused."),
    InterfaceRule(
        "input.renamed", _B, "An input has another name, dtype and shape are the same", "Calls send the old."
    ),
    InterfaceRule(
        "input.added", _B, "An input is new", "Calls must send every input: defaults of SignatureDef are not applied."
    ),
    InterfaceRule("input.dtype", _B, "An input's dtype changed, be it to a wider one", "Tensors are not converted."),
    InterfaceRule("input.rank", _B, "An input has more or fewer dimensions", "A scalar is not [1], nor the reverse."),
    InterfaceRule("input.resized", _B, "A fixed dimension of an input has another size", "The old size is refused."),
    InterfaceRule(
        "input.narrowed", _B, "An input's dimension or rank that was free is fixed", "What fitted may be refused."
    ),
    InterfaceRule(
        "input.widened", _C, "An input's dimension or rank that was fixed is free", "What fitted still fits."
    ),
    InterfaceRule("output.removed", _B, "An output is gone", "Callers read it."),
    InterfaceRule(
        "output.renamed", _B, "An output has another name, dtype and shape are the same", "Callers read the old."
    ),
    InterfaceRule("output.added", _C, "One more output beside several", "Callers read outputs by name."),
    InterfaceRule(
        "output.not-alone",
        _C,
        "A second output beside the only one",
        "Callers read by name; only TensorFlow Serving's JSON shows a lone output bare, and several in an object.",
    ),
    InterfaceRule(
        "output.not-rows",
        _C,
        "A new output without one row for each instance, where all had one",
        "Callers read by name; only TensorFlow Serving's row format asks for a row in every output.",
    ),
    InterfaceRule(
        "output.dtype", _B, "An output's dtype changed, be it to a wider one", "Callers and heads read the old."
    ),
    InterfaceRule("output.rank", _B, "An output has more or fewer dimensions", "A scalar is not [1], nor the reverse."),
    InterfaceRule("output.resized", _B, "A fixed dimension of an output has another size", "Callers rely on the size."),
    InterfaceRule(
        "output.widened", _B, "An output's dimension or rank that was fixed is free", "Callers rely on the size."
    ),
    InterfaceRule(
        "output.narrowed",
        _C,
        "An output's dimension or rank that was free is fixed",
        "Who takes any size takes this one.",
    ),
    InterfaceRule(
        "output.rows-fixed",
        _B,
        "An output's rows were free, as every input's are, and are a fixed number",
        "Who sends three rows gets no three answers.",
    ),
    InterfaceRule(
        "output.rows-freed",
        _C,
        "An output had as many rows as every input, a fixed number, and all of them are free",
        "Who sends the old number of rows gets as many back.",
    ),
    InterfaceRule("face.removed", _B, "A trunk lost its tuning face", "hub.trunk cannot call it."),
    InterfaceRule("face.added", _C, "A trunk got a tuning face", "Nobody trained through it."),
    InterfaceRule("face.structure", _B, "__call__ takes other names, or more or fewer tensors", "Models pass the old."),
    InterfaceRule("face.dtype", _B, "A tensor that __call__ takes has another dtype", "Traces do not convert."),
    InterfaceRule("face.rank", _B, "A tensor that __call__ takes has more or fewer dimensions", "No trace fits."),
    InterfaceRule("face.resized", _B, "A fixed dimension of what __call__ takes has another size", "No trace fits."),
    InterfaceRule("face.narrowed", _B, "A free dimension of what __call__ takes is fixed", "Perhaps no trace fits."),
    InterfaceRule("face.widened", _C, "A fixed dimension of what __call__ takes is free", "What fitted still fits."),
    InterfaceRule("face.gives-structure", _B, "__call__ gives other names, or fewer tensors", "Models read the old."),
    InterfaceRule("face.gives-more", _C, "__call__ gives more named tensors beside named ones", "Models read by name."),
    InterfaceRule("face.gives-dtype", _B, "A tensor that __call__ gives has another dtype", "Layers are built for it."),
    InterfaceRule("face.gives-rank", _B, "A tensor that __call__ gives has more or fewer dimensions", "So are shapes."),
    InterfaceRule(
        "face.gives-resized", _B, "A fixed dimension of what __call__ gives has another size", "Weights have the old."
    ),
    InterfaceRule(
        "face.gives-widened", _B, "A fixed dimension of what __call__ gives is free", "Weights need a known size."
    ),
    InterfaceRule(
        "face.gives-narrowed", _C, "A free dimension of what __call__ gives is fixed", "Who takes any takes this one."
    ),
    InterfaceRule(
        "face.training-removed", _B, "__call__ was traced for a value of training, and is not", "Such calls fail."
    ),
    InterfaceRule("face.training-added", _C, "__call__ was traced for one more value of training", "Nobody passes it."),
    InterfaceRule(
        "face.argument-removed", _B, "An argument of __call__ beside the first is gone", "Who passes it fails."
    ),
    InterfaceRule(
        "face.argument-required",
        _B,
        "__call__ takes one more argument that must be passed, or one that could be left out must be",
        "Nobody passes it.",
    ),
    InterfaceRule(
        "face.argument-added", _C, "__call__ takes one more argument that may be left out", "Nobody passes it."
    ),
    InterfaceRule("face.argument-optional", _C, "An argument that had to be passed may be left out", "All pass it."),
    InterfaceRule(
        "face.frozen", _B, "A trunk publishes no variables, or none to train, any more", "trainable=True is refused."
    ),
    InterfaceRule("face.trainable", _C, "A trunk publishes variables to train, and had none", "Nobody trained them."),
    InterfaceRule(
        "face.variables", _C, "The number of variables, or of those to train, changed", "Optimizers are built anew."
    ),
    InterfaceRule("face.losses", _C, "The number of regularization losses changed", "hub.trunk adds what there is."),
)
RULES = {rule.id: rule for rule in _TABLE}
