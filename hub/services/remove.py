"""Remove: make a version or a whole model go away.

Laws: nothing is removed that a head or derived version elsewhere still hangs on; a removed number is never given again;
rows go first, bytes are for the sweep to find.
"""

from dataclasses import dataclass

from hub.domain.access import Principal, Scope
from hub.domain.audit import Action
from hub.domain.names import ModelName
from hub.services.changes import require
from hub.storage.catalog import Catalog
from hub.storage.snapshots import Snapshots


@dataclass(frozen=True, slots=True)
class Removals:
    """The removal use cases."""

    catalog: Catalog
    snapshots: Snapshots

    def version(self, principal: Principal, name: str, number: int) -> None:
        """Remove one version.

        Raises:
            VersionNotFound: No such version that the caller may see.
            HasDependents: Something still hangs on it.
        """
        require(self.catalog, principal, Scope.WRITE, Action.VERSION_DELETE, f"{name}@{number}")
        model = ModelName.parse(name)
        with self.catalog.begin() as tx:
            principal.see(tx.model(model))
            version = tx.version(model, number)
            tx.delete_version(model, number)
            is_last = not tx.version_by_digest(version.digest)
            facts = {"digest": version.digest, "state": version.state.value, "aliases": list(version.aliases)}
            tx.note(principal, Action.VERSION_DELETE, version.reference, facts)
        if is_last:
            self.snapshots.drop(version.digest)

    def model(self, principal: Principal, name: str) -> None:
        """Remove a model with all its versions.

        Raises:
            ModelNotFound: No such model that the caller may see.
            HasDependents: Something of another model still hangs on one of its versions.
        """
        require(self.catalog, principal, Scope.WRITE, Action.MODEL_DELETE, name)
        model = ModelName.parse(name)
        with self.catalog.begin() as tx:
            seen = principal.see(tx.model(model))
            tx.delete_model(model)
            facts = {"latest": seen.latest, "is_private": seen.is_private, "aliases": seen.aliases}
            tx.note(principal, Action.MODEL_DELETE, seen.name, facts)
