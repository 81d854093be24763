"""Yank: withdraw a version. It stays callable by its exact number, and no name leads to it any more."""

from dataclasses import dataclass

from hub.domain.access import Principal, Scope
from hub.domain.errors import VersionNotReady
from hub.domain.names import ModelName
from hub.domain.versions import State, Version
from hub.storage.catalog import Catalog


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
        principal.require(Scope.WRITE)
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
            return tx.yank(model, number, reason)
