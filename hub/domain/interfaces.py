"""Interfaces: whether whoever calls one version can call another instead, change by change.

Laws: ``compare(a, a)`` is empty, and so is it where only the order of names differs; every change names its rule, and
the rule alone says whether it breaks; a version whose changes all are compatible keeps the interface number of the one
before; a breaking change is one that a caller who wrote to the old contract, and nothing else, would notice.

What the rules take a caller to depend on: names, dtypes and shapes as declared; that a call which names no signature
has an answer; outputs by name; for a trunk, that ``hub.trunk`` can call it and train it. A new output that shows in
TensorFlow Serving's JSON otherwise than by its name is told, and is compatible. ``docs/reference/interfaces.md`` shows
the table.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from hub.domain.errors import SignatureNotFound
from hub.domain.interface_rules import RULES, Effect
from hub.domain.manifest import Kind
from hub.domain.signatures import Signature, TuningFace, choose_signature
from hub.domain.tensors import Shape, TensorSpec, format_shape
from hub.domain.versions import State, Version

_Named = TypeVar("_Named")
_EXAMPLE_METHODS = ("tensorflow/serving/classify", "tensorflow/serving/regress")


@dataclass(frozen=True, slots=True)
class Contract:
    """What callers of a version depend on.

    ``signatures`` are those it answers to: a head's are on its trunk's input. ``tuning_face`` counts for trunks only.
    """

    kind: Kind
    signatures: Mapping[str, Signature]
    tuning_face: TuningFace | None = None


class InterfaceChange(BaseModel):
    """One difference between two contracts, by the rule that says what it means for callers.

    Attributes:
        rule: The rule's stable id.
        effect: Whether it breaks callers.
        signature: Which signature it is about; empty where it is about the version.
        side: ``input`` or ``output``; empty where it is about no tensor.
        tensor: The tensor's name before, or after where it is new.
        message: One clause that says what changed.
    """

    model_config = ConfigDict(frozen=True)

    rule: str
    effect: Effect
    signature: str = ""
    side: str = ""
    tensor: str = ""
    message: str

    @property
    def is_breaking(self) -> bool:
        """Whether a caller would notice."""
        return self.effect is Effect.BREAKING


def compare(before: Contract, after: Contract) -> list[InterfaceChange]:
    """What changed for callers of ``before`` that call ``after`` instead."""
    changes = []
    if before.kind is not after.kind:
        changes.append(_change("kind.changed", f"a {before.kind.value} became a {after.kind.value}"))
    changes += _signature_changes(before.signatures, after.signatures)
    if before.kind is after.kind is Kind.TRUNK:
        changes += _face_changes(before.tuning_face, after.tuning_face)
    return changes


def breaking(changes: Iterable[InterfaceChange]) -> list[InterfaceChange]:
    """Those that break callers."""
    return [change for change in changes if change.is_breaking]


def compared_with(versions: Iterable[Version]) -> Version | None:
    """Which version a new one is held against: the newest that is ready, else the newest that was accepted once.

    Args:
        versions: The model's, newest first.
    """
    accepted = [version for version in versions if version.interface is not None]
    return next((version for version in accepted if version.state is State.READY), next(iter(accepted), None))


def next_interface(versions: Sequence[Version], changes: Iterable[InterfaceChange]) -> int:
    """The interface number of a model's next version.

    Args:
        versions: The model's so far, newest first.
        changes: What the new one changes against `compared_with`.
    """
    before = compared_with(versions)
    if before is None:
        return 1
    if not breaking(changes):
        return before.interface or 1
    return max(version.interface or 1 for version in versions) + 1


def _change(rule: str, message: str, signature: str = "", side: str = "", tensor: str = "") -> InterfaceChange:
    return InterfaceChange(
        rule=rule, effect=RULES[rule].effect, signature=signature, side=side, tensor=tensor, message=message
    )


def _signature_changes(before: Mapping[str, Signature], after: Mapping[str, Signature]) -> Iterator[InterfaceChange]:
    renamed = _renamed_signatures(before, after)
    for name in sorted(before):
        if name in after:
            yield from _one_signature(before[name], after[name])
        elif name in renamed:
            yield _change("signature.renamed", f"signature {name} is now called {renamed[name]}", name)
        else:
            yield _change("signature.removed", f"signature {name} was removed", name)
    for name in sorted(after.keys() - before.keys() - set(renamed.values())):
        yield _change("signature.added", f"signature {name} was added", name)
    yield from _default_changes(before, after, renamed)


def _renamed_signatures(before: Mapping[str, Signature], after: Mapping[str, Signature]) -> dict[str, str]:
    gone = {name: before[name] for name in before if name not in after}
    new = {name: after[name] for name in after if name not in before}

    return _pairs(gone, new, _tensors)


def _pairs(
    gone: Mapping[str, _Named], new: Mapping[str, _Named], facts: Callable[[_Named], Hashable]
) -> dict[str, str]:
    """Old name to new name, where exactly one that is gone and exactly one that is new differ in the name only."""
    were, are = _by_facts(gone, facts), _by_facts(new, facts)
    return {names[0]: are[key][0] for key, names in were.items() if len(names) == len(are.get(key, ())) == 1}


def _by_facts(named: Mapping[str, _Named], facts: Callable[[_Named], Hashable]) -> dict[Hashable, list[str]]:
    names: dict[Hashable, list[str]] = {}
    for name, one in named.items():
        names.setdefault(facts(one), []).append(name)
    return names


def _tensors(signature: Signature) -> Hashable:
    sides = (signature.inputs, signature.outputs)
    return tuple(frozenset((key, spec.dtype, spec.shape) for key, spec in side.items()) for side in sides)


def _default_changes(
    before: Mapping[str, Signature], after: Mapping[str, Signature], renamed: Mapping[str, str]
) -> Iterator[InterfaceChange]:
    if not before or not after:
        return
    was, now = _default(before), _default(after)
    if was is None and now is not None:
        yield _change("default.added", f"a call that names no signature means {now}")
    elif was is not None and now is None:
        yield _change("default.removed", f"a call that names no signature meant {was} and means none")
    elif was is not None and now is not None and renamed.get(was, was) != now:
        yield _change("default.moved", f"a call that names no signature meant {was} and means {now}")


def _default(signatures: Mapping[str, Signature]) -> str | None:
    try:
        return choose_signature(signatures).name
    except SignatureNotFound:
        return None


def _one_signature(before: Signature, after: Signature) -> Iterator[InterfaceChange]:
    name = before.name
    yield from _side_changes(name, "input", before.inputs, after.inputs)
    rows = _row_rules(before, after)
    for key, rule in sorted(rows.items()):
        was, now = before.outputs[key], after.outputs[key]
        shapes = f"from {format_shape(was.shape)} to {format_shape(now.shape)}"
        yield _change(rule, f"the rows of output {key} of {name} changed {shapes}", name, "output", key)
    # What is told of the rows is not told again as a dimension like others.
    outputs = {
        key: _with_rows_of(spec, after.outputs[key]) if key in rows else spec for key, spec in before.outputs.items()
    }
    yield from _side_changes(name, "output", outputs, after.outputs)
    if before.is_stateful != after.is_stateful:
        word = "stateful" if after.is_stateful else "stateless"
        yield _change(f"signature.{word}", f"signature {name} became {word}", name)
    if before.method != after.method:
        rule = "method.left" if before.method in _EXAMPLE_METHODS else "method.changed"
        yield _change(rule, f"the method of {name} changed from {before.method} to {after.method}", name)


def _row_rules(before: Signature, after: Signature) -> dict[str, str]:
    """The outputs whose first dimension goes with the inputs', and what the change of it is."""
    took, takes = (
        {_first(spec.shape) for spec in signature.inputs.values() if spec.shape != ()} for signature in (before, after)
    )
    rules = {}
    for key in before.outputs.keys() & after.outputs.keys():
        was, now = before.outputs[key].shape, after.outputs[key].shape
        if not was or not now or len(was) != len(now) or was[0] == now[0] or takes != {None}:
            continue
        if was[0] is None and took == {None}:
            rules[key] = "output.rows-fixed"
        elif now[0] is None and took == {was[0]}:
            rules[key] = "output.rows-freed"
    return rules


