"""What a Keras model is pushed as: a trunk, or a head on the trunk it was built on.

Laws: a model on an unchanged trunk becomes a head that never holds the trunk's weights; a model whose trunk was
fine-tuned becomes a trunk that says what it came from; lineage is read from the model, never asked for.
"""

from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from hub.domain.errors import InvalidModel
from hub.domain.lineage import Edge, EdgeKind
from hub.domain.manifest import Kind
from hub.domain.names import parse_reference
from hub.domain.signatures import SERVING_DEFAULT
from hub.finetune.export import export_head, export_trunk
from hub.finetune.graph import trunks_in
from hub.finetune.trunk import Trunk


@dataclass(frozen=True, slots=True)
class PushParts:
    """What is sent: a SavedModel, what it is, and where it came from."""

    kind: Kind
    path: Path
    lineage: tuple[Edge, ...]


def export_for_push(model: keras.Layer | tf.Module, directory: Path) -> PushParts:
    """Export ``model`` the way it should be pushed.

    Args:
        model: What was trained.
        directory: A directory that is new or empty.

    Raises:
        InvalidModel: The model cannot be exported, is an unchanged pulled trunk, or stands on several unchanged ones.
    """
    trunks = trunks_in(model) if isinstance(model, keras.Layer) else []
    changed = [trunk for trunk in trunks if not trunk.is_unchanged()]
    if not trunks or changed:
        lineage = tuple(_edge(EdgeKind.FINETUNED_FROM, trunk) for trunk in changed if trunk.digest)
        return PushParts(Kind.TRUNK, export_trunk(model, directory), lineage)
    trunk = trunks[0]
    if isinstance(model, Trunk):
        raise InvalidModel(f"{model.reference or model.name} has not changed.", remedy="There is nothing to push.")
    if len(trunks) > 1:
        raise InvalidModel(
            f"{model.name} stands on {len(trunks)} trunks; a head stands on one.",
            remedy="Export it with hub.finetune.export_trunk and push that directory as a trunk.",
        )
    edge = _edge(EdgeKind.HEAD_OF, trunk)
    return PushParts(Kind.HEAD, export_head(model, trunk, directory), (edge,))


def _edge(kind: EdgeKind, trunk: Trunk) -> Edge:
    reference = parse_reference(trunk.reference) if trunk.reference else None
    if reference is None or reference.number is None or trunk.digest is None:
        raise InvalidModel(
            f"No hub knows the trunk {trunk.directory.name}.",
            remedy='Push the trunk first and build on hub.trunk("owner/name@1").',
        )
    return Edge(
        kind=kind,
        model=str(reference.model),
        number=reference.number,
        digest=trunk.digest,
        signature=trunk.face.signature or SERVING_DEFAULT,
    )
