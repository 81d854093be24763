"""The page of the workers, and the stream that keeps it as they are.

Laws: the page is whole without the stream; a stream says something only when something has changed; it ends when the
hub stops, and after :data:`LIFE_S` at the latest, so that its reader comes again and is known again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.domain.errors import HubError
from hub.protocol import paths
from hub.services.house import House
from hub.web.session import principal_of
from hub.web.shell import SECURED, fragment, render
from hub.web.visits import Visit, route

EVERY_S = 2.0
LIFE_S = 600.0
_ALIVE_S = 15.0
_RETRY_MS = 3_000


def show_workers(visit: Visit) -> Response:
    """The workers and what they hold, now."""
    found = visit.house.browse.workers(visit.principal)
    return render(visit.request, "workers.html", api=paths.WORKERS, found=found)


def live_route(house: House) -> Route:
    """The same table again, whenever it has changed."""

    async def stream(request: Request) -> Response:
        principal = await run_in_threadpool(principal_of, house, request)

        def drawn() -> str:
            return fragment("_workers.html", found=house.browse.workers(principal))

        first = await run_in_threadpool(drawn)
        return EventSourceResponse(_events(house, drawn, first), headers={"cache-control": "no-store"})

    return route("/workers/live", stream, method="GET", middleware=SECURED)


async def _events(house: House, drawn: Callable[[], str], first: str) -> AsyncIterator[bytes]:
    yield format_sse_event(data_str=first, event="workers", retry=_RETRY_MS)
    shown, began, told = first, time.monotonic(), time.monotonic()
    while not await _is_closing(house) and time.monotonic() - began < LIFE_S:
        try:
            now = await run_in_threadpool(drawn)
        except HubError:
            return  # whoever may not look any more is told when coming again, as is why the database is away
        if now != shown:
            yield format_sse_event(data_str=now, event="workers")
        elif time.monotonic() - told > _ALIVE_S:
            yield format_sse_event(comment="still here")
        else:
            continue
        shown, told = now, time.monotonic()


async def _is_closing(house: House) -> bool:
    """Wait for the next look; true where the hub is told to stop meanwhile."""
    try:
        await asyncio.wait_for(house.closing.wait(), EVERY_S)
    except TimeoutError:
        return False
    return True
