"""The tuning face: what of a model can be trained on after a pull.

Law: what is not in the object graph is not there after loading; in particular Python properties are gone.

Source: TF Hub's "Reusable SavedModels"; ``FullArgSpec`` of ``inspect`` as TensorFlow saves it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from hub.domain.reports import Finding
from hub.domain.signatures import TuningFace
from hub.domain.tensors import TensorSpec
from hub.savedmodel.objects import ObjectGraph, SavedObject
from hub.savedmodel.rules import clip, finding
from hub.savedmodel.structures import (
    Opaque,
    Parameters,
    Structure,
    flatten,
    read_arguments,
    read_parameters,
    read_structure,
)
from hub.savedmodel.wire import Malformed


def read_tuning_face(objects: ObjectGraph) -> TuningFace | None:
    """The face of the root object; None where it is not callable."""
    call = objects.child(objects.root, "__call__") if objects.nodes else None
    if call is None or call.kind != "function" or not call.function_names():
        return None
    spec = call.function_spec()
    parameters = read_parameters(spec) if spec is not None else Parameters()
    traces = list(_traces(objects, call, parameters.names))
    values = {trace.training for trace in traces if trace.training is not None}
    shown = next((trace for trace in traces if not trace.training), traces[0] if traces else _Trace((), None, None, ()))
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
        arguments=_further(traces, parameters) if traces else None,
    )


def _further(traces: Sequence["_Trace"], parameters: Parameters) -> dict[str, bool]:
    """What is passed beside the first argument and ``training``, and whether it may be left out."""
    names = dict.fromkeys(name for trace in traces for name in trace.further)
    return {
        clip(name): name in parameters.with_default or not all(name in trace.further for trace in traces)
        for name in names
    }


def tuning_functions(objects: ObjectGraph) -> Iterator[str]:
    """Names of the functions that run when the model is trained on."""
    call = objects.child(objects.root, "__call__")
    yield from call.function_names() if call is not None else ()
    for node in objects.items(objects.root, "regularization_losses") or ():
        yield from objects.functions_of(node)


class _Trace(NamedTuple):
    """The first argument's specs, ``training``'s value, the results' specs, and the other arguments of a trace."""

    inputs: tuple[TensorSpec, ...]
    training: bool | None
    outputs: tuple[TensorSpec, ...] | None
    further: tuple[str, ...]


def _traces(objects: ObjectGraph, call: SavedObject, names: tuple[str, ...]) -> Iterator[_Trace]:
    """Every trace that can be read."""
    for name in call.function_names():
        trace = objects.functions.get(name)
        if trace is None or trace.arguments is None:
            continue
        try:
            arguments = read_arguments(trace.arguments)
        except Malformed:
            continue
        named = arguments.by_name(names)
        fed = _first_of(named, names) if not arguments.positional or names else None
        training = named.get("training")
        is_training = training if isinstance(training, bool) else None
        first = arguments.positional[0] if arguments.positional else named.get(fed or "")
        further = tuple(name for name in named if name not in (fed, "training"))
        yield _Trace(_specs(flatten(first)), is_training, _results(trace.results), further)


def _results(data: memoryview | None) -> tuple[TensorSpec, ...] | None:
    """The specs of what a trace gives; None where it gives something else than tensors, or that cannot be read."""
    try:
        found = None if data is None else list(flatten(read_structure(data)))
    except Malformed:
        return None
    if found is None or any(isinstance(spec, Opaque) for _, spec in found):
        return None
    return _specs(found)


def _first_of(named: dict[str, Structure], names: tuple[str, ...]) -> str | None:
    return next((name for name in (*names, *named) if name in named), None)


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
