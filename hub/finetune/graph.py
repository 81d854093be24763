"""Cuts a composite Keras model at its trunk.

Laws: the head that comes out shares the composite's layers, so that it has their weights; its inputs are exactly the
trunk outputs it uses, under the names that the trunk's serving signature gives them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from hub.domain.errors import InvalidModel
from hub.finetune.trunk import Trunk

WHOLE = "Export the whole model with hub.finetune.export_trunk and push that directory as a trunk."


@dataclass(frozen=True, slots=True)
class HeadCut:
    """The part of a composite above its trunk.

    Attributes:
        model: Takes the features in the order of ``features``.
        features: Spec of every trunk output that the head uses, by its name in the trunk's signature.
    """

    model: keras.Model
    features: dict[str, tf.TensorSpec]


@dataclass(slots=True)
class _Walk:
    """What is reached backwards from a model's outputs without passing through the trunk."""

    trunk: Trunk
    trunk_nodes: list[Any] = field(default_factory=list)
    used_outputs: set[int] = field(default_factory=set)
    inputs: list[str] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def back_from(self, tensors: Sequence[keras.KerasTensor]) -> None:
        pending = list(tensors)
        while pending:
            operation, node, tensor_index = _origin(pending.pop())
            if operation is self.trunk:
                self.used_outputs.add(tensor_index)
            if id(node) in self.seen:
                continue
            self.seen.add(id(node))
            if operation is self.trunk:
                self.trunk_nodes.append(node)
            elif node.is_input:
                self.inputs.append(operation.name)
            else:
                pending += node.input_tensors


def symbolic(model: keras.Layer, which: str) -> list[keras.KerasTensor]:
    """``model.inputs`` or ``model.outputs``; empty where the model has no graph of layers."""
    if not isinstance(model, keras.Model):
        return []
    try:
        return getattr(model, which, None) or []
    except (AttributeError, ValueError):
        return []


def trunks_in(model: keras.Layer) -> list[Trunk]:
    """Every trunk inside ``model``, however deep."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, Trunk)]  # noqa: SLF001


def head_above(model: keras.Model, trunk: Trunk) -> HeadCut:
    """The model from the trunk's outputs to ``model``'s outputs.

    Raises:
        InvalidModel: ``model`` has no graph of layers, does not have the trunk at its top level exactly once, or feeds
            the trunk or the head with anything but its own inputs and the trunk's outputs.
    """
    if not symbolic(model, "inputs") or not symbolic(model, "outputs"):
        raise InvalidModel(
            f"{model.name} does not show where its trunk ends and its head begins.",
            remedy="Build it with keras.Sequential or from keras.Input, and call it once.",
        )
    walk = _Walk(trunk)
    walk.back_from(model.outputs)
    node = _only_trunk_node(model, walk)
    names = feature_names(trunk)
    used = {names[index]: node.output_tensors[index] for index in sorted(walk.used_outputs)}
    features = {name: tf.TensorSpec(tensor.shape, tensor.dtype, name=name) for name, tensor in used.items()}
    return HeadCut(keras.Model(list(used.values()), _structured(model)), features)


def feature_names(trunk: Trunk) -> list[str]:
    """Per output of the trunk's ``__call__``, its name in the trunk's serving signature.

    Raises:
        InvalidModel: The two cannot be matched.
    """
    published = trunk.face.signature_outputs
    flat = keras.tree.flatten_with_path(trunk.face.outputs)
    if len(flat) == len(published) == 1:
        return list(published)
    by_key = ["_".join(str(part) for part in path) for path, _ in flat]
    by_count = [[f"{prefix}_{position}" for position in range(len(flat))] for prefix in ("features", "output")]
    for names in (by_key, *by_count):
        if set(names) <= published.keys():
            return names
    return [_alike(spec, published, trunk) for _, spec in flat]


def _alike(spec: tf.TensorSpec, published: Mapping[str, tf.TensorSpec], trunk: Trunk) -> str:
    names = [name for name, other in published.items() if (other.shape, other.dtype) == (spec.shape, spec.dtype)]
    if len(names) != 1:
        raise InvalidModel(
            f"Output {spec.dtype.name}{spec.shape} of {trunk.reference or trunk.name} is not one of the outputs of its"
            f" signature {trunk.face.signature}: {sorted(published)}.",
            remedy="Export a trunk that returns one tensor or a dict.",
        )
    return names[0]


def _only_trunk_node(model: keras.Model, walk: _Walk) -> Any:
    trunk = walk.trunk.reference or walk.trunk.name
    if not walk.trunk_nodes:
        raise InvalidModel(f"{model.name} does not have {trunk} among its own layers.", remedy=WHOLE)
    if len(walk.trunk_nodes) > 1:
        raise InvalidModel(f"{model.name} calls {trunk} more than once.", remedy=WHOLE)
    if walk.inputs:
        raise InvalidModel(f"Input {walk.inputs[0]} goes past {trunk} into the head.", remedy=WHOLE)
    trunk_node = walk.trunk_nodes[0]
    for tensor in trunk_node.input_tensors:
        operation, node, _ = _origin(tensor)
        if not node.is_input:
            raise InvalidModel(
                f"{operation.name} stands before {trunk}; a head only has what comes after its trunk.", remedy=WHOLE
            )
    return trunk_node


def _origin(tensor: Any) -> tuple[Any, Any, int]:
    """The layer that made a symbolic tensor, the node of that call, and which of its outputs it is."""
    operation, node_index, tensor_index = tensor._keras_history  # noqa: SLF001 - Keras has no public way
    return operation, operation._inbound_nodes[node_index], tensor_index  # noqa: SLF001


def _structured(model: keras.Model) -> Any:
    if isinstance(model, keras.Sequential):
        return model.outputs[0] if len(model.outputs) == 1 else model.outputs
    return model.output
