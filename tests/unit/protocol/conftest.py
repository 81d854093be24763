"""Signatures that the codec tests speak about."""

from collections.abc import Callable

import pytest

from hub.domain.signatures import Signature
from hub.domain.tensors import Shape, TensorSpec

Specs = dict[str, tuple[str, Shape]]
Sign = Callable[..., dict[str, Signature]]


@pytest.fixture
def sign() -> Sign:
    """Makes one signature of ``{name: (dtype, shape)}`` for inputs and outputs, in a mapping by its name."""

    def make(
        inputs: Specs, outputs: Specs, name: str = "serving_default", method: str | None = None
    ) -> dict[str, Signature]:
        specs = [
            {key: TensorSpec(name=key, dtype=dtype, shape=shape) for key, (dtype, shape) in side.items()}
            for side in (inputs, outputs)
        ]
        return {name: Signature(name=name, inputs=specs[0], outputs=specs[1], method=method)}

    return make
