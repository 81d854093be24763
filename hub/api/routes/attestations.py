"""Who stands for versions, and the keys that this is checked against."""

from fastapi import APIRouter

from hub.api.deps import Asking, HouseDep, Name, Number
from hub.api.routes.models import VERSION
from hub.protocol import paths
from hub.protocol.attestations import AttestationList, KeyList

router = APIRouter(tags=["attestations"])


@router.get(f"{VERSION}/attestations")
def attestations(house: HouseDep, asking: Asking, name: Name, number: Number) -> AttestationList:
    """Who signed a version; each ``bundle`` is a file that ``model_signing verify key`` takes."""
    return house.attestations.of(asking, name, number)


@router.get(paths.keys("{owner}"))
def keys(house: HouseDep, asking: Asking, owner: str) -> KeyList:
    """An owner's public keys, revoked ones too, and whether its pushes must be signed."""
    return house.attestations.keys(asking, owner)
