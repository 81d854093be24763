"""Pushes: begin, upload, complete."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

from anyio import CapacityLimiter, from_thread, to_thread
from fastapi import APIRouter, Request, Response

from hub.api.deps import Asking, HouseDep, IdempotencyKey, Sending
from hub.api.unpacking import is_packed, unpacked
from hub.domain.digests import READ_BYTES
from hub.domain.errors import InvalidRequest
from hub.domain.versions import Version
from hub.protocol import paths
from hub.protocol.schemas import AskPlaces, BeginPush, BlobPlaces, PushTicket
from hub.services.house import House

UPLOADS_AT_ONCE = 16
COMPLETIONS_AT_ONCE = 4
PATIENCE_S = 20.0
KEPT_S = 60.0
PUSH = f"{paths.PUSHES}/{{push_id}}"

router = APIRouter(tags=["pushes"])


@router.post(paths.PUSHES, status_code=201)
def begin(house: HouseDep, asking: Asking, body: BeginPush, idempotency_key: IdempotencyKey = None) -> PushTicket:
    """Announce files; the answer says which bytes are missing, or which version has this content already.

    The same ``Idempotency-Key`` again answers with the same push.
    """
    return house.pushes.begin(asking, body, idempotency_key=idempotency_key)


@router.post(f"{PUSH}/places")
def places(house: HouseDep, asking: Asking, push_id: UUID, body: AskPlaces) -> BlobPlaces:
    """Tell where the bytes of missing blobs go: here, or to the object store by URLs that expire."""
    return house.pushes.places(asking, push_id, body.digests, relayed=body.is_relayed)


@router.put(f"{PUSH}/blobs/{{digest}}", status_code=204)
async def upload(house: HouseDep, sending: Sending, push_id: UUID, digest: str, request: Request) -> Response:
    """Send the bytes of one missing blob as the body, with ``Content-Length``; ``Content-Encoding: gzip`` is taken."""
    length = _content_length(request)
    packed = is_packed(request.headers.get("content-encoding", ""))
    body = request.stream()
    await to_thread.run_sync(
        house.pushes.upload,
        sending,
        push_id,
        digest,
        unpacked(_pieces(body)) if packed else _pieces(body),
        None if packed else length,
        limiter=_limiter(request, "uploads", UPLOADS_AT_ONCE),
    )
    async for _ in body:  # of bytes that are stored already: who sends must be let finish, or sees a broken connection
        pass
    return Response(status_code=204)


@router.post(f"{PUSH}/complete", response_model=Version, responses={202: {"description": "Not done yet: ask again."}})
async def complete(house: HouseDep, asking: Asking, push_id: UUID, request: Request) -> Version | Response:
    """Publish the version; it is validated in the background.

    The hub first reads and checks every byte. Where that takes long the answer is 202: ask again, which joins the work
    that is under way.
    """
    running: dict[tuple[str, UUID], asyncio.Task[Version]] = request.app.state.completions
    key = asking.identity, push_id
    task = running.get(key)
    if task is None:
        limiter = _limiter(request, "completions", COMPLETIONS_AT_ONCE)
        done = to_thread.run_sync(house.pushes.complete, asking, push_id, limiter=limiter)
        task = running[key] = asyncio.ensure_future(done)
        task.add_done_callback(lambda ended: _completed(house, running, key, ended))
    await asyncio.wait({task}, timeout=PATIENCE_S)
    if not task.done():
        return Response(status_code=202, headers={"Retry-After": "1"})
    running.pop(key, None)
    return task.result()


def _completed(house: House, running: dict[Any, Any], key: tuple[str, UUID], task: asyncio.Task[Version]) -> None:
    # The result waits for somebody to ask for it: who was told to ask again shall not begin the work anew.
    task.get_loop().call_later(KEPT_S, lambda: running.get(key) is task and running.pop(key))
    if not task.cancelled() and task.exception() is None:
        house.validations.wake()


def _content_length(request: Request) -> int:
    text = request.headers.get("content-length", "")
    if not text.isdecimal():
        raise InvalidRequest("A blob is sent with its Content-Length.", remedy="Send the bytes unchunked.")
    return int(text)


def _limiter(request: Request, work: str, at_once: int) -> CapacityLimiter:
    # What takes long gets threads of its own, so that it cannot keep readers from theirs.
    limiters: dict[str, CapacityLimiter] = request.app.state.limiters
    if work not in limiters:
        limiters[work] = CapacityLimiter(at_once)
    return limiters[work]


def _pieces(body: AsyncIterator[bytes]) -> Iterator[bytes]:
    """The body's pieces, fetched from the event loop by the thread that stores them, about a mebibyte at a time."""
    while pieces := from_thread.run(_next, body):
        yield from pieces


async def _next(body: AsyncIterator[bytes]) -> list[bytes]:
    pieces: list[bytes] = []
    size = 0
    async for piece in body:
        pieces.append(piece)
        size += len(piece)
        if size >= READ_BYTES:
            break
    return [piece for piece in pieces if piece]
