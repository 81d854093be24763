"""Who asks, tokens, workers and the state of the hub."""

from fastapi import APIRouter

from hub import __version__
from hub.api.deps import Asking, HouseDep, IdempotencyKey, TokenId
from hub.protocol import paths
from hub.protocol.schemas import CreatedToken, CreateToken, HubStatus, TokenList, WhoAmI, WorkerList

router = APIRouter(tags=["administration"])


@router.get(paths.WHOAMI)
def whoami(asking: Asking) -> WhoAmI:
    """Who the hub thinks is asking."""
    return WhoAmI(name=asking.name, scope=asking.scope, is_anonymous=asking.is_anonymous, hub_version=__version__)


@router.get(paths.STATUS)
def status(house: HouseDep) -> HubStatus:
    """Whether database, storage and engine work."""
    return house.health.status()


@router.get(paths.WORKERS)
def workers(house: HouseDep, asking: Asking) -> WorkerList:
    """The workers and what they hold."""
    return house.browse.workers(asking)


@router.get(paths.TOKENS)
def tokens(house: HouseDep, asking: Asking) -> TokenList:
    """All tokens, without their secrets."""
    return house.access.tokens(asking)


@router.post(paths.TOKENS, status_code=201)
def create_token(
    house: HouseDep, asking: Asking, body: CreateToken, idempotency_key: IdempotencyKey = None
) -> CreatedToken:
    """Make a token; its secret is shown this once, so the same ``Idempotency-Key`` again is a conflict."""
    return house.access.create(asking, body, idempotency_key=idempotency_key)


@router.delete(f"{paths.TOKENS}/{{token_id}}", status_code=204)
def revoke_token(house: HouseDep, asking: Asking, token_id: TokenId) -> None:
    """Make a token worthless."""
    house.access.revoke(asking, token_id)
