"""Yank: withdraw a version. It stays callable by its exact number, and no name leads to it any more."""

from dataclasses import dataclass

from hub.domain.access import Principal, Scope
from hub.domain.audit import Action
from hub.domain.errors import VersionNotReady
from hub.domain.names import ModelName
from hub.domain.versions import State, Version
from hub.services.changes import require
from hub.storage.catalog import Catalog

MAX_REASON_CHARS = 300  # of it in the audit; the version has all of it


@dataclass(frozen=True, slots=True)
class Yanks:
    """The yank use case."""

    catalog: Catalog

    def yank(self, principal: Principal, name: str, number: int, reason: str) -> Version:
        """Withdraw a ready version; withdrawing it again changes nothing.

        Raises:
            VersionNotFound: No such version that the caller may see.
            VersionNotReady: It is still validating, or was rejected.
        """
        require(self.catalog, principal, Scope.WRITE, Action.VERSION_YANK, f"{name}@{number}", where=name)
        model = ModelName.parse(name)
        with self.catalog.begin() as tx:
            principal.see(tx.model(model))
            version = tx.version(model, number)
            if version.state is State.YANKED:
                return version
            if version.state is not State.READY:
                raise VersionNotReady(
                    f"{version.reference} is {version.state.value}; only a ready version is withdrawn."
                )
            tx.note(principal, Action.VERSION_YANK, version.reference, {"reason": reason[:MAX_REASON_CHARS]})
            return tx.yank(model, number, reason)
