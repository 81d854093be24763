"""Bytes of versions: manifests, blobs, whole files and golden samples."""

import re
from collections.abc import Callable, Iterator

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from hub.api.deps import Asking, HouseDep, Name, Number
from hub.api.routes.models import VERSION
from hub.protocol.schemas import AskPlaces, BlobPlaces
from hub.storage.blobs.layout import path_of

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_FOREVER = "private, max-age=31536000, immutable"
_BYTES = "application/octet-stream"
_INERT = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}  # never a page of this origin

router = APIRouter(tags=["bytes"])


@router.get(f"{VERSION}/manifest", response_class=Response)
def manifest(house: HouseDep, asking: Asking, name: Name, number: Number) -> Response:
    """The manifest's canonical bytes, whose sha256 is the version's digest."""
    return Response(house.pulls.manifest(asking, name, number), media_type="application/json")


@router.get(f"{VERSION}/golden", response_class=Response)
def golden(house: HouseDep, asking: Asking, name: Name, number: Number) -> Response:
    """The golden samples, as ``.npz``."""
    return Response(house.pulls.golden(asking, name, number), headers=_INERT, media_type=_BYTES)


@router.post(f"{VERSION}/places")
def places(house: HouseDep, asking: Asking, name: Name, number: Number, body: AskPlaces) -> BlobPlaces:
    """Tell where the bytes of blobs are had: here, or at the object store by URLs that expire."""
    return house.pulls.places(asking, name, number, body.digests, relayed=body.is_relayed)


@router.get(f"{VERSION}/blobs/{{digest}}", response_class=StreamingResponse)
async def blob(house: HouseDep, asking: Asking, name: Name, number: Number, digest: str, request: Request) -> Response:
    """The bytes of a blob of the version; one ``Range`` is honoured."""
    pulls = house.pulls
    granted = pulls.granted(asking, name, number) or await to_thread.run_sync(pulls.grant, asking, name, number)
    size = granted.size(digest)
    if house.settings.accel_redirect is not None:
        # nginx looks at the Range itself, and takes the length from the file.
        place = f"{house.settings.accel_redirect.rstrip('/')}/{path_of(digest)}"
        return Response(headers=_headers(digest) | {"X-Accel-Redirect": place}, media_type=_BYTES)
    return _bytes(request, digest, size, lambda start, length: pulls.blob(digest, start, length))


@router.get(f"{VERSION}/files/{{path:path}}", response_class=StreamingResponse)
def file(house: HouseDep, asking: Asking, name: Name, number: Number, path: str, request: Request) -> Response:
    """The bytes of a whole file of the version, its blobs one after the other; one ``Range`` is honoured."""
    found = house.pulls.file(asking, name, number, path)
    return _bytes(request, found.digest, found.size, lambda start, length: house.pulls.file_bytes(found, start, length))


def _headers(digest: str) -> dict[str, str]:
    return {"ETag": f'"{digest}"', "Accept-Ranges": "bytes", "Cache-Control": _FOREVER} | _INERT


def _bytes(request: Request, digest: str, size: int, read: Callable[[int, int], Iterator[bytes]]) -> Response:
    """The answer with immutable bytes, or with the part of them that was asked for."""
    headers = _headers(digest)
    part = _range(request.headers.get("range"), size)
    if part is None:
        headers["Content-Length"] = str(size)
        return StreamingResponse(read(0, size), headers=headers, media_type=_BYTES)
    start, length = part
    if length <= 0:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    headers |= {"Content-Length": str(length), "Content-Range": f"bytes {start}-{start + length - 1}/{size}"}
    return StreamingResponse(read(start, length), status_code=206, headers=headers, media_type=_BYTES)


def _range(header: str | None, size: int) -> tuple[int, int] | None:
    """Start and length of the asked part; None for the whole, length 0 where there is no such part.

    Source: RFC 9110 §14.2; several ranges or another unit mean that the whole is sent.
    """
    found = _RANGE.fullmatch((header or "").strip())
    if not found or found.group(1) == found.group(2) == "":
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        return size - length, length
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    return start, end - start + 1
