"""Aliases."""

from fastapi import APIRouter

from hub.api.deps import Asking, HouseDep, Name
from hub.protocol import paths
from hub.protocol.schemas import AliasList, SetAlias

ALIASES = paths.aliases("{owner}/{name}")

router = APIRouter(tags=["aliases"])


@router.get(ALIASES)
def list_aliases(house: HouseDep, asking: Asking, name: Name) -> AliasList:
    """A model's aliases and their history."""
    return house.aliases.all(asking, name)


@router.put(f"{ALIASES}/{{alias}}")
def set_alias(house: HouseDep, asking: Asking, name: Name, alias: str, body: SetAlias) -> AliasList:
    """Point an alias at a ready version."""
    return house.aliases.set(asking, name, alias, body.number)
