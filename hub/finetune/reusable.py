"""Writes SavedModels that are servable, tunable and portable at once, each weight stored a single time.

The form: a root object whose lists hold the *raw* TensorFlow variables, with the Keras model itself left untracked.
Keras wraps every variable in a second trackable object; a root that tracks both stores each weight twice, and one that
tracks only the wrapper cannot be run by TensorFlow's session loader, which TF Serving, C, Java and Go use.

Laws: the object that ``tf.saved_model.load`` gives is callable with ``training`` True and False; the bytes of the
variables are stored once; nothing but named tensors goes into or comes out of ``serving_default``.

Source: TensorFlow Hub, "Reusable SavedModels" (``reusable_saved_models.md``).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from hub.domain.errors import HubError, InvalidModel, InvalidRequest
from hub.domain.signatures import SERVING_DEFAULT
from hub.finetune.naming import Nest, input_names, named_spec, output_names

FEATURES = "features"
_RAISED = re.compile(r"\w*(Error|Exception): ")
Call = Callable[[Nest, bool], Nest]
Loss = Callable[[], tf.Tensor]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a reusable SavedModel is made of.

    Attributes:
        call: ``call(inputs, training)``, computed by TensorFlow.
        inputs: Specs of the first argument: one, or a list or dict of them.
        variables: Everything that has state, frozen or not.
        trainable_variables: The part of ``variables`` that a fine-tuning may move.
        regularization_losses: What to add to the loss while it does.
        resources: Vocabulary tables and the like that ``call`` uses.
        output_layers: Per output the name of the layer that makes it, None where nobody chose one.
        single_output: The name of an only output without a chosen name.
    """

    call: Call
    inputs: Nest
    variables: Sequence[tf.Variable]
    trainable_variables: Sequence[tf.Variable]
    regularization_losses: Sequence[Loss] = ()
    resources: Sequence[Any] = ()
    output_layers: Sequence[str | None] = ()
    single_output: str = FEATURES


def write_reusable(parts: Parts, path: Path) -> None:
    """Write ``parts`` as a SavedModel.

    Raises:
        InvalidModel: The model cannot be traced on its input specs, or names clash.
        InvalidRequest: ``path`` holds something already.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InvalidRequest(
            f"{path} exists and is not an empty directory.", remedy="Name a new directory, or delete this one."
        )
    names = input_names(parts.inputs)
    flat = keras.tree.flatten(parts.inputs)
    specs = [named_spec(spec, name) for spec, name in zip(flat, names, strict=True)]
    inputs = keras.tree.pack_sequence_as(parts.inputs, specs)
    try:
        root, serve = _build(parts, inputs, specs)
        tf.saved_model.save(root, str(path), signatures={SERVING_DEFAULT: serve})
    except HubError:
        raise
    except (TypeError, ValueError, RuntimeError, AttributeError, AssertionError, tf.errors.OpError) as error:
        raise InvalidModel(
            f"The model cannot be traced on {_listed(specs)}: {_reason(error)}",
            remedy="Make sure that it can be called as model(inputs, training=True) and with training=False.",
        ) from error


def _build(parts: Parts, inputs: Nest, specs: list[tf.TensorSpec]) -> tuple[tf.train.Checkpoint, Any]:
    call = parts.call
    function = tf.function(lambda inputs, training=False: call(inputs, training))
    traces = [function.get_concrete_function(inputs, training=training) for training in (False, True)]
    outputs = output_names(traces[0].structured_outputs, parts.output_layers, parts.single_output)

    def serve(named: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        packed = keras.tree.pack_sequence_as(inputs, [named[str(spec.name)] for spec in specs])
        flat = keras.tree.flatten(function(packed, training=False))
        return {name: tf.identity(tensor) for name, tensor in zip(outputs, flat, strict=True)}

    root = tf.train.Checkpoint()
    root.variables = _with_captured(parts.variables, traces)
    root.trainable_variables = list(parts.trainable_variables)
    root.regularization_losses = [_traced_loss(loss) for loss in parts.regularization_losses]
    root.resources = list(parts.resources)
    setattr(root, "__call__", function)  # noqa: B010 - a plain assignment would be read as a method of the class
    return root, tf.function(serve).get_concrete_function({str(spec.name): spec for spec in specs})


def _with_captured(variables: Sequence[tf.Variable], traces: Sequence[Any]) -> list[tf.Variable]:
    """``variables`` and whatever else the traces read: a variable that no list knows would not be saved at all."""
    known = {variable.ref() for variable in variables}
    captured = [variable for trace in traces for variable in trace.variables]
    extra = {variable.ref(): variable for variable in captured if variable.ref() not in known}
    return [*variables, *extra.values()]


def _traced_loss(loss: Loss) -> Any:
    function = tf.function(lambda: loss())
    function.get_concrete_function()
    return function


def _listed(specs: Sequence[tf.TensorSpec]) -> str:
    return ", ".join(f"{spec.name}: {spec.dtype.name}{spec.shape}" for spec in specs)


def _reason(error: BaseException) -> str:
    """The first line that says something: AutoGraph puts the stack of the model's own code before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    raised = [line for line in lines if _RAISED.match(line)]
    return (raised or lines or [type(error).__name__])[0][:300]
