"""Contracts: what callers of a version depend on, as the catalog has it. A part of several use cases, none itself."""

from hub.domain.interfaces import Contract
from hub.domain.manifest import Manifest
from hub.storage.catalog import Transaction


def contract(tx: Transaction, manifest: Manifest) -> Contract:
    """What callers of a version depend on."""
    return Contract(manifest.kind, tx.answered_signatures(manifest), manifest.tuning_face)
