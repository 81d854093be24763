"""Signatures and the tuning face: how a version is called and how it is trained on.

Law: ``compose`` gives the signature a head answers with when it is called on its trunk's input. What a change of
signatures means for callers is ``hub.domain.interfaces``' to say.
"""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from hub.domain.errors import InvalidModel, SignatureNotFound
from hub.domain.tensors import Shape, TensorSpec

SERVING_DEFAULT = "serving_default"


class Signature(BaseModel):
    """A named inference function: inputs and outputs by name.

    ``is_stateful`` claims that a call writes variables or tables; such a signature is run on a copy of the state.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    is_stateful: bool = False
    method: str | None = None


class TuningFace(BaseModel):
    """What makes a trunk trainable after a pull (TF Hub's Reusable SavedModel, ``reusable_saved_models.md``).

    Attributes:
        inputs: The specs of ``__call__``'s first argument, flattened; empty names where it is one bare tensor.
        training_values: Which values of ``training`` were traced; empty where ``__call__`` takes no such argument.
        variables: Number of entries in ``obj.variables``; None where the list is absent.
        trainable_variables: Number of entries in ``obj.trainable_variables``; None where the list is absent.
        regularization_losses: Number of functions in the list.
        outputs: The specs of what ``__call__`` gives, likewise; None where that was not written down, or cannot be
            said in tensors. Left out of JSON then, so that manifests from before it was written down keep their bytes.
        arguments: What ``__call__`` takes beside its first argument and ``training``, and whether it may be left out;
            None where that was not written down, and left out of JSON then, likewise.
    """

    model_config = ConfigDict(frozen=True)

    inputs: tuple[TensorSpec, ...]
    training_values: tuple[bool, ...]
    variables: int | None
    trainable_variables: int | None
    regularization_losses: int = 0
    outputs: tuple[TensorSpec, ...] | None = Field(default=None, exclude_if=lambda value: value is None)
    arguments: dict[str, bool] | None = Field(default=None, exclude_if=lambda value: value is None)


def choose_signature(signatures: Mapping[str, Signature], name: str | None = None) -> Signature:
    """The signature of that name; without a name ``serving_default``, else the only one there is.

    Raises:
        SignatureNotFound: There is none of that name, or no name was given and several could be meant.
    """
    if name is None:
        only = next(iter(signatures.values())) if len(signatures) == 1 else None
        found = signatures.get(SERVING_DEFAULT, only)
    else:
        found = signatures.get(name)
    if found is not None:
        return found
    wanted = f"signature {name[:120]!r}" if name is not None else "default signature"
    raise SignatureNotFound(
        f"There is no {wanted}.", remedy=f"Name one of {sorted(signatures)}.", signatures=sorted(signatures)
    )


def pair_features(trunk: Signature, head: Signature) -> dict[str, str]:
    """Which trunk output feeds which head input: by name, or the only one to the only one.

    Returns:
        Head input name to trunk output name.

    Raises:
        InvalidModel: An input has no output to feed it, or dtype or shape cannot fit.
    """
    if len(head.inputs) == 1 and len(trunk.outputs) == 1:
        pairs = {next(iter(head.inputs)): next(iter(trunk.outputs))}
    else:
        pairs = {key: key for key in head.inputs}
    for into, out in pairs.items():
        if out not in trunk.outputs:
            raise InvalidModel(
                f"Head input {into!r} is fed by no trunk output; the trunk gives {sorted(trunk.outputs)}.",
                remedy="Name the head's inputs after the trunk's outputs.",
            )
        have, want = trunk.outputs[out], head.inputs[into]
        if have.dtype != want.dtype or not _may_fit(have.shape, want.shape):
            raise InvalidModel(
                f"Trunk output {have} cannot feed head input {want}.",
                remedy="Push the head for the trunk version it was trained on.",
            )
    return pairs


def _may_fit(have: Shape, want: Shape) -> bool:
    if have is None or want is None:
        return True
    return len(have) == len(want) and all(a is None or b is None or a == b for a, b in zip(have, want, strict=True))


def compose(trunk: Signature, heads: Mapping[str, Signature]) -> dict[str, Signature]:
    """The signatures a head answers with on raw trunk input: the trunk's inputs, the head's outputs.

    Raises:
        InvalidModel: A head signature does not fit the trunk.
    """
    composed = {}
    for name, head in heads.items():
        pair_features(trunk, head)
        is_stateful = trunk.is_stateful or head.is_stateful
        composed[name] = Signature(name=name, inputs=trunk.inputs, outputs=head.outputs, is_stateful=is_stateful)
    return composed
