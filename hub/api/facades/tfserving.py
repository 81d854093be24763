"""TensorFlow Serving's REST API at ``/v1/models/{owner}/{name}``: predict, classify, regress, metadata, status.

The version may be chosen by ``/versions/{n}``, by ``/labels/{alias}``, or by any form of reference in the name's place
(``acme/resnet50~2:predict``). Errors are problems that also have TensorFlow Serving's ``error`` key.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

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
from hub.api.facades.hot import Answer, Exchange, Handler, short_way
from hub.api.facades.straight import Starter
from hub.api.front import ShortWay
from hub.domain.names import ModelName, Reference
from hub.domain.signatures import Signature
from hub.protocol.codecs import examples, tfserving
from hub.protocol.codecs.examples import ExamplesCall
from hub.protocol.codecs.tfserving import PredictCall
from hub.protocol.frames import Tensor
from hub.services.house import House
from hub.services.servables import Servable

MODEL = "/v1/models/{owner}/{name}"
_PROTOCOL = "tfserving"
_CHOICES = (MODEL, f"{MODEL}/versions/{{number}}", f"{MODEL}/labels/{{label}}")
_Call = TypeVar("_Call", PredictCall, ExamplesCall)
Decode = Callable[[bytes, Mapping[str, Signature]], _Call]
Encode = Callable[[Sequence[Tensor], _Call], bytes]


def routes(house: House) -> list[BaseRoute]:
    """The facade's routes, most particular first: ``{name}`` would also match ``name:predict``."""
    found: list[BaseRoute] = []
    for path in _CHOICES:
        found += [Route(f"{path}:{verb}", only_post) for verb in _verbs()]
        found.append(route(house, "GET", f"{path}/metadata", _metadata))
        found.append(route(house, "GET", path, _status))
    return found


def short_ways(house: House) -> list[ShortWay]:
    """The facade's hot routes."""
    at_once = {"predict": Starter(_PROTOCOL, _reference, _decode_at_once, _encode_at_once, _text_bytes)}
    return [
        short_way(house, f"{path}:{verb}", handler, starter=at_once.get(verb))
        for path in _CHOICES
        for verb, handler in _verbs().items()
    ]


def _verbs() -> dict[str, Handler]:
    return {"predict": _predict, "classify": _classify, "regress": _regress}


def _reference(parts: Mapping[str, str]) -> Reference:
    name = f"{parts['owner']}/{parts['name']}"
    if "number" in parts:
        return reference(f"{name}@{parts['number']}")
    if "label" in parts:
        return reference(f"{name}:{parts['label']}")
    return reference(name)


async def _servable(house: House, authorization: str | None, parts: Mapping[str, str]) -> Servable:
    return await house.predictions.resolve(await caller(house, authorization), _reference(parts))


async def _predict(house: House, exchange: Exchange) -> Answer:
    return await _answer(house, exchange, tfserving.decode_predict, _encode_predict)


async def _classify(house: House, exchange: Exchange) -> Answer:
    return await _answer(house, exchange, examples.decode_examples, _encode_classes)


async def _regress(house: House, exchange: Exchange) -> Answer:
    return await _answer(house, exchange, examples.decode_examples, _encode_values)


def _encode_predict(outputs: Sequence[Tensor], call: PredictCall) -> bytes:
    return tfserving.encode_predict(outputs, call.layout)


def _encode_classes(outputs: Sequence[Tensor], call: ExamplesCall) -> bytes:
    return examples.encode_classes(outputs, call.signature)


def _encode_values(outputs: Sequence[Tensor], call: ExamplesCall) -> bytes:
    return examples.encode_values(outputs, call.signature)


async def _answer(house: House, exchange: Exchange, decode: Decode[_Call], encode: Encode[_Call]) -> Answer:
    principal = await caller(house, exchange.header(b"authorization"), exchange.address)
    servable = await house.predictions.resolve(principal, _reference(exchange.parts))
    body = await read_body(house, exchange)
    call = await off_loop(len(body), decode, body, servable.signatures)
    outputs = await infer(house, _PROTOCOL, exchange, principal, servable, call)
    answered_bytes = sum(len(tensor.data) for tensor in outputs)
    return Answer(await off_loop(answered_bytes, encode, outputs, call), JSON.encode())


def _decode_at_once(_headers: Mapping[bytes, bytes], body: bytes, servable: Servable) -> PredictCall | None:
    return None if len(body) >= LARGE_BYTES else tfserving.decode_predict(body, servable.signatures)


def _encode_at_once(outputs: Sequence[Tensor], call: PredictCall, _servable: Servable) -> Answer:
    return Answer(_encode_predict(outputs, call), JSON.encode())


def _text_bytes(outputs: Sequence[Tensor], _call: PredictCall) -> int:
    return sum(len(tensor.data) for tensor in outputs)


async def _metadata(house: House, request: Request) -> Response:
    servable = await _servable(house, request.headers.get("authorization"), request.path_params)
    version = servable.version
    return json_answer(tfserving.metadata(version.model, version.number, servable.signatures))


async def _status(house: House, request: Request) -> Response:
    reference = _reference(request.path_params)
    principal = await caller(house, request.headers.get("authorization"))
    if reference != Reference(reference.model):
        servable = await house.predictions.resolve(principal, reference)
        return json_answer(tfserving.status([servable.version]))
    name: ModelName = reference.model
    return json_answer(tfserving.status(await asyncio.to_thread(partial(house.predictions.listed, principal, name))))
