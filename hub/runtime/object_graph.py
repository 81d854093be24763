"""Servables through ``tf.saved_model.load``: one concrete function per signature.

A signature is wrapped once in a function of positional tensors that returns a list, and that concrete function is
called (it measured 10–26 % faster than the signature with keyword arguments). Stateful signatures answer as if freshly
loaded: the variables they hold are copied before and put back after; where they hold other resources, such as tables,
the version is loaded anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from hub.domain.errors import SignatureNotFound
from hub.domain.signatures import Signature
from hub.runtime.devices import Device
from hub.runtime.orders import Order
from hub.runtime.placement import on
from hub.runtime.servable import Value, in_order, signature_of


@dataclass(frozen=True, slots=True)
class _Call:
    """A signature ready to be called."""

    names: tuple[str, ...]
    outputs: tuple[str, ...]
    dtypes: tuple[tf.DType, ...]
    function: Any
    variables: tuple[tf.Variable, ...]
    holds_other_state: bool


class ObjectGraphServable:
    """A version loaded with ``tf.saved_model.load``."""

    def __init__(self, order: Order, device: Device) -> None:
        """Load the version.

        Raises:
            Exception: Whatever TensorFlow raises; a hostile file may make it raise anything.
        """
        self.order = order
        self._device = device
        self._load()

    def _load(self) -> None:
        with on(self._device):
            # The root must live as long as its functions: they reference its variables weakly.
            self.root: Any = tf.saved_model.load(str(self.order.root))
        self._calls: dict[str, _Call] = {}

    def run(self, signature: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Call a signature."""
        spec = signature_of(self.order, signature)
        call = self._call(signature)
        with on(self._device):
            pairs = zip(call.names, call.dtypes, strict=True)
            arguments = [tf.convert_to_tensor(inputs[name], dtype) for name, dtype in pairs]
            values = self._run_fresh(call, arguments) if spec.is_stateful else call.function(*arguments)
        return in_order(spec, dict(zip(call.outputs, values, strict=True)))

    def prepare(self, signature: str) -> None:
        """Make a signature ready to be called."""
        self._call(signature)

    def close(self) -> None:
        """Let go of the functions and the root."""
        self._calls.clear()
        self.root = None

    def _call(self, signature: str) -> _Call:
        if signature not in self._calls:
            self._calls[signature] = self._wrap(self.order.signatures[signature])
        return self._calls[signature]

    def _wrap(self, spec: Signature) -> _Call:
        function = self.root.signatures.get(spec.name)
        if function is None:
            raise SignatureNotFound(f"TensorFlow finds no signature {spec.name!r} in the version.")
        takes: dict[str, tf.TensorSpec] = function.structured_input_signature[1]
        names, outputs = tuple(takes), tuple(function.structured_outputs)

        def positional(*tensors: tf.Tensor) -> list[tf.Tensor]:
            answers = function(**dict(zip(names, tensors, strict=True)))
            return [answers[name] for name in outputs]

        specs = [tf.TensorSpec(take.shape, take.dtype, name=f"input_{at}") for at, take in enumerate(takes.values())]
        with on(self._device):
            concrete = tf.function(positional, input_signature=specs, autograph=False).get_concrete_function()
        variables = tuple(function.variables)
        handles = {id(variable.handle) for variable in variables}
        resources = [held for held in function.captured_inputs if held.dtype in (tf.resource, tf.variant)]
        other = any(id(held) not in handles for held in resources)
        return _Call(names, outputs, tuple(take.dtype for take in takes.values()), concrete, variables, other)

    def _run_fresh(self, call: _Call, arguments: list[tf.Tensor]) -> list[tf.Tensor]:
        before = [variable.read_value() for variable in call.variables]
        try:
            return call.function(*arguments)
        finally:
            if call.holds_other_state:
                self._load()
            else:
                for variable, value in zip(call.variables, before, strict=True):
                    variable.assign(value)
