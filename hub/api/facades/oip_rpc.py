"""The Open Inference Protocol's ``GRPCInferenceService``.

A model is ``owner/name`` or any form of reference; ``model_version`` a number or an alias.
"""

import asyncio
import math

from hub import __version__
from hub.api.facades.exchange import measured, off_loop, reference
from hub.api.facades.rpc import Call, Method
from hub.domain.errors import Conflict, NotFound
from hub.domain.names import Reference
from hub.domain.versions import State
from hub.protocol.codecs import oip_rpc as codec
from hub.protocol.messages import INFERENCE, parse
from hub.services.house import House

SERVICE = "/inference.GRPCInferenceService"
_PROTOCOL = "oip-grpc"


def methods() -> dict[str, Method]:
    """By full name."""
    return {
        f"{SERVICE}/ServerLive": _live,
        f"{SERVICE}/ServerReady": _ready,
        f"{SERVICE}/ServerMetadata": _server,
        f"{SERVICE}/ModelReady": _model_ready,
        f"{SERVICE}/ModelMetadata": _model,
        f"{SERVICE}/ModelInfer": _infer,
    }


def _reference(name: str, version: str) -> Reference:
    if not version:
        return reference(name)
    return reference(f"{name}@{version}" if version.isdigit() else f"{name}:{version}")


async def _live(_house: House, _call: Call, _body: bytes) -> bytes:
    return INFERENCE["ServerLiveResponse"](live=True).SerializeToString()


async def _ready(house: House, _call: Call, _body: bytes) -> bytes:
    status = await asyncio.to_thread(house.health.status)
    return INFERENCE["ServerReadyResponse"](ready=status.ok).SerializeToString()


async def _server(_house: House, _call: Call, _body: bytes) -> bytes:
    return INFERENCE["ServerMetadataResponse"](name="trunkhub", version=__version__).SerializeToString()


async def _model_ready(house: House, call: Call, body: bytes) -> bytes:
    request = parse(INFERENCE["ModelReadyRequest"], body)
    principal, is_ready = await call.caller(), True
    try:
        await house.predictions.resolve(principal, _reference(request.name, request.version))
    except (NotFound, Conflict):
        is_ready = False
    return INFERENCE["ModelReadyResponse"](ready=is_ready).SerializeToString()


async def _model(house: House, call: Call, body: bytes) -> bytes:
    request = parse(INFERENCE["ModelMetadataRequest"], body)
    principal, wanted = await call.caller(), _reference(request.name, request.version)
    servable = await house.predictions.resolve(principal, wanted)
    listed = await asyncio.to_thread(house.predictions.listed, principal, wanted.model)
    ready = sorted(version.number for version in listed if version.state is State.READY)
    return codec.encode_metadata(str(wanted.model), ready, servable.signatures)


async def _infer(house: House, call: Call, body: bytes) -> bytes:
    principal = await call.caller()
    request = await off_loop(len(body), parse, INFERENCE["ModelInferRequest"], body)
    servable = await house.predictions.resolve(principal, _reference(request.model_name, request.model_version))
    decoded = await off_loop(len(body), codec.decode_infer, request, servable.signatures)
    limit_s = min(call.deadline_s(), decoded.timeout_s or math.inf)
    name, priority = decoded.signature.name, decoded.priority
    work = house.predictions.predict(principal, servable, name, decoded.tensors, limit_s, priority)
    outputs = await measured(_PROTOCOL, work)
    answered = sum(len(tensor.data) for tensor in outputs)
    return await off_loop(answered, codec.encode_infer, outputs, decoded, servable.version)
