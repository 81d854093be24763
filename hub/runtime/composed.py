"""Heads on their trunks: the trunk's signature first, then the head's on what it gave.

Law: features go from one to the other as they are; where both are eager tensors they never leave the device.
"""

from collections.abc import Mapping

from hub.domain.signatures import pair_features
from hub.runtime.servable import Servable, Value, signature_of


def run_composed(
    trunk: Servable, trunk_signature: str, head: Servable, signature: str, inputs: Mapping[str, Value]
) -> dict[str, Value]:
    """Call a head's signature on its trunk's raw input.

    Raises:
        SignatureNotFound: The trunk or the head has no such signature.
        InvalidModel: The trunk's outputs cannot feed the head.
        Exception: Whatever TensorFlow raises.
    """
    pairs = pair_features(signature_of(trunk.order, trunk_signature), signature_of(head.order, signature))
    features = trunk.run(trunk_signature, inputs)
    return head.run(signature, {into: features[out] for into, out in pairs.items()})
