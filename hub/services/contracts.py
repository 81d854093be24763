"""Contracts: what callers of a version depend on, as the catalog has it. A part of several use cases, none itself."""

from hub.domain.errors import InvalidModel
from hub.domain.interfaces import Contract
from hub.domain.manifest import Manifest
from hub.domain.names import ModelName
from hub.domain.signatures import Signature, compose
from hub.storage.catalog import Transaction


def contract(tx: Transaction, manifest: Manifest) -> Contract:
    """What callers of a version depend on."""
    return Contract(manifest.kind, answered_signatures(tx, manifest), manifest.tuning_face)


def answered_signatures(tx: Transaction, manifest: Manifest) -> dict[str, Signature]:
    """What the version answers to: a head's signatures on its trunk's input, where the two fit."""
    edge = manifest.trunk
    trunks = tx.version_by_digest(edge.digest) if edge else []
    if edge is None or not trunks:
        return manifest.signatures
    trunk = tx.record(ModelName.parse(trunks[0].model), trunks[0].number).manifest
    try:
        return compose(trunk.signatures[edge.signature], manifest.signatures)
    except (KeyError, InvalidModel):
        return manifest.signatures
