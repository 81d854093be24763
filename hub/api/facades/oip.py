"""The Open Inference Protocol v2 over HTTP at ``/v2``: health, metadata, readiness and infer, JSON and binary.

A model is ``owner/name``, plain or with ``%2F``, or any form of reference (``acme/resnet50~2``);
``/versions/{version}`` takes a number or an alias. Errors are problems that also have the protocol's ``error`` key.
"""

import asyncio
from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hub import __version__
from hub.api.facades.exchange import (
    JSON,
    LARGE_BYTES,
    caller,
    infer,
    json_answer,
    off_loop,
    only_post,
    read_body,
    reference,
    route,
)
from hub.api.facades.hot import Answer, Exchange, short_way
from hub.api.facades.straight import Starter
from hub.api.front import ShortWay
from hub.domain.names import Reference
from hub.domain.versions import State
from hub.protocol.codecs import oip
from hub.protocol.codecs.oip import InferCall
from hub.protocol.codecs.oip_known import KnownHeaders
from hub.protocol.frames import Tensor
from hub.services.house import House
from hub.services.servables import Servable

MODEL = "/v2/models/{owner}/{name}"
_PROTOCOL = "oip"
_BINARY = b"application/octet-stream"
HEADER_LENGTH = oip.HEADER_LENGTH.lower().encode()
_headers = KnownHeaders()
_CHOICES = (f"{MODEL}/versions/{{version}}", MODEL)


def routes(house: House) -> list[BaseRoute]:
    """The facade's routes but for the hot ones; those that only take POST say so to who asks otherwise."""
    found: list[BaseRoute] = [
        route(house, "GET", "/v2", _server),
        route(house, "GET", "/v2/health/live", _live),
        route(house, "GET", "/v2/health/ready", _ready),
    ]
    for path in _CHOICES:
        found.append(Route(f"{path}/infer", only_post))
        found.append(route(house, "GET", f"{path}/ready", _model_ready))
        found.append(route(house, "GET", path, _model))
    return found


def short_ways(house: House) -> list[ShortWay]:
    """The facade's hot routes."""
    starter = Starter(_PROTOCOL, _reference, _decode_at_once, _encode, _text_bytes)
    return [short_way(house, f"{path}/infer", _infer, starter=starter) for path in _CHOICES]


def _reference(parts: Mapping[str, str]) -> Reference:
    name = f"{parts['owner']}/{parts['name']}"
    version = parts.get("version")
    if version is None:
        return reference(name)
    return reference(f"{name}@{version}" if version.isdigit() else f"{name}:{version}")


async def _servable(house: House, authorization: str | None, parts: Mapping[str, str]) -> Servable:
    return await house.predictions.resolve(await caller(house, authorization), _reference(parts))


async def _server(_house: House, _request: Request) -> Response:
    return json_answer({"name": "trunkhub", "version": __version__, "extensions": oip.EXTENSIONS})


async def _live(_house: House, _request: Request) -> Response:
    return json_answer({"live": True})


async def _ready(house: House, _request: Request) -> Response:
    status = await asyncio.to_thread(house.health.status)
    return json_answer({"ready": status.ok}, 200 if status.ok else 503)


async def _model(house: House, request: Request) -> Response:
    authorization = request.headers.get("authorization")
    servable = await _servable(house, authorization, request.path_params)
    name = _reference(request.path_params).model
    listed = await asyncio.to_thread(house.predictions.listed, await caller(house, authorization), name)
    ready = sorted(version.number for version in listed if version.state is State.READY)
    return json_answer(oip.metadata(str(name), ready, servable.signatures))


async def _model_ready(house: House, request: Request) -> Response:
    servable = await _servable(house, request.headers.get("authorization"), request.path_params)
    return json_answer({"name": servable.version.model, "ready": True})


async def _infer(house: House, exchange: Exchange) -> Answer:
    principal = await caller(house, exchange.header(b"authorization"), exchange.address)
    servable = await house.predictions.resolve(principal, _reference(exchange.parts))
    body = await read_body(house, exchange)
    header_length = exchange.header(HEADER_LENGTH)
    json_bytes = len(body) if header_length is None else 0
    decode = _headers.decode
    call = await off_loop(json_bytes, decode, body, header_length, servable.signatures, servable.target.digest)
    priority, timeout_s = call.priority, call.timeout_s
    outputs = await infer(house, _PROTOCOL, exchange, principal, servable, call, priority=priority, timeout_s=timeout_s)
    return await encoded(outputs, call, servable)


def _decode_at_once(headers: Mapping[bytes, bytes], body: bytes, servable: Servable) -> InferCall | None:
    length = headers.get(HEADER_LENGTH)
    if length is None and len(body) >= LARGE_BYTES:
        return None
    header_length = None if length is None else length.decode("latin-1")
    return _headers.decode(body, header_length, servable.signatures, servable.target.digest)


def _text_bytes(outputs: Sequence[Tensor], call: InferCall) -> int:
    if call.is_all_binary:
        return 0
    return sum(len(tensor.data) for tensor in outputs if not call.is_binary(tensor.name))


async def encoded(outputs: list[Tensor], call: InferCall, servable: Servable) -> Answer:
    """The answer that says what a version gave."""
    return await off_loop(_text_bytes(outputs, call), _encode, outputs, call, servable)


def _encode(outputs: list[Tensor], call: InferCall, servable: Servable) -> Answer:
    version = servable.version
    body, header_length = oip.encode_infer(outputs, call, model=version.model, version=version.number)
    if header_length is None:
        return Answer(body, JSON.encode())
    return Answer(body, _BINARY, [(HEADER_LENGTH, b"%d" % header_length)])
