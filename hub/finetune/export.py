"""``export_trunk`` and ``export_head``: SavedModels that a hub serves, trains on and hands out.

Laws: what is exported computes what the model computes, in both training modes; an export never holds a trunk's
weights when it is a head.
"""

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from hub.domain.errors import InvalidModel, InvalidRequest
from hub.finetune.graph import WHOLE, head_above, symbolic, trunks_in
from hub.finetune.naming import Nest, made_by
from hub.finetune.reusable import FEATURES, Loss, Parts, write_reusable
from hub.finetune.trunk import Trunk, resources_of

_SPECS = "Pass inputs=tf.TensorSpec([None, ...], dtype) to hub.finetune.export_trunk and push that directory"
_BUILD = "Call it once on real inputs, or build it from keras.Input."


def export_trunk(model: keras.Layer | tf.Module, path: str | Path, *, inputs: Nest = None) -> Path:
    """Write a SavedModel that is servable, tunable and portable, each weight stored once.

    ``serving_default`` takes the inputs by the names of their ``keras.Input`` (a dict model's keys, ``inputs`` where
    nobody named it) and gives ``features``, or a dict model's keys. Losses that a layer adds while it is called
    (``add_loss``, activity regularizers) are not part of a SavedModel; weight regularizers are.

    Args:
        model: A Keras 3 model or layer, or a ``tf.Module`` with ``__call__(inputs, training=False)``.
        path: A directory that is new or empty.
        inputs: Specs of the first argument, for what was not built from ``keras.Input``; None dimensions stay free.

    Returns:
        The directory.

    Raises:
        InvalidModel: The model has no weights yet, its inputs are unknown, or it cannot be traced.
        InvalidRequest: ``path`` holds something already, or ``inputs`` are no specs.
    """
    directory = Path(path)
    _require_specs(inputs)
    if isinstance(model, keras.Layer):
        parts = _keras_parts(model, _input_specs(model, inputs), FEATURES)
    else:
        parts = _module_parts(model, inputs)
    write_reusable(parts, directory)
    return directory


def export_head(model: keras.Model, trunk: Trunk, path: str | Path) -> Path:
    """Write what stands above ``trunk`` in ``model``, and nothing of the trunk.

    The inputs are named after the trunk's outputs, the outputs after the layers that make them (``output`` where
    nobody named the layer).

    Args:
        model: A Functional or Sequential model that contains ``trunk``.
        trunk: What ``hub.trunk`` gave, as it was pulled.
        path: A directory that is new or empty.

    Returns:
        The directory.

    Raises:
        InvalidModel: Something stands before the trunk or beside it, or the trunk changed since it was pulled.
        InvalidRequest: ``path`` holds something already.
    """
    directory = Path(path)
    if not trunk.is_unchanged():
        raise InvalidModel(
            f"The weights of {trunk.reference or trunk.name} changed since it was pulled; a head cannot hold them.",
            remedy=WHOLE,
        )
    cut = head_above(model, trunk)
    parts = _keras_parts(cut.model, None, "output")
    is_bare = len(cut.features) == 1
    inputs = next(iter(cut.features.values())) if is_bare else cut.features

    def call(features: Nest, training: bool) -> Nest:
        return cut.model(features if is_bare else [features[name] for name in cut.features], training=training)

    write_reusable(replace(parts, call=call, inputs=inputs), directory)
    return directory


def _keras_parts(model: keras.Layer, specs: Nest, single_output: str) -> Parts:
    outputs = symbolic(model, "outputs")
    is_features = single_output == FEATURES and len(outputs) == 1
    return Parts(
        call=lambda inputs, training: model(inputs, training=training),
        inputs=specs,
        variables=[variable.value for variable in model.variables],
        trainable_variables=[variable.value for variable in model.trainable_variables],
        regularization_losses=_keras_losses(model),
        resources=resources_of(model),
        output_layers=[] if is_features else made_by(outputs),
        single_output=single_output,
    )


def _keras_losses(model: keras.Layer) -> list[Loss]:
    losses = [_penalty(variable) for variable in model.trainable_variables if variable.regularizer is not None]
    tuned = [trunk for trunk in trunks_in(model) if trunk.trainable]
    return losses + [loss for trunk in tuned for loss in trunk.face.regularization_losses]


def _penalty(variable: keras.Variable) -> Loss:
    return lambda: variable.regularizer(variable)


def _input_specs(model: keras.Layer, given: Nest) -> Nest:
    if not model.built:
        raise InvalidModel(f"{model.name} has no weights yet.", remedy=_BUILD)
    if given is not None:
        return given
    if isinstance(model, Trunk):
        return model.face.inputs
    tensors = symbolic(model, "inputs")
    if not tensors:
        raise InvalidModel(
            f"{model.name} does not say what its inputs are.",
            remedy=f"{_SPECS}, or build the model from keras.Input.",
        )
    structure = tensors if isinstance(model, keras.Sequential) else model.input
    is_bare = len(tensors) == 1 and isinstance(structure, (list, tuple))
    return keras.tree.map_structure(_spec, tensors[0] if is_bare else structure)


def _require_specs(inputs: Nest) -> None:
    for spec in () if inputs is None else keras.tree.flatten(inputs):
        if not isinstance(spec, (tf.TensorSpec, keras.KerasTensor)):
            raise InvalidRequest(
                f"inputs= holds a {type(spec).__name__}, not a tf.TensorSpec.",
                remedy="Write inputs=tf.TensorSpec([None, 3], tf.float32), or lists and dicts of such.",
            )


def _spec(tensor: keras.KerasTensor) -> tf.TensorSpec:
    if tensor.sparse or tensor.ragged:
        raise InvalidModel(
            f"Input {tensor.name} is {'sparse' if tensor.sparse else 'ragged'}, which no serving protocol carries.",
            remedy="Take a dense tensor and convert it inside the model.",
        )
    return tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name)


def _module_parts(module: tf.Module, specs: Nest) -> Parts:
    if not isinstance(module, tf.Module) or not callable(module):
        raise InvalidModel(
            f"A {type(module).__name__} cannot be exported.",
            remedy="Give a Keras 3 model, or a tf.Module with __call__(inputs, training=False).",
        )
    if specs is None:
        raise InvalidModel(
            f"{type(module).__name__} does not say what its inputs are.",
            remedy=f"{_SPECS}.",
        )
    return Parts(
        call=_with_training(module),
        inputs=specs,
        variables=list(module.variables),
        trainable_variables=list(module.trainable_variables),
        regularization_losses=list(getattr(module, "regularization_losses", ())),
        resources=resources_of(module),
    )


def _with_training(module: Callable[..., Any]) -> Callable[[Nest, bool], Nest]:
    if "training" in inspect.signature(module.__call__).parameters:
        return lambda inputs, training: module(inputs, training=training)
    return lambda inputs, training: module(inputs)  # noqa: ARG005 - such a model is the same in both modes
