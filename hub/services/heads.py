"""Heads: what a pushed head hangs on, and whether it fits. No use case of its own, but a part of push."""

from hub.domain.access import Principal
from hub.domain.errors import InvalidModel
from hub.domain.lineage import Edge, EdgeKind
from hub.domain.manifest import Draft, Kind, Manifest
from hub.domain.names import ModelName
from hub.domain.reports import Finding, Report, Severity, Verdict
from hub.domain.signatures import Signature, compose
from hub.domain.versions import State
from hub.storage.catalog import Transaction

MISFIT = "head.does-not-fit"


def trunk_signature(tx: Transaction, principal: Principal, draft: Draft) -> Signature | None:
    """The signature of the trunk a head hangs on; None for a trunk.

    Raises:
        InvalidModel: The trunk is no accepted version that who pushes may see, or has no such signature.
    """
    edge = next((edge for edge in draft.lineage if edge.kind is EdgeKind.HEAD_OF), None)
    if edge is None:
        return None
    signatures = _trunk_manifest(tx, principal, edge).signatures
    if edge.signature not in signatures:
        raise InvalidModel(
            f"{edge.model}@{edge.number} has no signature {edge.signature!r}; it has {sorted(signatures)}.",
            remedy="Name the trunk signature that gives the features.",
        )
    return signatures[edge.signature]


def _trunk_manifest(tx: Transaction, principal: Principal, edge: Edge) -> Manifest:
    reference = f"{edge.model}@{edge.number}"
    for version in tx.version_by_digest(edge.digest):
        if version.reference != reference:
            continue
        if version.kind is not Kind.TRUNK or version.state not in (State.READY, State.YANKED):
            continue
        model = tx.model(ModelName.parse(version.model))
        if model.is_private and not principal.sees(model.name):
            continue
        return tx.record(ModelName.parse(version.model), version.number).manifest
    raise InvalidModel(
        f"The head hangs on {reference} ({edge.digest}), which is no accepted trunk version of this hub.",
        remedy="Push the trunk first, then push the head with --head-of and the trunk's reference.",
    )


def with_fit(report: Report, trunk: Signature | None, heads: dict[str, Signature]) -> Report:
    """A head's report, with an error where its trunk cannot feed it."""
    if trunk is None:
        return report
    try:
        compose(trunk, heads)
    except InvalidModel as error:
        finding = Finding(rule=MISFIT, severity=Severity.ERROR, message=error.detail, remedy=error.remedy or "")
        reasons = (*report.servable.reasons, error.detail)
        return report.model_copy(
            update={"findings": (finding, *report.findings), "servable": Verdict(answer="no", reasons=reasons)}
        )
    return report
