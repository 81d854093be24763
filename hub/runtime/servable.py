"""Servables: loaded versions, and what may be asked of them.

Laws: ``run`` gives exactly the signature's outputs, by name and in its order; every call finds the state as it was
loaded, whatever the call before it wrote; ``run`` may be called from several threads.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from hub.domain.errors import InvalidTensor, ModelFailed, SignatureNotFound
from hub.domain.signatures import Signature
from hub.domain.tensors import BY_NUMBER, check_tensor
from hub.runtime.orders import Order, WayName

Value = Any
"""A NumPy array or an eager TensorFlow tensor: what goes in and comes out stays on the device where it can."""


class Servable(Protocol):
    """A loaded version."""

    order: Order

    def run(self, signature: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Call a signature.

        Raises:
            SignatureNotFound: It has none of that name.
            Exception: Whatever TensorFlow raises.
        """
        ...

    def prepare(self, signature: str) -> None:
        """Make a signature ready to be called; ``run`` does it by itself where it was not done.

        Raises:
            Exception: Whatever TensorFlow raises; then no input can make it run.
        """
        ...

    def ways(self, signature: str) -> Iterator[tuple[WayName, Any]]:
        """Makers of the ways to call a signature, ``plain`` first, by name; see ``hub.runtime.ways``."""
        ...

    def adopt(self, signature: str, name: Any, way: Any) -> None:
        """Call a signature in that way from now on."""
        ...

    def settle(self) -> None:
        """Let go of what no adopted way needs; no other is made after that."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


def turn_of(order: Order) -> AbstractContextManager[Any]:
    """What calls of a version are made in: one at a time where any of its signatures changes its state."""
    is_stateful = any(signature.is_stateful for signature in order.signatures.values())
    return threading.Lock() if is_stateful else nullcontext()


def signature_of(order: Order, name: str) -> Signature:
    """A signature by name.

    Raises:
        SignatureNotFound: There is none; says which there are.
    """
    signature = order.signatures.get(name)
    if signature is None:
        raise SignatureNotFound(f"The version has no signature {name!r}.", remedy=f"It has {sorted(order.signatures)}.")
    return signature


def check_specs(signature: Signature, given: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
    """Compare names, types and shapes with the signature.

    Args:
        signature: What is called.
        given: Type and shape of each input by name.

    Raises:
        InvalidTensor: Something differs; names it.
    """
    missing = sorted(signature.inputs.keys() - given.keys())
    unknown = sorted(given.keys() - signature.inputs.keys())
    if missing or unknown:
        said = f"Input {missing[0]!r} is missing." if missing else f"The signature has no input {unknown[0]!r}."
        raise InvalidTensor(said, remedy=f"Send {sorted(signature.inputs)}.", missing=missing, unknown=unknown)
    for name, spec in signature.inputs.items():
        check_tensor(name, *given[name], spec)


def dtype_name(value: Value) -> str:
    """TensorFlow's name of a value's element type."""
    return BY_NUMBER[tf.as_dtype(value.dtype).as_datatype_enum].name


def in_order(signature: Signature, outputs: Mapping[str, Value]) -> dict[str, Value]:
    """The outputs a signature declares, in its order.

    Raises:
        ModelFailed: One is missing.
    """
    absent = [name for name in signature.outputs if name not in outputs]
    if absent:
        raise ModelFailed(f"Signature {signature.name!r} did not give output {absent[0]!r}.", signature=signature.name)
    return {name: outputs[name] for name in signature.outputs}


def as_array(value: Value) -> np.ndarray:
    """A value as an array; strings as an object array of ``bytes``.

    Raises:
        ModelFailed: It is no dense tensor.
    """
    if isinstance(value, tf.Tensor):
        value = value.numpy()
    if isinstance(value, bytes | str):
        return np.array(value, dtype=object)
    if not isinstance(value, np.ndarray | np.generic):
        raise ModelFailed(f"An output is a {type(value).__name__}, not a dense tensor.")
    return np.asarray(value)
