"""Every change of an interface, what it means for callers, and by which rule."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.domain.interface_rules import RULES, Effect
from hub.domain.interfaces import Contract, compare, compared_with, next_interface
from hub.domain.manifest import Kind
from hub.domain.signatures import Signature, TuningFace, compose
from hub.domain.tensors import Shape, TensorSpec
from hub.domain.versions import State, Version

DOCUMENT = Path(__file__).parents[3] / "docs/reference/interfaces.md"
CLASSIFY, REGRESS, PREDICT = (f"tensorflow/serving/{verb}" for verb in ("classify", "regress", "predict"))
Sides = Mapping[str, TensorSpec]


def spec(shape: Shape = (None, 3), dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name="", dtype=dtype, shape=shape)


def sig(name: str, inputs: Sides, outputs: Sides, **more: Any) -> Signature:
    return Signature(name=name, inputs=dict(inputs), outputs=dict(outputs), **more)


def contract(*signatures: Signature, kind: Kind = Kind.TRUNK, face: TuningFace | None = None) -> Contract:
    return Contract(kind, {one.name: one for one in signatures}, face)


def takes(inputs: Sides, **more: Any) -> Contract:
    return contract(sig("serving_default", inputs, {"y": spec()}, **more))


def gives(outputs: Sides) -> Contract:
    return contract(sig("serving_default", {"x": spec()}, outputs))


def named(*names: str) -> Contract:
    """Signatures that differ in what they take, so that none is taken for another that was renamed."""
    return contract(*(sig(name, {f"x_{name}": spec()}, {"y": spec()}) for name in names))


def face(*inputs: TensorSpec, training: tuple[bool, ...] = (False, True), **more: Any) -> Contract:
    facts = {"variables": 8, "trainable_variables": 6, "outputs": (spec((None, 10)),), "arguments": {}} | more
    tuning = TuningFace(inputs=inputs or (spec(),), training_values=training, **facts)
    return contract(sig("f", {"x": spec()}, {"y": spec()}), face=tuning)


def gives_call(**outputs: TensorSpec) -> Contract:
    """A tuning face that gives these tensors, by name; ``bare`` is one without a name."""
    named_as = {key: "" if key == "bare" else key.replace("_", "/") for key in outputs}
    return face(outputs=tuple(one.model_copy(update={"name": named_as[key]}) for key, one in outputs.items()))


def through(inputs: Sides, outputs: Sides, **more: Any) -> Contract:
    return contract(sig("serving_default", inputs, outputs, **more))


def images(size: int | None, batch: int | None = None) -> TensorSpec:
    return spec((batch, size, size, 3))


def on_trunk(inputs: Sides, features: TensorSpec, outputs: Sides) -> Contract:
    """A head, as it is called: on its trunk's input."""
    trunk = sig("serving_default", inputs, {"features": features})
    head = sig("serving_default", {"in": spec((None, None))}, outputs)
    return Contract(Kind.HEAD, compose(trunk, {"serving_default": head}))


X, Y, A, B = {"x": spec()}, {"y": spec()}, {"a": spec((None, 1))}, {"b": spec((None, 2))}
LONE, FREE = spec((None, 10)), spec(None)
HEAD = on_trunk({"image": images(96)}, LONE, {"p": spec((None, 4))})
WORDS = {"words": spec((None,), "string")}
NO_FACE = contract(sig("f", X, Y))

