"""Pushes: begin, upload, complete."""

from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import anyio
from anyio import CapacityLimiter, from_thread, to_thread
from fastapi import APIRouter, Request, Response

from hub.api.deps import Asking, HouseDep, IdempotencyKey
from hub.domain.errors import InvalidRequest
from hub.domain.versions import Version
from hub.protocol import paths
from hub.protocol.schemas import BeginPush, PushTicket

UPLOADS_AT_ONCE = 16
PUSH = f"{paths.PUSHES}/{{push_id}}"

router = APIRouter(tags=["pushes"])


@router.post(paths.PUSHES, status_code=201)
def begin(house: HouseDep, asking: Asking, body: BeginPush, idempotency_key: IdempotencyKey = None) -> PushTicket:
    """Announce files; the answer says which bytes are missing, or which version has this content already.

    The same ``Idempotency-Key`` again answers with the same push.
    """
    return house.pushes.begin(asking, body, idempotency_key=idempotency_key)


@router.put(f"{PUSH}/blobs/{{digest}}", status_code=204)
async def upload(house: HouseDep, asking: Asking, push_id: UUID, digest: str, request: Request) -> Response:
    """Send the bytes of one missing blob as the body, with ``Content-Length``."""
    size = _content_length(request)
    body = request.stream()
    await to_thread.run_sync(
        house.pushes.upload, asking, push_id, digest, _pieces(body), size, limiter=_limiter(request)
    )
    async for _ in body:  # of bytes that are stored already: who sends must be let finish, or sees a broken connection
        pass
    return Response(status_code=204)


@router.post(f"{PUSH}/complete")
def complete(house: HouseDep, asking: Asking, push_id: UUID) -> Version:
    """Publish the version; it is validated in the background."""
    version = house.pushes.complete(asking, push_id)
    house.validations.wake()
    return version


def _content_length(request: Request) -> int:
    text = request.headers.get("content-length", "")
    if not text.isdecimal():
        raise InvalidRequest("A blob is sent with its Content-Length.", remedy="Send the bytes unchunked.")
    return int(text)


def _limiter(request: Request) -> CapacityLimiter:
    # Uploads get threads of their own, so that slow ones cannot keep readers from theirs.
    limiter: CapacityLimiter | None = getattr(request.app.state, "upload_limiter", None)
    if limiter is None:
        limiter = request.app.state.upload_limiter = anyio.CapacityLimiter(UPLOADS_AT_ONCE)
    return limiter


def _pieces(body: AsyncIterator[bytes]) -> Iterator[bytes]:
    """The body's pieces, fetched from the event loop by the thread that stores them: never more than one in memory."""
    while piece := from_thread.run(_next, body):
        yield piece


async def _next(body: AsyncIterator[bytes]) -> bytes:
    return await anext(body, b"")
