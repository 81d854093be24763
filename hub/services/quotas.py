"""Quotas: how much an owner may keep on this hub.

What counts are the distinct blobs of the owner's versions, manifests and golden samples among them, and what its pushes
under way have announced; what versions share counts once. A push that would go over it is refused when it begins.
"""

from dataclasses import dataclass

from hub.domain.access import HUB
from hub.domain.audit import Action
from hub.domain.names import ModelName
from hub.protocol.upkeep import Quota
from hub.storage.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Quotas:
    """The quota use cases, for who runs the hub."""

    catalog: Catalog

    def set(self, owner: str, limit_bytes: int | None) -> Quota:
        """Limit what an owner may keep; None ends that.

        Raises:
            InvalidName: No owner can be called so.
        """
        owner = ModelName.parse(f"{owner}/any").owner
        with self.catalog.begin() as tx:
            before = tx.quota(owner)
            made = tx.set_quota(owner, limit_bytes)
            facts = {"limit_bytes": limit_bytes, "previous": before.limit_bytes if before else None}
            tx.note(HUB, Action.QUOTA_SET, owner, facts)
        return Quota(owner=owner, limit_bytes=made.limit_bytes, used_bytes=made.used_bytes)

    def all(self) -> list[Quota]:
        """Every owner, by name."""
        with self.catalog.read() as tx:
            found = tx.all_quotas()
        return [Quota(owner=each.owner, limit_bytes=each.limit_bytes, used_bytes=each.used_bytes) for each in found]
