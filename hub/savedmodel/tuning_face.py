"""The tuning face: what of a model can be trained on after a pull.

Law: what is not in the object graph is not there after loading; in particular Python properties are gone.

Source: TF Hub's "Reusable SavedModels"; ``FullArgSpec`` of ``inspect`` as TensorFlow saves it.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hub.domain.reports import Finding
from hub.domain.signatures import TuningFace
from hub.domain.tensors import TensorSpec
from hub.savedmodel.objects import ObjectGraph, SavedObject
from hub.savedmodel.rules import clip, finding
from hub.savedmodel.structures import Opaque, Structure, argument_names, flatten, read_arguments, read_structure
from hub.savedmodel.wire import Malformed


def read_tuning_face(objects: ObjectGraph) -> TuningFace | None:
    """The face of the root object; None where it is not callable."""
    call = objects.child(objects.root, "__call__") if objects.nodes else None
    if call is None or call.kind != "function" or not call.function_names():
        return None
    traces = list(_traces(objects, call))
    values = {trace.training for trace in traces if trace.training is not None}
    shown = next((trace for trace in traces if not trace.training), traces[0] if traces else _Trace((), None, None))
    variables = objects.items(objects.root, "variables")
    trainable = objects.items(objects.root, "trainable_variables")
    losses = objects.items(objects.root, "regularization_losses")
    return TuningFace(
        inputs=shown.inputs,
        training_values=tuple(sorted(values)),
        variables=None if variables is None else len(variables),
        trainable_variables=None if trainable is None else len(trainable),
        regularization_losses=len(losses or ()),
        outputs=shown.outputs,
    )


def tuning_functions(objects: ObjectGraph) -> Iterator[str]:
    """Names of the functions that run when the model is trained on."""
    call = objects.child(objects.root, "__call__")
    yield from call.function_names() if call is not None else ()
    for node in objects.items(objects.root, "regularization_losses") or ():
        yield from objects.functions_of(node)


class _Trace(NamedTuple):
    """The first argument's specs, the value of ``training`` and the results' specs of a trace."""

    inputs: tuple[TensorSpec, ...]
    training: bool | None
    outputs: tuple[TensorSpec, ...] | None


def _traces(objects: ObjectGraph, call: SavedObject) -> Iterator[_Trace]:
    """Every trace that can be read."""
    spec = call.function_spec()
    names = argument_names(spec) if spec is not None else ()
    for name in call.function_names():
        trace = objects.functions.get(name)
        if trace is None or trace.arguments is None:
            continue
        try:
            arguments = read_arguments(trace.arguments)
        except Malformed:
            continue
        named = arguments.by_name(names)
        first = arguments.positional[0] if arguments.positional else _first_of(named, names)
        training = named.get("training")
        is_training = training if isinstance(training, bool) else None
        yield _Trace(_specs(flatten(first)), is_training, _results(trace.results))


def _results(data: memoryview | None) -> tuple[TensorSpec, ...] | None:
    """The specs of what a trace gives; None where it gives something else than tensors, or that cannot be read."""
    try:
        found = None if data is None else list(flatten(read_structure(data)))
    except Malformed:
        return None
    if found is None or any(isinstance(spec, Opaque) for _, spec in found):
        return None
    return _specs(found)


def _first_of(named: dict[str, Structure], names: tuple[str, ...]) -> Structure:
    ordered = [named[name] for name in names if name in named] or list(named.values())
    return ordered[0] if ordered else None


def _specs(found: Iterable[tuple[str, TensorSpec | Opaque]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=clip(path), dtype=spec.dtype, shape=spec.shape)
        for path, spec in found
        if isinstance(spec, TensorSpec)
    )


def check_tuning(face: TuningFace | None) -> Iterator[Finding]:
    """Why the model cannot be trained on."""
    if face is None:
        yield finding("tuning.no-call", "The model has no __call__ that could be trained through.")
        return
    if face.variables is None or not face.trainable_variables:
        which = "trainable_variables" if face.variables is not None else "variables"
        yield finding("tuning.no-variables", f"The model has no list {which}, so nobody knows what to train.")
    if face.training_values not in ((), (False, True)):
        only = face.training_values[0]
        yield finding("tuning.no-training", f"__call__ was traced for training={only} only.")
