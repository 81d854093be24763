"""Names of inputs and outputs that stay the same from one export to the next.

Keras numbers what nobody named (``keras_tensor_38``, ``dense_3``) by a counter of the whole process, so that the same
code gives another interface on its second run. Laws: a name a person gave is kept; a counted one is never used; every
name is a Python identifier, because TensorFlow rewrites others on one side of a signature only; no two are equal.
"""

import re
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from hub.domain.errors import InvalidModel

Nest = Any
"""A tensor spec, or lists, tuples and dicts of them."""

_COUNTED_INPUT = re.compile(r"(keras_tensor|input_layer)(_\d+)?")
_COUNT = re.compile(r"_\d+$")


def identifier(text: str) -> str:
    """``text`` with everything that is no letter, digit or underscore replaced by an underscore."""
    plain = re.sub(r"[^0-9A-Za-z_]", "_", text)
    return f"_{plain}" if plain[:1].isdigit() else plain


def input_names(specs: Nest) -> list[str]:
    """One name per input, in ``keras.tree`` order.

    A key of a dict wins over the spec's own name; a bare unnamed input is ``inputs``.

    Raises:
        InvalidModel: Two inputs would get the same name.
    """
    flat = keras.tree.flatten_with_path(specs)
    names = []
    for position, (path, spec) in enumerate(flat):
        default = "inputs" if len(flat) == 1 else f"inputs_{position}"
        names.append(_key_of(path) or _given_name(spec.name) or default)
    return _unique(names, "inputs")


def output_names(outputs: Nest, given: Sequence[str | None], single: str) -> list[str]:
    """One name per output, in ``keras.tree`` order.

    Args:
        outputs: What the model returned when it was traced.
        given: Per output, the name a person gave to the layer that makes it; shorter or empty where unknown.
        single: The name of an only output that has none; several get ``single_0``, ``single_1``.

    Raises:
        InvalidModel: Two outputs would get the same name.
    """
    flat = keras.tree.flatten_with_path(outputs)
    names = []
    for position, (path, _) in enumerate(flat):
        default = single if len(flat) == 1 else f"{single}_{position}"
        named = given[position] if position < len(given) else None
        names.append(_key_of(path) or (identifier(named) if named else default))
    return _unique(names, "outputs")


def layer_name(layer: keras.Layer) -> str | None:
    """The layer's name where a person chose it, None where Keras counted."""
    plain = _COUNT.sub("", layer.name).replace("_", "").lower()
    return None if plain == type(layer).__name__.replace("_", "").lower() else layer.name


def made_by(tensors: Nest) -> list[str | None]:
    """Per symbolic Keras tensor, the chosen name of the layer that makes it."""
    return [layer_name(tensor._keras_history.operation) for tensor in keras.tree.flatten(tensors)]  # noqa: SLF001


def named_spec(spec: tf.TensorSpec, name: str) -> tf.TensorSpec:
    """The same spec under another name."""
    return tf.TensorSpec(spec.shape, spec.dtype, name=name)


def _key_of(path: tuple[int | str, ...]) -> str | None:
    keys = [str(part) for part in path]
    return identifier("_".join(keys)) if any(isinstance(part, str) for part in path) else None


def _given_name(name: str | None) -> str | None:
    if not name or _COUNTED_INPUT.fullmatch(name):
        return None
    return identifier(name)


def _unique(names: list[str], what: str) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidModel(
            f"Two {what} of the model are both called {twice[0]!r}.",
            remedy=f"Give the {what} names that differ in letters, digits or underscores.",
        )
    return names