# What was, what is, and the rules of the changes in order; no rule where nothing changed.
CHANGES: list[tuple[str, Contract, Contract, str]] = [
    ("nothing", takes(X), takes(X), ""),
    ("the order of inputs", takes(A | B), takes(B | A), ""),
    ("the order of outputs", gives(A | B), gives(B | A), ""),
    ("the order of signatures", named("a", "b"), named("b", "a"), ""),
    ("nothing to call, still", contract(), contract(), ""),
    ("a first signature", contract(), named("a"), "signature.added"),
    ("no signature any more", named("a"), contract(), "signature.removed"),
    ("one of two signatures goes", named("serving_default", "a"), named("serving_default"), "signature.removed"),
    ("one more signature", named("serving_default"), named("serving_default", "a"), "signature.added"),
    (
        "another name, the same tensors",
        contract(sig("serving_default", X, Y), sig("a", A, Y)),
        contract(sig("serving_default", X, Y), sig("b", A, Y)),
        "signature.renamed",
    ),
    ("the only signature has another name", contract(sig("a", X, Y)), contract(sig("b", X, Y)), "signature.renamed"),
    ("two twins: which was renamed is not known", contract(sig("a", X, Y)),
     contract(sig("b", X, Y), sig("c", X, Y)), "signature.removed signature.added signature.added default.removed"),
    ("the default goes, several stay", named("serving_default", "a", "b"), named("a", "b"),
     "signature.removed default.removed"),
    ("the default goes, one stays", named("serving_default", "a"), named("a"), "signature.removed default.moved"),
    ("the lone signature gets company", named("a"), named("a", "b"), "signature.added default.removed"),
    ("a default beside the lone one", named("a"), named("a", "serving_default"), "signature.added default.moved"),
    ("a default beside several", named("a", "b"), named("a", "b", "serving_default"), "signature.added default.added"),
    ("the lone one is left", named("a", "b"), named("a"), "signature.removed default.added"),
    ("calls begin to write variables", takes(X), takes(X, is_stateful=True), "signature.stateful"),
    ("calls stop writing variables", takes(X, is_stateful=True), takes(X), "signature.stateless"),
    ("classify becomes predict", takes(WORDS, method=CLASSIFY), takes(WORDS, method=PREDICT), "method.left"),
    ("classify becomes regress", takes(WORDS, method=CLASSIFY), takes(WORDS, method=REGRESS), "method.left"),
    ("regress loses its method", takes(WORDS, method=REGRESS), takes(WORDS), "method.left"),
    ("predict becomes classify", takes(WORDS, method=PREDICT), takes(WORDS, method=CLASSIFY), "method.changed"),
    ("no method becomes predict", takes(X), takes(X, method=PREDICT), "method.changed"),
    ("an input goes", takes(X | A), takes(X), "input.removed"),
    ("an input comes", takes(X), takes(X | A), "input.added"),
    ("an input for who took nothing", takes({}), takes(X), "input.added"),
    ("another name of an input", takes(X), takes({"z": spec()}), "input.renamed"),
    ("another name and another shape", takes(X), takes({"z": images(9)}), "input.removed input.added"),
    ("two could be the old one", takes(X), takes({"u": spec(), "v": spec()}), "input.removed input.added input.added"),
    ("a wider float comes in", takes({"x": spec(dtype="float16")}), takes(X), "input.dtype"),
    ("a narrower float comes in", takes(X), takes({"x": spec(dtype="bfloat16")}), "input.dtype"),
    ("a wider integer comes in", takes({"x": spec(dtype="int32")}), takes({"x": spec(dtype="int64")}), "input.dtype"),
    ("bytes for numbers", takes({"x": spec((None,), "string")}), takes({"x": spec((None,), "uint8")}), "input.dtype"),
    ("encoded pictures for pixels", takes({"x": images(96)}), takes({"x": spec((None,), "string")}),
     "input.dtype input.rank"),
    ("one more dimension", takes(X), takes({"x": spec((None, 3, 1))}), "input.rank"),
    ("[1] for a scalar", takes({"x": spec(())}), takes({"x": spec((1,))}), "input.rank"),
    ("a scalar for [1]", takes({"x": spec((1,))}), takes({"x": spec(())}), "input.rank"),
    ("larger pictures", takes({"x": images(224)}), takes({"x": images(299)}), "input.resized"),
    ("another fixed batch", takes({"x": images(9, 8)}), takes({"x": images(9, 16)}), "input.resized"),
    ("a batch of one only", takes({"x": images(9)}), takes({"x": images(9, 1)}), "input.narrowed"),
    ("pictures of one size only", takes({"x": images(None)}), takes({"x": images(224)}), "input.narrowed"),
    ("a known rank", takes({"x": FREE}), takes(X), "input.narrowed"),
    ("any batch", takes({"x": images(9, 1)}), takes({"x": images(9)}), "input.widened"),
    ("pictures of any size", takes({"x": images(224)}), takes({"x": images(None)}), "input.widened"),
    ("any rank", takes(X), takes({"x": FREE}), "input.widened"),
    ("a scalar or anything", takes({"x": spec(())}), takes({"x": FREE}), "input.widened"),
    ("any batch, one size", takes({"x": images(None, 1)}), takes({"x": images(9)}), "input.narrowed input.widened"),
    ("an output goes", gives(Y | A), gives(Y), "output.removed"),
    ("the only output goes", gives(Y), gives({}), "output.removed"),
    ("a second output", gives(Y), gives(Y | A), "output.not-alone"),
    ("a third output", gives(A | B), gives(A | B | Y), "output.added"),
    ("a first output", gives({}), gives(Y), "output.added"),
    ("a third output without rows", gives(A | B), gives(A | B | {"loss": spec(())}), "output.not-rows"),
    ("a third output of fixed rows", gives(A | B), gives(A | B | {"names": spec((10,), "string")}), "output.not-rows"),
    ("one more without rows", gives(A | {"loss": spec(())}), gives(A | {"loss": spec(()), "n": spec(())}),
     "output.added"),
    ("another name of an output", gives(Y), gives({"z": spec()}), "output.renamed"),
    ("a wider float goes out", gives({"y": spec(dtype="float16")}), gives(Y), "output.dtype"),
    ("a double goes out", gives(Y), gives({"y": spec(dtype="float64")}), "output.dtype"),
    ("labels for numbers", gives({"y": spec((None,), "int64")}), gives({"y": spec((None,), "string")}), "output.dtype"),
    ("a scalar goes out", gives({"y": spec((1,))}), gives({"y": spec(())}), "output.rank"),
    ("ten classes become twelve", gives({"y": LONE}), gives({"y": spec((None, 12))}), "output.resized"),
    ("any number of classes", gives({"y": LONE}), gives({"y": spec((None, None))}), "output.widened"),
    ("who knows what rank", gives({"y": LONE}), gives({"y": FREE}), "output.widened"),
    ("any rows for a fixed number", gives({"y": spec((1, 10))}), gives({"y": LONE}), "output.widened"),
    ("ten classes for any number", gives({"y": spec((None, None))}), gives({"y": LONE}), "output.narrowed"),
    ("one row for any number", gives({"y": LONE}), gives({"y": spec((1, 10))}), "output.rows-fixed"),
    ("a hundred boxes of any number", through({"x": spec((9, 9, 3))}, {"y": LONE}),
     through({"x": spec((9, 9, 3))}, {"y": spec((100, 10))}), "output.narrowed"),
    ("a rank at last", gives({"y": FREE}), gives({"y": LONE}), "output.narrowed"),
    ("a head's trunk takes other pictures", HEAD, on_trunk({"image": images(224)}, LONE, {"p": spec((None, 4))}),
     "input.resized"),
    ("a head's trunk names its input otherwise", HEAD, on_trunk({"img": images(96)}, LONE, {"p": spec((None, 4))}),
     "input.renamed"),
    ("a head's trunk has wider features", HEAD, on_trunk({"image": images(96)}, spec((None, 20)),
     {"p": spec((None, 4))}), ""),
    ("a head has more classes", HEAD, on_trunk({"image": images(96)}, LONE, {"p": spec((None, 5))}), "output.resized"),
    ("a head for a trunk", takes(X), Contract(Kind.HEAD, takes(X).signatures), "kind.changed"),
    ("no tuning face any more", face(), NO_FACE, "face.removed"),
    ("a tuning face at last", NO_FACE, face(), "face.added"),
    ("a head's tuning face", contract(kind=Kind.HEAD, face=face().tuning_face), contract(kind=Kind.HEAD), ""),
    ("__call__ takes two tensors", face(), face(spec(), spec()), "face.structure"),
    ("__call__ takes a dictionary", face(), face(TensorSpec(name="x", dtype="float32", shape=(None, 3))),
     "face.structure"),
    ("__call__ takes doubles", face(), face(spec(dtype="float64")), "face.dtype"),
    ("__call__ takes other ranks", face(), face(spec((None,))), "face.rank"),
    ("__call__ takes other pictures", face(images(96)), face(images(128)), "face.resized"),
    ("__call__ takes one size", face(images(None)), face(images(96)), "face.narrowed"),
    ("__call__ takes any size", face(images(96)), face(images(None)), "face.widened"),
    ("training=True is gone", face(), face(training=(False,)), "face.training-removed"),
    ("no training argument any more", face(training=(False,)), face(training=()), "face.training-removed"),
    ("training=True at last", face(training=(False,)), face(), "face.training-added"),
    ("a training argument", face(training=()), face(), "face.training-added face.training-added"),
    ("nothing to train any more", face(), face(trainable_variables=0), "face.frozen"),
    ("no list of what to train", face(), face(trainable_variables=None), "face.frozen"),
    ("no list of variables", face(), face(variables=None), "face.frozen"),
    ("something to train", face(trainable_variables=0), face(), "face.trainable"),
    ("more to train", face(), face(variables=10, trainable_variables=8), "face.variables"),
    ("__call__ gives features of another width", face(), gives_call(bare=spec((None, 20))), "face.gives-resized"),
    ("__call__ gives one tensor less", gives_call(a=LONE, b=LONE), gives_call(a=LONE), "face.gives-structure"),
    ("__call__ gives one more by name", gives_call(a=LONE), gives_call(a=LONE, b=LONE), "face.gives-more"),
    ("__call__ gives a tuple that is longer", face(outputs=(TensorSpec(name="0", dtype="float32", shape=(None, 3)),)),
     face(outputs=tuple(TensorSpec(name=name, dtype="float32", shape=(None, 3)) for name in "01")),
     "face.gives-structure"),
    ("__call__ gives a dictionary", face(), gives_call(features=LONE), "face.gives-structure"),
    ("__call__ gives halves", face(), gives_call(bare=spec((None, 10), "float16")), "face.gives-dtype"),
    ("__call__ gives maps, not vectors", face(), gives_call(bare=images(10)), "face.gives-rank"),
    ("__call__ gives any width", face(), gives_call(bare=spec((None, None))), "face.gives-widened"),
    ("__call__ gives a width at last", gives_call(bare=FREE), face(), "face.gives-narrowed"),
    ("the order of what __call__ gives", gives_call(a=LONE, b=FREE), gives_call(b=FREE, a=LONE), ""),
    ("a hyper-parameter is gone", face(arguments={"rate": True}), face(arguments={}), "face.argument-removed"),
    ("a hyper-parameter has another name", face(arguments={"rate": True}), face(arguments={"dropout": True}),
     "face.argument-removed face.argument-added"),
    ("a hyper-parameter", face(arguments={}), face(arguments={"rate": True}), "face.argument-added"),
    ("a mask that must be passed", face(arguments={}), face(arguments={"mask": False}), "face.argument-required"),
    ("a mask that must be passed now", face(arguments={"mask": True}), face(arguments={"mask": False}),
     "face.argument-required"),
    ("a mask that may be left out now", face(arguments={"mask": False}), face(arguments={"mask": True}),
     "face.argument-optional"),
    ("another loss", face(), face(regularization_losses=2), "face.losses"),
    # A stranger's questions.
    ("any number of rows, and no fixed one", through({"x": images(9, 1)}, {"y": spec((1, 10))}),
     through({"x": images(9)}, {"y": LONE}), "input.widened output.rows-freed"),
    ("any number of rows, but more classes", through({"x": images(9, 1)}, {"y": spec((1, 10))}),
     through({"x": images(9)}, {"y": spec((None, 12))}), "input.widened output.rows-freed output.resized"),
    ("any number of rows out, and one in", through({"x": images(9, 1)}, {"y": spec((1, 10))}),
     through({"x": images(9, 1)}, {"y": LONE}), "output.widened"),
    ("a fixed number of rows, in and out", through({"x": images(9)}, {"y": LONE}),
     through({"x": images(9, 4)}, {"y": spec((4, 10))}), "input.narrowed output.narrowed"),
    ("a mean over the batch", gives({"y": LONE}), gives({"y": spec((10,))}), "output.rank"),
    ("the batch dimension is gone", through({"x": images(9)}, {"y": LONE}),
     through({"x": spec((9, 9, 3))}, {"y": spec((10,))}), "input.rank output.rank"),
    ("a scalar beside the batch, then one row", through(X | {"t": spec(())}, {"y": LONE}),
     through(X | {"t": spec(())}, {"y": spec((1, 10))}), "output.rows-fixed"),
    ("two inputs change places", takes(A | B), takes({"a": B["b"], "b": A["a"]}), "input.resized input.resized"),
    ("two outputs change places", gives(A | B), gives({"a": B["b"], "b": A["a"]}), "output.resized output.resized"),
    ("both inputs have other names", takes(A | B), takes({"c": A["a"], "d": B["b"]}), "input.renamed input.renamed"),
    ("a name in other letters", takes({"Image": spec()}), takes({"image": spec()}), "input.renamed"),
    ("height and width change places", takes({"x": spec((None, 96, 128, 3))}), takes({"x": spec((None, 128, 96, 3))}),
     "input.resized"),
    ("channels first", takes({"x": images(96)}), takes({"x": spec((None, 3, 96, 96))}), "input.resized"),
    ("one dimension freed, another fixed", takes({"x": spec((None, 8, None))}), takes({"x": spec((None, None, 8))}),
     "input.narrowed input.widened"),
    ("texts of any shape, then a list of them", takes({"x": spec(None, "string")}), takes(WORDS | {}),
     "input.removed input.added"),
    ("a mask that may be left out, as a new input", takes(WORDS), takes(WORDS | {"mask": spec((None,), "bool")}),
     "input.added"),
    ("a ragged tensor becomes its parts", takes({"x": spec((None, None))}),
     takes({"x": spec((None,)), "x_row_splits": spec((None,), "int64")}), "input.rank input.added"),
    ("a variant goes out", gives({"y": LONE}), gives({"y": spec((None, 10), "variant")}), "output.dtype"),
    ("classes as their numbers", gives({"y": LONE}), gives({"y": spec((None,), "int64")}), "output.dtype output.rank"),
    ("one signature less, its method gone with it",
     contract(sig("serving_default", X, Y), sig("classify", WORDS, Y, method=CLASSIFY)),
     contract(sig("serving_default", X, Y)), "signature.removed"),
    ("another method, and what it takes", takes(WORDS, method=CLASSIFY), takes({"words": spec((None, 2), "string")}),
     "method.left input.rank"),
    ("stateful, and other classes", gives({"y": LONE}), through(X, {"y": spec((None, 12))}, is_stateful=True),
     "output.resized signature.stateful"),
    ("signatures change places", contract(sig("a", X, Y), sig("b", A, Y)), contract(sig("a", A, Y), sig("b", X, Y)),
     "input.removed input.added input.removed input.added"),
    ("trained only in part now", face(), face(trainable_variables=2), "face.variables"),
    ("training=True only", face(), face(training=(True,)), "face.training-removed"),
    ("a batch of one through __call__", face(), face(spec((1, 3))), "face.narrowed"),
    ("the face and a signature at once", face(), face(images(9), outputs=(images(9),)),
     "face.rank face.gives-rank"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "rules"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_every_change_has_its_rule_and_effect(before: Contract, after: Contract, rules: str):
    changes = compare(before, after)
    assert sorted(change.rule for change in changes) == sorted(rules.split())
    assert all(change.effect is RULES[change.rule].effect and change.message for change in changes)


def test_the_table_above_leaves_no_rule_out():
    assert {rule for *_, rules in CHANGES for rule in rules.split()} == RULES.keys()
    assert len(CHANGES) >= 50


def test_what_is_compatible_one_step_after_the_other_is_compatible_at_once():
    several = [one for row in CHANGES for one in row[1:3]]
    contracts = [one for index, one in enumerate(several) if one not in several[:index]]
    steps = {
        (i, j)
        for i, one in enumerate(contracts)
        for j, other in enumerate(contracts)
        if not any(change.is_breaking for change in compare(one, other))
    }
    after = {i: [j for k, j in steps if k == i] for i in range(len(contracts))}
    leaps = [(i, k) for i, j in steps for k in after[j] if (i, k) not in steps]
    assert leaps == []


def test_what_call_gives_and_takes_is_not_compared_where_one_of_them_does_not_say():
    unknown = face(outputs=None, arguments=None)
    assert compare(unknown, face()) == compare(face(), unknown) == []
    assert compare(unknown, face(arguments={"mask": False})) == compare(face(arguments={"mask": True}), unknown) == []
    assert "outputs" not in unknown.tuning_face.model_dump()
    assert "arguments" not in unknown.tuning_face.model_dump()
    assert {"outputs", "arguments"} <= face().tuning_face.model_dump().keys()


def test_a_change_says_where_it_is():
    change, *rest = compare(takes({"x": images(96)}), takes({"x": images(224)}))
    assert not rest
    assert (change.signature, change.side, change.tensor) == ("serving_default", "input", "x")
    assert change.message == ("input x of serving_default was resized from [?, 96, 96, 3] to [?, 224, 224, 3]")


def test_ten_thousand_inputs_are_compared_at_once():
    before = takes({f"x{number}": spec() for number in range(10_000)})
    after = takes({f"z{number}": spec((None, number)) for number in range(10_000)})
    assert len(compare(before, after)) == 20_000


def version(number: int, interface: int | None, state: State = State.READY) -> Version:
    facts = {
        "digest": "sha256:" + f"{number:064x}",
        "size": 1,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "created_by": "ines",
    }
    return Version(model="acme/x", number=number, kind=Kind.TRUNK, state=state, interface=interface, **facts)


def test_a_new_version_is_held_against_the_newest_that_is_ready():
    rejected, yanked = version(4, None, State.REJECTED), version(3, 2, State.YANKED)
    assert compared_with([]) is None
    assert compared_with([rejected]) is None
    assert compared_with([rejected, yanked, version(2, 1), version(1, 1)]) == version(2, 1)
    assert compared_with([rejected, yanked]) == yanked


def test_the_number_grows_past_every_one_that_was_given():
    breaks = compare(takes(X), takes(A))
    assert next_interface([], []) == 1
    assert next_interface([version(1, 1)], []) == 1
    assert next_interface([version(1, 1)], breaks) == 2
    assert next_interface([version(3, 2, State.YANKED), version(2, 1)], []) == 1
    assert next_interface([version(3, 2, State.YANKED), version(2, 1)], breaks) == 3


def test_the_documentation_has_the_same_table():
    rows = re.findall(r"^\| `([a-z.-]+)` \| ([\w*]+) \| (.+?) \| (.+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    wanted = [(rule.id, Effect(rule.effect).value, rule.change, rule.why) for rule in RULES.values()]
    assert [(a, b.strip("*"), c, d) for a, b, c, d in rows] == wanted