def _with_rows_of(spec: TensorSpec, other: TensorSpec) -> TensorSpec:
    return spec.model_copy(update={"shape": (other.shape or ())[:1] + (spec.shape or ())[1:]})


def _side_changes(
    name: str, side: str, before: Mapping[str, TensorSpec], after: Mapping[str, TensorSpec]
) -> Iterator[InterfaceChange]:
    gone = {key: before[key] for key in before if key not in after}
    new = {key: after[key] for key in after if key not in before}
    renamed = _pairs(gone, new, lambda spec: (spec.dtype, spec.shape))
    for key in sorted(before):
        if key in after:
            for kind, message in _spec_changes(before[key], after[key]):
                yield _change(f"{side}.{kind}", f"{side} {key} of {name} {message}", name, side, key)
        elif key in renamed:
            yield _change(f"{side}.renamed", f"{side} {key} of {name} is now {renamed[key]}", name, side, key)
        else:
            yield _change(f"{side}.removed", f"{side} {key} of {name} was removed", name, side, key)
    had_rows = all(_first(spec.shape) is None for spec in before.values())
    for key in sorted(new.keys() - set(renamed.values())):
        rule = "input.added" if side == "input" else _added_output(len(before), new[key], had_rows=had_rows)
        yield _change(rule, f"{side} {key} was added to {name}", name, side, key)


def _added_output(before: int, new: TensorSpec, *, had_rows: bool) -> str:
    if before == 1:
        return "output.not-alone"
    return "output.not-rows" if before and had_rows and _first(new.shape) is not None else "output.added"


def _first(shape: Shape) -> int | None:
    """The size of the first dimension, None where it is free; 0 where there is none."""
    if shape is None:
        return None
    return shape[0] if shape else 0


