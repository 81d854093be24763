"""Bytes of versions: manifests, blobs, whole files and golden samples."""

import re
from collections.abc import Callable
from functools import partial

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from hub.api.blob_response import BlobResponse
from hub.api.deps import Asking, HouseDep, Name, Number
from hub.api.facades.exchange import caller
from hub.api.facades.hot import Exchange, short_way
from hub.api.front import ShortWay
from hub.api.routes.models import VERSION
from hub.domain.access import Principal
from hub.domain.errors import InvalidRequest
from hub.protocol.schemas import AskPlaces, BlobPlaces
from hub.services.house import House
from hub.services.pull import Part, Pulls, parts_of
from hub.storage.blobs.layout import path_of

BLOB = f"{VERSION}/blobs/{{digest}}"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_FOREVER = "private, max-age=31536000, immutable"
_BYTES = "application/octet-stream"
_INERT = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}  # never a page of this origin

router = APIRouter(tags=["bytes"])


@router.get(f"{VERSION}/manifest", response_class=Response)
def manifest(house: HouseDep, asking: Asking, name: Name, number: Number) -> Response:
    """The manifest's canonical bytes, whose sha256 is the version's digest."""
    body = house.pulls.manifest(asking, name, number)
    house.tallies.count(name, number)  # a pull begins with its manifest
    return Response(body, media_type="application/json")


@router.get(f"{VERSION}/golden", response_class=Response)
def golden(house: HouseDep, asking: Asking, name: Name, number: Number) -> Response:
    """The golden samples, as ``.npz``."""
    return Response(house.pulls.golden(asking, name, number), headers=_INERT, media_type=_BYTES)


@router.post(f"{VERSION}/places")
def places(house: HouseDep, asking: Asking, name: Name, number: Number, body: AskPlaces) -> BlobPlaces:
    """Tell where the bytes of blobs are had: here, or at the object store by URLs that expire."""
    return house.pulls.places(asking, name, number, body.digests, relayed=body.is_relayed)


@router.get(BLOB, response_class=Response)
async def blob(house: HouseDep, asking: Asking, name: Name, number: Number, digest: str, request: Request) -> Response:
    """The bytes of a blob of the version; one ``Range`` is honoured."""
    return await _blob(house, asking, name, number, digest, request.headers.get("range"))


def short_ways(house: House) -> list[ShortWay]:
    """The hot route of blobs, of which a pull asks for hundreds."""
    return [short_way(house, BLOB, _hot_blob, method="GET", has_error_key=False)]


async def _hot_blob(house: House, exchange: Exchange) -> Response:
    principal = await caller(house, exchange.header(b"authorization"), exchange.address)
    parts = exchange.parts
    name, number = f"{parts['owner']}/{parts['name']}", parts["number"]
    if not _NUMBER.fullmatch(number):
        raise InvalidRequest(f"{number[:40]!r} is no version's number.", remedy="Write a number from 1.")
    return await _blob(house, principal, name, int(number), parts["digest"], exchange.header(b"range"))


async def _blob(house: House, asking: Principal, name: str, number: int, digest: str, asked: str | None) -> Response:
    pulls = house.pulls
    granted = pulls.granted(asking, name, number) or await to_thread.run_sync(pulls.grant, asking, name, number)
    size = granted.size(digest)
    if house.settings.accel_redirect is not None:
        # nginx looks at the Range itself, and takes the length from the file.
        place = f"{house.settings.accel_redirect.rstrip('/')}/{path_of(digest)}"
        return Response(headers=_headers(digest) | {"X-Accel-Redirect": place}, media_type=_BYTES)
    return _bytes(asked, pulls, digest, size, lambda start, length: [Part(digest, start, length)])


@router.get(f"{VERSION}/files/{{path:path}}", response_class=Response)
def file(house: HouseDep, asking: Asking, name: Name, number: Number, path: str, request: Request) -> Response:
    """The bytes of a whole file of the version, its blobs one after the other; one ``Range`` is honoured."""
    found = house.pulls.file(asking, name, number, path)
    asked = request.headers.get("range")
    return _bytes(asked, house.pulls, found.digest, found.size, partial(parts_of, found))


def _headers(digest: str) -> dict[str, str]:
    return {"ETag": f'"{digest}"', "Accept-Ranges": "bytes", "Cache-Control": _FOREVER} | _INERT


def _bytes(
    asked: str | None, pulls: Pulls, digest: str, size: int, parts: Callable[[int, int], list[Part]]
) -> Response:
    """The answer with immutable bytes, or with those of them that were asked for."""
    headers = _headers(digest)
    part = _range(asked, size)
    if part is None:
        return BlobResponse(pulls, parts(0, size), headers=headers, media_type=_BYTES)
    start, length = part
    if length <= 0:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
    return BlobResponse(pulls, parts(start, length), status_code=206, headers=headers, media_type=_BYTES)


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
