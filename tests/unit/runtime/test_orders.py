"""Orders travel as JSON."""

from pathlib import Path

import orjson

from hub.domain.signatures import Signature
from hub.domain.tensors import TensorSpec
from hub.runtime.orders import Choice, Order

SPEC = TensorSpec(name="x", dtype="float32", shape=(None, 2))


def test_an_order_is_the_same_after_the_journey() -> None:
    signature = Signature(name="s", inputs={"x": SPEC}, outputs={"y": SPEC}, is_stateful=True)
    order = Order(
        "sha256:0",
        Path("/snapshots/0"),
        "session",
        5,
        {"s": signature},
        "features",
        {"s": Choice("plain", True, {"plain": 1.0}, 4)},
        Path("/g.npz"),
    )
    assert Order.parse(orjson.loads(orjson.dumps(order.dump()))) == order