def _spec_changes(before: TensorSpec, after: TensorSpec) -> Iterator[tuple[str, str]]:
    """What changed of one tensor, each with a clause that says it."""
    if before.dtype != after.dtype:
        yield "dtype", f"changed from {before.dtype} to {after.dtype}"
    shapes = f"from {format_shape(before.shape)} to {format_shape(after.shape)}"
    for kind in _shape_changes(before.shape, after.shape):
        verb = {"rank": "has other dimensions,", "resized": "was resized", "narrowed": "narrowed", "widened": "widened"}
        yield kind, f"{verb[kind]} {shapes}"


def _shape_changes(before: Shape, after: Shape) -> list[str]:
    if before == after:
        return []
    if before is None or after is None:
        return ["widened" if after is None else "narrowed"]
    if len(before) != len(after):
        return ["rank"]
    pairs = [(was, now) for was, now in zip(before, after, strict=True) if was != now]
    kinds = {"narrowed" if was is None else "widened" if now is None else "resized" for was, now in pairs}
    return sorted(kinds)


def _face_changes(before: TuningFace | None, after: TuningFace | None) -> Iterator[InterfaceChange]:
    if before is None or after is None:
        if before is not None:
            yield _change("face.removed", "the tuning face was removed")
        if after is not None:
            yield _change("face.added", "a tuning face was added")
        return
    yield from _face_inputs(before.inputs, after.inputs)
    if before.outputs is not None and after.outputs is not None:
        yield from _face_outputs(before.outputs, after.outputs)
    lost = set(before.training_values) - set(after.training_values)
    won = set(after.training_values) - set(before.training_values)
    for value in sorted(lost):
        yield _change("face.training-removed", f"__call__ no longer takes training={value}")
    for value in sorted(won):
        yield _change("face.training-added", f"__call__ takes training={value}")
    if before.arguments is not None and after.arguments is not None:
        yield from _face_arguments(before.arguments, after.arguments)
    yield from _face_variables(before, after)
    if before.regularization_losses != after.regularization_losses:
        losses = f"from {before.regularization_losses} to {after.regularization_losses}"
        yield _change("face.losses", f"regularization_losses changed {losses}")


def _face_inputs(before: tuple[TensorSpec, ...], after: tuple[TensorSpec, ...]) -> Iterator[InterfaceChange]:
    names = [[spec.name for spec in specs] for specs in (before, after)]
    if names[0] != names[1]:
        yield _change("face.structure", f"__call__ took {_listed(before)} and takes {_listed(after)}")
        return
    for was, now in zip(before, after, strict=True):
        what = f"the tensor {was.name} that __call__ takes" if was.name else "the tensor that __call__ takes"
        for kind, message in _spec_changes(was, now):
            yield _change(f"face.{kind}", f"{what} {message}")


def _face_outputs(before: tuple[TensorSpec, ...], after: tuple[TensorSpec, ...]) -> Iterator[InterfaceChange]:
    were, are = ({spec.name: spec for spec in specs} for specs in (before, after))
    new = are.keys() - were.keys()
    if were.keys() - are.keys() or any(name.rpartition("/")[2].isdecimal() for name in new) or (new and not were):
        yield _change("face.gives-structure", f"__call__ gave {_listed(before)} and gives {_listed(after)}")
        return
    if new:
        yield _change("face.gives-more", f"__call__ gives {', '.join(sorted(new))} too")
    for name, was in were.items():
        what = f"the tensor {name} that __call__ gives" if name else "the tensor that __call__ gives"
        for kind, message in _spec_changes(was, are[name]):
            yield _change(f"face.gives-{kind}", f"{what} {message}")


def _face_arguments(before: Mapping[str, bool], after: Mapping[str, bool]) -> Iterator[InterfaceChange]:
    for name in sorted(before.keys() - after.keys()):
        yield _change("face.argument-removed", f"__call__ no longer takes the argument {name}")
    for name in sorted(after.keys() - before.keys()):
        if after[name]:
            yield _change("face.argument-added", f"__call__ takes the argument {name}, which may be left out")
        else:
            yield _change("face.argument-required", f"__call__ must be given the argument {name} too")
    for name in sorted(before.keys() & after.keys()):
        if before[name] and not after[name]:
            yield _change(
                "face.argument-required", f"__call__ must be given the argument {name}, which could be left out"
            )
        if after[name] and not before[name]:
            yield _change("face.argument-optional", f"the argument {name} of __call__ may be left out")


def _listed(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(spec.name or f"one {spec.dtype} tensor" for spec in specs) or "nothing"


def _face_variables(before: TuningFace, after: TuningFace) -> Iterator[InterfaceChange]:
    was, now = ((face.variables, face.trainable_variables) for face in (before, after))
    if was == now:
        return
    message = f"variables and those to train changed from {_counts(was)} to {_counts(now)}"
    could, can = _is_trainable(before), _is_trainable(after)
    rule = "face.variables" if could is can else "face.trainable" if can else "face.frozen"
    yield _change(rule, message)


def _is_trainable(face: TuningFace) -> bool:
    return face.variables is not None and bool(face.trainable_variables)


def _counts(counts: tuple[int | None, int | None]) -> str:
    return " and ".join("no list" if count is None else f"{count:,}" for count in counts)
