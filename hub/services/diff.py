"""Diff: what differs between two versions, of one model or of two, from what the catalog has of them.

Laws: nobody downloads anything, the hub itself reads only the bytes that tell how far tensors moved
(``hub.services.drift``); an answer is bounded, whatever the versions are; a private model is absent for whoever may not
see it, and private heads are only counted.
"""

from dataclasses import dataclass
from typing import Literal

from hub.domain.access import Principal, Scope
from hub.domain.curves import MAX_CURVES, Curve
from hub.domain.errors import InvalidModel
from hub.domain.interfaces import Contract, InterfaceChange, breaking, compare
from hub.domain.manifest import Kind
from hub.domain.names import ModelName, parse_reference
from hub.domain.signatures import Signature, compose
from hub.domain.versions import State, Version
from hub.protocol.diffs import MAX_ROWS, HeadRow, Heads, VersionDiff
from hub.services import differences
from hub.services.contracts import contract
from hub.services.drift import Drifts
from hub.services.measured import metric_rows
from hub.storage.catalog import Catalog, Transaction, VersionRecord

_SHOWN_REASONS = 5
_NAMED_RULES = 5
_Verdict = Literal["identical", "compatible", "breaking"]


@dataclass(frozen=True, slots=True)
class Diffs:
    """The diff use case."""

    catalog: Catalog
    drifts: Drifts

    def diff(self, principal: Principal, before: str, after: str, *, is_whole: bool = False) -> VersionDiff:
        """What differs between two versions.

        Args:
            principal: Who asks.
            before: Any form of reference.
            after: Any form of reference, also of another model.
            is_whole: What is the same, too.

        Raises:
            InvalidName: One of them is no reference.
            VersionNotFound: Nothing that the caller may see has one of these names.
        """
        principal.require(Scope.READ)
        with self.catalog.read() as tx:
            old, new = _record(tx, principal, before), _record(tx, principal, after)
            contracts = contract(tx, old.manifest), contract(tx, new.manifest)
            heads = _heads(tx, principal, old, new)
            curves = [_curves(tx, record.version) for record in (old, new)]
        changes = compare(*contracts)
        pairs = differences.changed_pairs(old.manifest, new.manifest)
        drifts = self.drifts.measure(old.manifest, new.manifest, pairs)
        verdict = _verdict(old, new, changes)
        signatures = differences.signature_rows(*contracts, changes, is_whole=is_whole)
        return VersionDiff(
            before=old.version,
            after=new.version,
            verdict=verdict,
            summary=_summary(old.version, new.version, verdict, changes),
            changes=tuple(sorted(changes, key=lambda change: not change.is_breaking)[:MAX_ROWS]),
            changes_total=len(changes),
            signatures=tuple(signatures[:MAX_ROWS]),
            signatures_total=len(signatures),
            facts=tuple(differences.facts(old, new, is_whole=is_whole)),
            metrics=metric_rows(*curves, is_whole=is_whole),
            tensors=differences.tensors(old.manifest, new.manifest, drifts, is_whole=is_whole),
            ops=differences.ops(old, new, is_whole=is_whole),
            files=differences.files(old.manifest, new.manifest, is_whole=is_whole),
            lineage=tuple(differences.lineage(old.manifest, new.manifest)),
            heads=heads,
        )


def _record(tx: Transaction, principal: Principal, reference: str) -> VersionRecord:
    parsed = parse_reference(reference)
    tx.require_model(parsed.model, principal.view)
    return tx.record(parsed.model, tx.resolve(parsed).number)


def _curves(tx: Transaction, version: Version) -> list[Curve]:
    return [curve for _, curve in tx.curves(ModelName.parse(version.model), version.number, limit=MAX_CURVES)]


def _verdict(old: VersionRecord, new: VersionRecord, changes: list[InterfaceChange]) -> _Verdict:
    if old.version.digest == new.version.digest:
        return "identical"
    return "breaking" if breaking(changes) else "compatible"


def _summary(old: Version, new: Version, verdict: _Verdict, changes: list[InterfaceChange]) -> str:
    if verdict == "identical":
        return f"Identical: {old.reference} and {new.reference} both have the digest {old.digest}."
    if verdict == "compatible":
        return f"Compatible: every call of {old.reference} still works on {new.reference}."
    rules = sorted({change.rule for change in breaking(changes)})
    named = ", ".join(rules[:_NAMED_RULES]) + (", …" if len(rules) > _NAMED_RULES else "")
    return f"Breaking: {new.reference} breaks callers of {old.reference} ({named})."


def _heads(tx: Transaction, principal: Principal, old: VersionRecord, new: VersionRecord) -> Heads | None:
    """The ready heads on the trunk before, and what the trunk after would mean for each."""
    if not old.version.kind is new.version.kind is Kind.TRUNK:
        return None
    hanging = [one for one in tx.children(old.version) if one.kind is Kind.HEAD and one.state is State.READY]
    private = tx.hidden_among({one.model for one in hanging}, principal.view)
    seen = [one for one in hanging if one.model not in private]
    rows = [_head_row(tx, head, old, new) for head in seen[:MAX_ROWS]]
    rows.sort(key=lambda row: row.fits and row.is_compatible)
    return Heads(
        rows=tuple(rows),
        total=len(seen),
        breaking=sum(not (row.fits and row.is_compatible) for row in rows),
        hidden=len(hanging) - len(seen),
    )


def _head_row(tx: Transaction, head: Version, old: VersionRecord, new: VersionRecord) -> HeadRow:
    manifest = tx.record(ModelName.parse(head.model), head.number).manifest
    edge = manifest.trunk
    name = edge.signature if edge else ""
    if name not in new.manifest.signatures:
        reason = f"{new.version.reference} has no signature {name}, which feeds it"
        return HeadRow(head=head, fits=False, is_compatible=False, reasons=(reason,))
    try:
        after = _composed(new, name, manifest.signatures)
        changes = compare(_composed(old, name, manifest.signatures), after)
    except (InvalidModel, KeyError) as error:
        return HeadRow(
            head=head, fits=False, is_compatible=False, reasons=(getattr(error, "detail", "it does not fit"),)
        )
    breaks = breaking(changes)
    reasons = tuple(f"{change.message} ({change.rule})" for change in breaks[:_SHOWN_REASONS])
    return HeadRow(head=head, fits=True, is_compatible=not breaks, reasons=reasons)


def _composed(trunk: VersionRecord, name: str, heads: dict[str, Signature]) -> Contract:
    return Contract(Kind.HEAD, compose(trunk.manifest.signatures[name], heads))
