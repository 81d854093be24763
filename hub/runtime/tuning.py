"""Tuning: whether a loaded trunk can be trained on, found out by calling it with ``training=True`` under a tape.

The traces of ``__call__`` say how to call it: their structured signatures hold tensor specs where tensors go and the
very Python values (``True``) where a flag was traced.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from hub.domain.tensors import BY_NUMBER, TensorSpec
from hub.runtime.candidates import candidates, string_values
from hub.runtime.failures import describe


@dataclass(frozen=True, slots=True)
class TuningOutcome:
    """What calling the trunk for training did.

    Attributes:
        training_call: Whether a trace with ``training=True`` ran; None where there is none, or it liked no inputs.
        gradients_missing: Trainable variables that no gradient reaches; None where no trace ran.
        detail: Why it did not run.
    """

    training_call: bool | None
    gradients_missing: tuple[str, ...] | None
    detail: str = ""


def probe_tuning(root: Any) -> TuningOutcome | None:
    """Call a loaded trunk for training; None where it has no tuning face."""
    trainable = list(getattr(root, "trainable_variables", None) or ())
    call = root.__call__ if callable(root) else None
    traces = [trace.structured_input_signature for trace in getattr(call, "concrete_functions", ())]
    if not traces or not trainable:
        return None
    for_training = [trace for trace in traces if _holds_true(trace)]
    refused = ""
    for trace in for_training or traces:
        for arguments, keywords in _calls(trace):
            try:
                missing = _missing(root, arguments, keywords, trainable)
            except Exception as error:  # noqa: BLE001 - the trunk is other people's program: it may raise anything
                refused = refused or describe(error)
                continue
            return TuningOutcome(True if for_training else None, missing)
    return TuningOutcome(False if for_training else None, None, refused)


def _leaves(trace: Any) -> list[Any]:
    return tf.nest.flatten(trace)


def _holds_true(trace: Any) -> bool:
    return any(leaf is True for leaf in _leaves(trace))


def _calls(trace: Any) -> Iterator[tuple[Any, Any]]:
    """The trace's arguments with candidate tensors in the places of its specs."""
    places = [index for index, leaf in enumerate(_leaves(trace)) if isinstance(leaf, tf.TensorSpec)]
    specs = {str(index): _spec(str(index), _leaves(trace)[index]) for index in places}
    for candidate in candidates(specs, string_values(None)):
        leaves = _leaves(trace)
        for index in places:
            value: Any = candidate[str(index)]
            leaves[index] = tf.convert_to_tensor(value, leaves[index].dtype)
        yield tf.nest.pack_sequence_as(trace, leaves)


def _spec(name: str, spec: tf.TensorSpec) -> TensorSpec:
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    return TensorSpec(name=name, dtype=BY_NUMBER[spec.dtype.as_datatype_enum].name, shape=shape)


def _missing(root: Any, arguments: Any, keywords: Any, trainable: list[tf.Variable]) -> tuple[str, ...]:
    with tf.GradientTape() as tape:
        outputs = tf.nest.flatten(root(*arguments, **keywords))
        loss = tf.add_n([tf.reduce_sum(tf.cast(part, tf.float32)) for part in outputs if part.dtype.is_floating])
    gradients = tape.gradient(loss, trainable)
    return tuple(v.name for v, gradient in zip(trainable, gradients, strict=True) if gradient is None)
