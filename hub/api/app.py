"""The application: every route of the hub behind one door, and the life of its engine.

Laws: the door opens at once, before any worker is ready (``/readyz`` tells); closing it lets validations be taken up by
the next start and workers end before the process does.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount

from hub import __version__
from hub.api import problems
from hub.api.facades import heads, oip, tfserving
from hub.api.front import Front
from hub.api.handover import not_served
from hub.api.middleware import Observed
from hub.api.routes import administration, aliases, attestations, curves, downloads, models, people, probes, pushes
from hub.domain.access import HUB
from hub.domain.errors import HubError
from hub.domain.names import parse_reference
from hub.protocol import paths
from hub.protocol.problems import CONTENT_TYPE
from hub.services.house import House
from hub.services.tallies import EVERY_S as TALLY_EVERY_S

_ROUTERS = (
    models.router,
    downloads.router,
    aliases.router,
    pushes.router,
    administration.router,
    probes.router,
    attestations.router,
    curves.router,
    people.router,
)
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "description": "urn:trunkhub:problem: and the code."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; what a program decides by."},
        "detail": {"type": "string", "description": "One sentence that names the thing."},
        "remedy": {"type": "string", "description": "What to do about it."},
        "facts": {"type": "object"},
        "request_id": {"type": "string"},
    },
}
_ANY_PROBLEM: dict[int | str, dict[str, Any]] = {
    "default": {"description": "A problem (RFC 9457).", "content": {CONTENT_TYPE: {"schema": _PROBLEM}}}
}
_log = structlog.get_logger(__name__)


def create_app(house: House, pages: Sequence[BaseRoute] = ()) -> Front:
    """Put the application together.

    Args:
        house: The services.
        pages: Routes of the dashboard; they come last, because they also match what nobody else does.
    """
    app = FastAPI(
        title="Trunk Hub",
        version=__version__,
        openapi_url=paths.OPENAPI,
        docs_url=None,
        redoc_url=None,
        responses=_ANY_PROBLEM,
        lifespan=_lifespan,
    )
    app.state.house = house
    app.state.completions = {}
    app.state.limiters = {}
    for router in _ROUTERS:
        app.include_router(router)
    for routes in (tfserving.routes(house), oip.routes(house), pages):
        app.router.routes.extend(routes)
    problems.install(app)
    app.add_middleware(Observed, request_max_bytes=house.settings.request_max_bytes)
    facades = (oip, tfserving, heads, downloads)
    return Front(app, [way for facade in facades for way in facade.short_ways(house)])


def create_outlet_app(house: House) -> Front:
    """Put together what an outlet answers: the protocols of predictions."""
    app = Starlette(routes=[*tfserving.routes(house), *oip.routes(house), Mount("/", not_served)])
    app.state.house = house
    problems.install(app)
    app.add_middleware(Observed, request_max_bytes=house.settings.request_max_bytes)
    return Front(app, [way for facade in (oip, tfserving, heads) for way in facade.short_ways(house)])


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    house: House = app.state.house
    starting = asyncio.create_task(_start(house))
    watching = asyncio.create_task(house.validations.watch())
    sweeping = asyncio.create_task(_sweep(house))
    tallying = asyncio.create_task(_tally(house))
    try:
        yield
    finally:
        house.sweeps.stop()
        for task in (sweeping, watching, starting, tallying):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await _write_tallies(house)
        await house.engine.stop()


async def _start(house: House) -> None:
    try:
        await house.engine.start()
    except Exception:  # noqa: BLE001 - the API stays up and /readyz tells
        _log.exception("engine.failed")
        return
    for reference in house.settings.preload:
        await _preload(house, reference)


async def _sweep(house: House) -> None:
    """Sweep now and then, until cancelled."""
    while True:
        try:
            await asyncio.to_thread(house.sweeps.run)
        except HubError as error:
            _log.warning("sweep.postponed", reason=str(error))
        except Exception:  # noqa: BLE001 - the next one may go well
            _log.exception("sweep.failed")
        await asyncio.sleep(house.settings.sweep_every_s)


async def _tally(house: House) -> None:
    """Write down how often versions were pulled, now and then, until cancelled."""
    while True:
        await asyncio.sleep(TALLY_EVERY_S)
        await _write_tallies(house)


async def _write_tallies(house: House) -> None:
    try:
        await asyncio.to_thread(house.tallies.write)
    except HubError as error:
        _log.warning("tallies.postponed", reason=str(error))
    except Exception:  # noqa: BLE001 - the next one may go well
        _log.exception("tallies.failed")


async def _preload(house: House, reference: str) -> None:
    try:
        servable = await house.predictions.resolve(HUB, parse_reference(reference))
        await house.engine.load(servable.target)
    except HubError as error:
        _log.warning("version.not_preloaded", reference=reference, reason=error.detail)
    else:
        _log.info("version.preloaded", version=servable.version.reference)
