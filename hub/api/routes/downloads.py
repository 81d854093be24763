"""Bytes of versions: manifests, blobs and golden samples."""

import re

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from hub.api.deps import Asking, HouseDep, Name, Number
from hub.api.routes.models import VERSION

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


@router.get(f"{VERSION}/blobs/{{digest}}", response_class=StreamingResponse)
def blob(house: HouseDep, asking: Asking, name: Name, number: Number, digest: str, request: Request) -> Response:
    """The bytes of a blob of the version; one ``Range`` is honoured."""
    size = house.pulls.blob_size(asking, name, number, digest)
    headers = {"ETag": f'"{digest}"', "Accept-Ranges": "bytes", "Cache-Control": _FOREVER} | _INERT
    part = _range(request.headers.get("range"), size)
    if part is None:
        headers["Content-Length"] = str(size)
        return StreamingResponse(house.pulls.blob(digest, 0, size), headers=headers, media_type=_BYTES)
    start, length = part
    if length <= 0:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    headers |= {"Content-Length": str(length), "Content-Range": f"bytes {start}-{start + length - 1}/{size}"}
    return StreamingResponse(
        house.pulls.blob(digest, start, length), status_code=206, headers=headers, media_type=_BYTES
    )


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
