"""Liveness, readiness and metrics; anybody may read them."""

from fastapi import APIRouter, Response

from hub.api.deps import HouseDep
from hub.protocol.schemas import HubStatus
from hub.telemetry import metrics

router = APIRouter(tags=["operation"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"model": HubStatus}})
def readyz(house: HouseDep, response: Response) -> HubStatus:
    """Whether database, storage and engine work; 503 when one does not."""
    status = house.health.status()
    response.status_code = 200 if status.ok else 503
    return status


@router.get("/metrics", response_class=Response)
def read_metrics(house: HouseDep) -> Response:
    """What Prometheus reads."""
    return Response(house.health.exposition(), media_type=metrics.CONTENT_TYPE)
