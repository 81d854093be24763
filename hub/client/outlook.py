"""Outlook: what a push will mean for the callers of the version before, known before a byte is sent.

Law: what is compared here are the contracts that the hub will compare, by the very rules; the hub does it again.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from hub.client.operations import Operations
from hub.domain.errors import BreaksCallers, ModelNotFound
from hub.domain.interfaces import Contract, InterfaceChange, breaking, compare, compared_with, next_interface
from hub.domain.lineage import Edge, EdgeKind
from hub.domain.manifest import Kind
from hub.domain.signatures import Signature, compose
from hub.domain.versions import Version
from hub.savedmodel.inspect import Inspection

_NEWEST = 1_000
_NAMED_RULES = 10
_SHOWN_CHANGES = 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the next version of a model means for callers.

    Attributes:
        before: The version it is held against; None for a model's first.
        changes: What changes for callers of that one.
        interface: The number it will get, unless another version becomes ready meanwhile.
    """

    before: Version | None
    changes: tuple[InterfaceChange, ...]
    interface: int

    @property
    def breaks(self) -> list[InterfaceChange]:
        """The changes that callers will notice."""
        return breaking(self.changes)

    def warning(self) -> str:
        """What to tell people before it happens, in several lines; empty where no caller breaks."""
        breaks = self.breaks
        if self.before is None or not breaks:
            return ""
        lines = [f"WARNING: this BREAKS callers of {self.before.reference} (interface {self.before.interface}):"]
        lines += [f"  breaking {change.rule}: {change.message}" for change in breaks[:_SHOWN_CHANGES]]
        if len(breaks) > _SHOWN_CHANGES:
            lines.append(f"  and {len(breaks) - _SHOWN_CHANGES:,} more")
        return "\n".join([*lines, f"It will be interface {self.interface}, unless breaks are refused (--no-break)."])


OutlookSink = Callable[[Outlook], None]


def warn(outlook: Outlook) -> None:
    """Log what breaks; without a handler of the program's own, Python shows it on stderr."""
    text = outlook.warning()
    if text:
        _log.warning("%s", text)


def look_ahead(client: Operations, model: str, inspection: Inspection, lineage: Sequence[Edge]) -> Outlook:
    """Compare what was inspected here with the version of the model that the hub will hold it against.

    Raises:
        HubUnreachable: No answer from the hub.
    """
    try:
        versions = list(islice(client.versions(model), _NEWEST))
    except ModelNotFound:
        versions = []
    before = compared_with(versions)
    if before is None:
        return Outlook(None, (), 1)
    detail = client.version(before.model, before.number)
    old = Contract(before.kind, detail.signatures, detail.tuning_face)
    changes = compare(old, _contract(client, inspection, lineage))
    return Outlook(before, tuple(changes), next_interface(versions, changes))


def require_no_break(model: str, outlook: Outlook) -> None:
    """Refuse a push that breaks callers.

    Raises:
        BreaksCallers: It does; ``facts["changes"]`` says how.
    """
    breaks = outlook.breaks
    if outlook.before is None or not breaks:
        return
    rules = sorted({change.rule for change in breaks})
    named = ", ".join(rules[:_NAMED_RULES])
    raise BreaksCallers(
        f"This would break callers of {outlook.before.reference}: {named}.",
        remedy=f"Keep what they depend on, or push without --no-break: it becomes interface {outlook.interface}, and "
        f"callers of {model}~{outlook.before.interface} stay where they are.",
        changes=[change.model_dump(mode="json") for change in breaks],
    )


def _contract(client: Operations, inspection: Inspection, lineage: Sequence[Edge]) -> Contract:
    edge = next((edge for edge in lineage if edge.kind is EdgeKind.HEAD_OF), None)
    if edge is None:
        return Contract(Kind.TRUNK, inspection.signatures, inspection.tuning_face)
    return Contract(Kind.HEAD, _on_trunk(client, edge, inspection.signatures), inspection.tuning_face)


def _on_trunk(client: Operations, edge: Edge, heads: Mapping[str, Signature]) -> dict[str, Signature]:
    trunk = client.version(edge.model, edge.number).signatures
    return compose(trunk[edge.signature], heads) if edge.signature in trunk else dict(heads)
