"""Who asks, tokens, the audit, workers and the state of the hub."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from hub import __version__
from hub.api.deps import WITHOUT_NUL, Asking, HouseDep, IdempotencyKey, Limit, TokenId
from hub.protocol import paths
from hub.protocol.schemas import AuditPage, CreatedToken, CreateToken, HubStatus, TokenList, WhoAmI, WorkerList

MAX_ENTRY = (1 << 63) - 1
router = APIRouter(tags=["administration"])


@router.get(paths.WHOAMI)
def whoami(asking: Asking) -> WhoAmI:
    """Who the hub thinks is asking."""
    return WhoAmI(
        name=asking.name,
        scope=asking.scope,
        is_anonymous=asking.is_anonymous,
        user=asking.user,
        roles=None if asking.roles is None else dict(asking.roles),
        limit=asking.limit,
        hub_version=__version__,
    )


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
    """Your tokens, without their secrets; all of them where an administrator asks."""
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


@router.get(paths.AUDIT)
def audit(
    house: HouseDep,
    asking: Asking,
    since: datetime | None = None,
    actor: Annotated[str | None, Query(max_length=100, pattern=WITHOUT_NUL)] = None,
    about: Annotated[str | None, Query(alias="object", max_length=300, pattern=WITHOUT_NUL)] = None,
    before: Annotated[int | None, Query(ge=1, le=MAX_ENTRY)] = None,
    limit: Limit = 50,
) -> AuditPage:
    """Who changed what, newest first; ``object`` may be a model's name, which also means its versions and aliases."""
    return house.audits.entries(asking, since=since, actor=actor, thing=about, before=before, limit=limit)
