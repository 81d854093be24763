"""Signatures as the loader sees them.

Laws: for a TensorFlow 2 model they come from the object graph's signature map, which is what ``tf.saved_model.load``
gives; ``signature_def``, which TensorFlow Serving shows, is only compared with it. A TensorFlow 1 model has nothing
but ``signature_def``. A signature whose inputs or outputs are not plain named tensors is left out, with a finding.

Source: ``load.py``, ``signature_serialization.py``, ``load_v1_in_v2.py``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hub.domain.reports import Finding
from hub.domain.signatures import Signature
from hub.domain.tensors import Shape, TensorSpec, format_shape
from hub.savedmodel.metagraph import MetaGraph, SignatureDef, TensorInfo
from hub.savedmodel.objects import ObjectGraph, SavedObject
from hub.savedmodel.rules import clip, finding
from hub.savedmodel.structures import Opaque, Structure, flatten, read_arguments, read_structure
from hub.savedmodel.tensor_proto import dtype_name
from hub.savedmodel.wire import Malformed

_UNCALLABLE_DTYPES = {"resource", "variant"}
_MAX_NAME_CHARS = 512
_SHOWN_UNREADABLE = 3
_ODD = set("<>\"'`\\{}|^")


@dataclass(frozen=True, slots=True)
class Reading:
    """A signature with what runs it.

    Attributes:
        signature: As people call it; ``is_stateful`` is not known yet.
        functions: The functions it calls (object graph), or none.
        tensors: The tensors of the main graph it fetches (``signature_def``).
        inputs: The tensors of the main graph it feeds (``signature_def``).
    """

    signature: Signature
    functions: tuple[str, ...]
    tensors: tuple[str, ...]
    inputs: tuple[str, ...]


def read_signatures(meta: MetaGraph) -> tuple[dict[str, Reading], list[Finding]]:
    """Every signature the hub can serve, and what is wrong with the others."""
    findings: list[Finding] = []
    readings: dict[str, Reading] = {}
    mapped = _signature_map(meta.objects) if meta.objects is not None else None
    for name in sorted(mapped if mapped is not None else meta.signatures):
        try:
            if meta.objects is not None and mapped is not None:
                readings[name] = _from_objects(name, meta, meta.objects, mapped[name])
            else:
                readings[name] = _from_definition(name, meta.signatures[name])
        except Malformed as error:
            message = f"Signature {clip(name)} cannot be served: {error}."
            findings.append(finding("signature.unreadable", message, f"signature {clip(name)}"))
    findings += _check_names(readings)
    findings += _check_defaults(readings, meta.signatures)
    if mapped is not None:
        findings += _compare(readings, meta.signatures, set(mapped))
    if not readings:
        unreadable = [found.message for found in findings if found.rule == "signature.unreadable"]
        message = " ".join(["The model has no signature that can be served.", *unreadable[:_SHOWN_UNREADABLE]])
        findings.append(finding("signature.none", message))
    return readings, findings


def _signature_map(objects: ObjectGraph) -> dict[str, SavedObject]:
    held = objects.child(objects.root, "signatures") if objects.nodes else None
    if held is None:
        return {}
    children = ((name, objects.at(node)) for name, node in held.children)
    return {name: found for name, found in children if found is not None and found.function_names()}


def _from_objects(name: str, meta: MetaGraph, objects: ObjectGraph, found: SavedObject) -> Reading:
    functions = found.function_names()
    trace = objects.functions.get(functions[0])
    if trace is None or trace.arguments is None or trace.results is None:
        raise Malformed("its function is not described")
    inputs = {}
    arguments = read_arguments(trace.arguments)
    for path, spec in [*_flat_positional(arguments.positional), *flatten(dict(arguments.keyword))]:
        _add_tensor(inputs, path, spec)
    outputs: dict[str, TensorSpec] = {}
    for path, spec in flatten(read_structure(trace.results)):
        _add_tensor(outputs, path, spec)
    definition = meta.signatures.get(name)
    return Reading(
        Signature(
            name=name, inputs=inputs, outputs=outputs, method=(clip(definition.method) or None) if definition else None
        ),
        functions,
        tuple(info.tensor for info in definition.outputs.values()) if definition else (),
        tuple(info.tensor for info in definition.inputs.values()) if definition else (),
    )


def _flat_positional(values: tuple[Structure, ...]) -> Iterator[tuple[str, TensorSpec | Opaque]]:
    for value in values:
        if isinstance(value, TensorSpec):
            yield value.name, value
        else:
            yield from flatten(value)


def _add_tensor(into: dict[str, TensorSpec], path: str, spec: TensorSpec | Opaque) -> None:
    if isinstance(spec, Opaque):
        raise Malformed(f"{clip(path) or 'one argument'} is {clip(spec.kind)}")
    if not path:
        raise Malformed("a tensor has no name")
    if spec.dtype in _UNCALLABLE_DTYPES:
        raise Malformed(f"{clip(path)} is a {spec.dtype}")
    into[path] = TensorSpec(name=path, dtype=spec.dtype, shape=spec.shape)


def _from_definition(name: str, definition: SignatureDef) -> Reading:
    inputs: dict[str, TensorSpec] = {}
    outputs: dict[str, TensorSpec] = {}
    for into, infos in ((inputs, definition.inputs), (outputs, definition.outputs)):
        for key, info in infos.items():
            if not info.tensor:
                raise Malformed(f"{clip(key)} is a sparse or composite tensor")
            _add_tensor(into, key, TensorSpec(name=key, dtype=dtype_name(info.dtype), shape=info.shape))
    if not outputs:
        raise Malformed("it has no output")
    return Reading(
        Signature(name=name, inputs=inputs, outputs=outputs, method=clip(definition.method) or None),
        (),
        tuple(info.tensor for info in definition.outputs.values()),
        tuple(info.tensor for info in definition.inputs.values()),
    )


def _check_names(readings: dict[str, Reading]) -> Iterator[Finding]:
    """Report odd names; drop signatures whose names cannot be written down everywhere."""
    for name, reading in list(readings.items()):
        signature = reading.signature
        names = (name, *signature.inputs, *signature.outputs)
        place = f"signature {clip(name)}"
        if any(not each or not each.isprintable() or len(each) > _MAX_NAME_CHARS for each in names):
            del readings[name]
            message = f"Signature {clip(name)} cannot be served: a name is empty, too long or not printable."
            yield finding("signature.unreadable", message, place, "Give it printable names.")
        elif any(_ODD & set(each) for each in names):
            yield finding("signature.name", f"Signature {clip(name)} has unusual characters in its names.", place)


def _check_defaults(readings: Mapping[str, Reading], definitions: Mapping[str, SignatureDef]) -> Iterator[Finding]:
    for name in readings.keys() & definitions.keys():
        if definitions[name].defaults:
            inputs = ", ".join(map(clip, definitions[name].defaults))
            message = f"Signature {clip(name)} has default values for {inputs}."
            yield finding("signature.defaults", message, f"signature {clip(name)}")


def _compare(
    readings: Mapping[str, Reading], definitions: Mapping[str, SignatureDef], mapped: set[str]
) -> Iterator[Finding]:
    for name in sorted(mapped ^ definitions.keys()):
        where = "the object graph" if name in mapped else "signature_def"
        yield finding("signature.set-differs", f"Signature {clip(name)} is only in {where}.", f"signature {clip(name)}")
    for name, reading in readings.items():
        definition = definitions.get(name)
        if definition is None:
            continue
        signature = reading.signature
        yield from _compare_tensors(name, "input", signature.inputs, definition.inputs)
        yield from _compare_tensors(name, "output", signature.outputs, definition.outputs)


def _compare_tensors(
    name: str, side: str, specs: Mapping[str, TensorSpec], infos: Mapping[str, TensorInfo]
) -> Iterator[Finding]:
    place = f"signature {clip(name)}"
    for key in sorted(specs.keys() ^ infos.keys()):
        where = "its function" if key in specs else "signature_def"
        yield finding("signature.set-differs", f"{side.capitalize()} {clip(key)} is only in {where}.", place)
    for key in sorted(specs.keys() & infos.keys()):
        spec, info = specs[key], infos[key]
        claimed = dtype_name(info.dtype) if info.tensor else "composite"
        if claimed == spec.dtype and not _excludes(info.shape, spec.shape):
            continue
        message = (
            f"signature_def says that {side} {clip(key)} is {claimed}{format_shape(info.shape)}, "
            f"its function has {spec.dtype}{format_shape(spec.shape)}."
        )
        yield finding("signature.contradiction", message, place)


def _excludes(one: Shape, other: Shape) -> bool:
    """Whether no concrete shape fits both."""
    if one is None or other is None:
        return False
    return len(one) != len(other) or any(
        a is not None and b is not None and a != b for a, b in zip(one, other, strict=True)
    )
