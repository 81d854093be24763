"""Aliases: movable names for versions, with history.

Law: an alias points at a ready version from the moment it is set.
"""

from dataclasses import dataclass

from hub.domain.access import Principal, Scope
from hub.domain.audit import Action
from hub.domain.errors import InvalidName
from hub.domain.names import LATEST, ModelName, parse_alias
from hub.protocol.schemas import AliasList, AliasMove
from hub.services.changes import require, set_alias
from hub.storage.catalog import Catalog, Transaction


def _listed(tx: Transaction, name: ModelName) -> AliasList:
    moves = [
        AliasMove(alias=move.alias, number=move.number, moved_at=move.moved_at, moved_by=move.moved_by)
        for move in tx.alias_history(name)
    ]
    return AliasList(aliases=tx.aliases(name), history=tuple(moves))


@dataclass(frozen=True, slots=True)
class Aliases:
    """The alias use cases."""

    catalog: Catalog

    def all(self, principal: Principal, name: str) -> AliasList:
        """A model's aliases and how they came to be.

        Raises:
            ModelNotFound: No such model that the caller may see.
        """
        principal.require(Scope.READ)
        model = ModelName.parse(name)
        with self.catalog.read() as tx:
            tx.require_model(model, principal.view)
            return _listed(tx, model)

    def set(self, principal: Principal, name: str, alias: str, number: int) -> AliasList:
        """Point an alias at a version; repeating it changes nothing.

        Raises:
            VersionNotFound: No such version.
            VersionNotReady: It is still validating, or was rejected.
            VersionYanked: It was withdrawn.
            InvalidName: ``latest``, which always means the newest ready version, or no alias at all.
        """
        require(self.catalog, principal, Scope.WRITE, Action.ALIAS_SET, f"{name}:{alias}", where=name)
        model, alias = ModelName.parse(name), parse_alias(alias)
        if alias == LATEST:
            raise InvalidName("latest always means the newest ready version.", remedy="Choose another alias.")
        with self.catalog.begin() as tx:
            tx.require_model(model, principal.view)
            set_alias(tx, principal, model, alias, number)
            return _listed(tx, model)
