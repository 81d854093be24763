"""Remove: make a version or a whole model go away.

Laws: nothing is removed that a head or derived version elsewhere still hangs on; a removed number is never given again;
rows go first, bytes are for the sweep to find.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hub.domain.access import Principal, Scope
from hub.domain.audit import Action
from hub.domain.errors import HasDependents
from hub.domain.names import ModelName, parse_reference
from hub.services.changes import require
from hub.storage.catalog import Catalog, Transaction
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
        require(self.catalog, principal, Scope.WRITE, Action.VERSION_DELETE, f"{name}@{number}", where=name)
        model = ModelName.parse(name)
        with self.catalog.begin() as tx:
            version = tx.version(model, number, principal.view)
            with _naming_what_is_seen(tx, principal):
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
        require(self.catalog, principal, Scope.WRITE, Action.MODEL_DELETE, name, where=name)
        model = ModelName.parse(name)
        with self.catalog.begin() as tx:
            seen = principal.see(tx.model(model))
            with _naming_what_is_seen(tx, principal):
                tx.delete_model(model)
            facts = {"latest": seen.latest, "is_private": seen.is_private, "aliases": seen.aliases}
            tx.note(principal, Action.MODEL_DELETE, seen.name, facts)


@contextmanager
def _naming_what_is_seen(tx: Transaction, principal: Principal) -> Iterator[None]:
    """Count those that hang on something, rather than name them, where the caller may not see them."""
    try:
        yield
    except HasDependents as error:
        dependents = error.facts["dependents"]
        models = {text: tx.model(parse_reference(text).model) for text in dependents}
        seen = [text for text, model in models.items() if not model.is_private or principal.sees(model.name)]
        if len(seen) == len(dependents):
            raise
        hidden = f"{len(dependents) - len(seen)} that you may not see"
        what = error.detail.partition(":")[0]
        raise HasDependents(
            f"{what}: {', '.join([*seen, hidden])} hang on it.", remedy=error.remedy, dependents=seen
        ) from error
