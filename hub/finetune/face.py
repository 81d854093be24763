"""The tuning face of a pulled SavedModel: how it is called, what may be trained.

Laws: the face keeps the loaded root alive (its functions lose their variables otherwise); ``trainable_variables`` is
the publisher's list and nothing more; ``training=True`` is asked for only where a trace for it exists.

Source: TensorFlow Hub, "Reusable SavedModels" (``reusable_saved_models.md``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import keras
import tensorflow as tf

from hub.domain.errors import InvalidModel, InvalidTensor
from hub.domain.signatures import SERVING_DEFAULT
from hub.finetune.naming import Nest

_REMEDY = "Export it with hub.finetune.export_trunk(model, path) and push that directory."


@dataclass(frozen=True, slots=True)
class Trace:
    """One traced form of ``__call__``: specs of its first argument, the value of ``training``, specs of the result."""

    inputs: Nest
    training: bool | None
    outputs: Nest


@dataclass(frozen=True, slots=True)
class Face:
    """A loaded SavedModel that can be called and trained.

    Attributes:
        root: What ``tf.saved_model.load`` gave.
        traces: At least one.
        takes_training: Whether ``__call__`` has a ``training`` argument.
        variables: Everything with state that a call reads.
        trainable_variables: What the publisher lets a fine-tuning move.
        regularization_losses: Functions without arguments, to add to the loss.
        signature: The serving signature that computes the same as ``__call__``; None where there is none.
        signature_outputs: That signature's outputs by name.
    """

    root: Any
    traces: tuple[Trace, ...]
    takes_training: bool
    variables: tuple[tf.Variable, ...]
    trainable_variables: tuple[tf.Variable, ...]
    regularization_losses: tuple[Callable[[], tf.Tensor], ...]
    signature: str | None
    signature_outputs: dict[str, tf.TensorSpec]

    @classmethod
    def load(cls, path: Path, name: str) -> Self:
        """Load a SavedModel, which errors call ``name``, and find its face.

        Raises:
            InvalidModel: TensorFlow cannot load it, or it is not callable.
        """
        try:
            root = tf.saved_model.load(str(path))
        except (OSError, ValueError, TypeError, AttributeError, KeyError, tf.errors.OpError) as error:
            reason = str(error).strip().partition("\n")[0][:300]
            raise InvalidModel(f"TensorFlow cannot load {name}: {reason}", remedy=_REMEDY) from error
        functions = getattr(root.__call__, "concrete_functions", ()) if callable(root) else ()
        if not functions:
            raise InvalidModel(f"{name} has signatures only and cannot be trained on.", remedy=_REMEDY)
        signature, outputs = _signature(root)
        return cls(
            root=root,
            traces=tuple(_trace(root, function) for function in functions),
            takes_training="training" in root.__call__.function_type.parameters,
            variables=_variables(root, functions),
            trainable_variables=tuple(getattr(root, "trainable_variables", ())),
            regularization_losses=tuple(getattr(root, "regularization_losses", ())),
            signature=signature,
            signature_outputs=outputs,
        )

    @property
    def inputs(self) -> Nest:
        """Specs of the first argument of a call."""
        return self.traces[0].inputs

    @property
    def outputs(self) -> Nest:
        """Specs of what a call returns."""
        return self.traces[0].outputs

    def trace_for(self, inputs: Nest) -> Trace:
        """The first trace that takes ``inputs``, which may be tensors or symbolic ones.

        Raises:
            InvalidTensor: None does; says why the first does not.
        """
        refusals = []
        for trace in self.traces:
            try:
                _check(inputs, trace.inputs)
            except InvalidTensor as refusal:
                refusals.append(refusal)
            else:
                return trace
        raise refusals[0]

    def __call__(self, inputs: Nest, *, training: bool) -> Nest:
        """Compute. A float input becomes the float of the trace and an integer its integer; nothing else is converted.

        Raises:
            InvalidTensor: No trace takes inputs of this structure, dtype, rank or fixed dimensions.
        """
        tensors = keras.tree.map_structure(tf.convert_to_tensor, inputs)
        fitted = _cast(tensors, self.trace_for(tensors).inputs)
        traced = {trace.training for trace in self.traces}
        if self.takes_training and training in traced:
            return self.root(fitted, training=training)
        if self.takes_training and False in traced:
            return self.root(fitted, training=False)
        return self.root(fitted)


def _check(inputs: Nest, specs: Nest) -> None:
    if isinstance(specs, dict):
        if not isinstance(inputs, dict) or inputs.keys() != specs.keys():
            raise _wrong_structure(specs)
        for key, spec in specs.items():
            _check(inputs[key], spec)
    elif isinstance(specs, (list, tuple)):
        if not isinstance(inputs, (list, tuple)) or len(inputs) != len(specs):
            raise _wrong_structure(specs)
        for value, spec in zip(inputs, specs, strict=True):
            _check(value, spec)
    elif isinstance(inputs, (dict, list, tuple)):
        raise _wrong_structure(specs)
    else:
        _check_tensor(tf.as_dtype(inputs.dtype), inputs.shape, specs)


def _check_tensor(dtype: tf.DType, shape: tf.TensorShape | Sequence[int | None], spec: tf.TensorSpec) -> None:
    is_castable = dtype == spec.dtype or _family(dtype) == _family(spec.dtype) != ""
    if not is_castable or not spec.shape.is_compatible_with(shape):
        raise InvalidTensor(
            f"The input is {dtype.name}{tf.TensorShape(shape)}, the trunk takes {_described(spec)}.",
            remedy="Convert the input before the trunk.",
        )


def _wrong_structure(specs: Nest) -> InvalidTensor:
    return InvalidTensor(f"The trunk takes {_described(specs)}.", remedy="Give the inputs that very structure.")


def _cast(inputs: Nest, specs: Nest) -> Nest:
    if isinstance(specs, dict):
        return {key: _cast(inputs[key], spec) for key, spec in specs.items()}
    if isinstance(specs, (list, tuple)):
        return type(specs)(_cast(value, spec) for value, spec in zip(inputs, specs, strict=True))
    return inputs if inputs.dtype == specs.dtype else tf.cast(inputs, specs.dtype)


def _family(dtype: tf.DType) -> str:
    if dtype.is_floating:
        return "float"
    return "int" if dtype.is_integer else ""


def _described(specs: Nest) -> str:
    described = keras.tree.map_structure(lambda spec: f"{spec.dtype.name}{spec.shape}", specs)
    return str(described).replace("'", "")


def _trace(root: Any, function: Any) -> Trace:
    positional, keywords = function.structured_input_signature
    parameters = list(root.__call__.function_type.parameters)
    bound = dict(zip(parameters, positional, strict=False)) | keywords
    training = bound.get("training")
    inputs = bound[parameters[0]]
    return Trace(inputs, training if isinstance(training, bool) else None, function.structured_outputs)


def _variables(root: Any, functions: Sequence[Any]) -> tuple[tf.Variable, ...]:
    """The published list, and what the functions read besides: lists may be left out, state may not."""
    listed = list(getattr(root, "variables", ())) + list(getattr(root, "trainable_variables", ()))
    captured = [variable for function in functions for variable in function.variables]
    return tuple({variable.ref(): variable for variable in [*listed, *captured]}.values())


def _signature(root: Any) -> tuple[str | None, dict[str, tf.TensorSpec]]:
    signatures = root.signatures
    name = SERVING_DEFAULT if SERVING_DEFAULT in signatures else next(iter(signatures), None)
    return name, dict(signatures[name].structured_outputs) if name else {}
