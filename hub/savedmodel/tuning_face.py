"""The tuning face: what of a model can be trained on after a pull.

Law: what is not in the object graph is not there after loading; in particular Python properties are gone.

Source: TF Hub's "Reusable SavedModels"; ``FullArgSpec`` of ``inspect`` as TensorFlow saves it.
"""

from collections.abc import Iterator

from hub.domain.reports import Finding
from hub.domain.signatures import TuningFace
from hub.domain.tensors import TensorSpec
from hub.savedmodel.objects import ObjectGraph, SavedObject
from hub.savedmodel.rules import clip, finding
from hub.savedmodel.structures import Structure, argument_names, flatten, read_arguments
from hub.savedmodel.wire import Malformed


def read_tuning_face(objects: ObjectGraph) -> TuningFace | None:
    """The face of the root object; None where it is not callable."""
    call = objects.child(objects.root, "__call__") if objects.nodes else None
    if call is None or call.kind != "function" or not call.function_names():
        return None
    traces = list(_traces(objects, call))
    values = {value for _, value in traces if value is not None}
    variables = objects.items(objects.root, "variables")
    trainable = objects.items(objects.root, "trainable_variables")
    losses = objects.items(objects.root, "regularization_losses")
    return TuningFace(
        inputs=next((specs for specs, value in traces if not value), traces[0][0] if traces else ()),
        training_values=tuple(sorted(values)),
        variables=None if variables is None else len(variables),
        trainable_variables=None if trainable is None else len(trainable),
        regularization_losses=len(losses or ()),
    )


def tuning_functions(objects: ObjectGraph) -> Iterator[str]:
    """Names of the functions that run when the model is trained on."""
    call = objects.child(objects.root, "__call__")
    yield from call.function_names() if call is not None else ()
    for node in objects.items(objects.root, "regularization_losses") or ():
        yield from objects.functions_of(node)


def _traces(objects: ObjectGraph, call: SavedObject) -> Iterator[tuple[tuple[TensorSpec, ...], bool | None]]:
    """The first argument's specs and the value of ``training`` of every trace that can be read."""
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
        yield _specs(first), training if isinstance(training, bool) else None


def _first_of(named: dict[str, Structure], names: tuple[str, ...]) -> Structure:
    ordered = [named[name] for name in names if name in named] or list(named.values())
    return ordered[0] if ordered else None


def _specs(first: Structure) -> tuple[TensorSpec, ...]:
    found = ((path, spec) for path, spec in flatten(first) if isinstance(spec, TensorSpec))
    return tuple(TensorSpec(name=clip(path), dtype=spec.dtype, shape=spec.shape) for path, spec in found)


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
