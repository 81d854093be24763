"""TensorFlow Serving's gRPC services ``PredictionService`` and ``ModelService``.

``model_spec.name`` is ``owner/name`` or any form of reference; ``version`` a number, ``version_label`` an alias.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from hub.api.facades.exchange import measured, off_loop, reference
from hub.api.facades.rpc import Call, Method
from hub.domain.access import Principal
from hub.domain.errors import InvalidRequest
from hub.domain.names import Reference
from hub.protocol.codecs import tfserving_rpc as codec
from hub.protocol.frames import Tensor
from hub.protocol.messages import TENSORFLOW, parse
from hub.services.house import House
from hub.services.servables import Servable

PREDICTIONS, MODELS = "/tensorflow.serving.PredictionService", "/tensorflow.serving.ModelService"
MAX_TASKS = 16
_PROTOCOL = "tfserving-grpc"


def methods() -> dict[str, Method]:
    """By full name."""
    return {
        f"{PREDICTIONS}/Predict": _predict,
        f"{PREDICTIONS}/Classify": _classify,
        f"{PREDICTIONS}/Regress": _regress,
        f"{PREDICTIONS}/MultiInference": _several,
        f"{PREDICTIONS}/GetModelMetadata": _metadata,
        f"{MODELS}/GetModelStatus": _status,
    }


def _reference(spec: Any) -> Reference:
    if spec.version_label:
        return reference(f"{spec.name}:{spec.version_label}")
    if spec.HasField("version"):
        return reference(f"{spec.name}@{spec.version.value}")
    return reference(spec.name)


async def _servable(house: House, principal: Principal, spec: Any) -> Servable:
    return await house.predictions.resolve(principal, _reference(spec))


async def _predict(house: House, call: Call, body: bytes) -> bytes:
    principal = await call.caller()
    request = await off_loop(len(body), parse, TENSORFLOW["PredictRequest"], body)
    servable = await _servable(house, principal, request.model_spec)
    decoded = await off_loop(len(body), codec.decode_predict, request, servable.signatures)
    outputs = await _run(house, call, principal, servable, decoded.signature.name, decoded.tensors)
    return await off_loop(_size(outputs), codec.encode_predict, outputs, decoded, servable.version)


async def _run(
    house: House, call: Call, principal: Principal, servable: Servable, signature: str, tensors: Sequence[Tensor]
) -> list[Tensor]:
    work = house.predictions.predict(principal, servable, signature, tensors, call.deadline_s())
    return await measured(_PROTOCOL, work)


def _size(tensors: Sequence[Tensor]) -> int:
    return sum(len(tensor.data) for tensor in tensors)


async def _classify(house: House, call: Call, body: bytes) -> bytes:
    return await _one(house, call, body, TENSORFLOW["ClassificationResponse"](), codec.fill_classes)


async def _regress(house: House, call: Call, body: bytes) -> bytes:
    return await _one(house, call, body, TENSORFLOW["RegressionResponse"](), codec.fill_values)


async def _one(house: House, call: Call, body: bytes, response: Any, fill: codec.Fill) -> bytes:
    principal = await call.caller()
    request = await off_loop(len(body), parse, TENSORFLOW["ExamplesRequest"], body)
    await _examples(house, call, principal, request.model_spec, request.input, (response, response.result, fill))
    return response.SerializeToString()


async def _examples(
    house: House, call: Call, principal: Principal, spec: Any, sent: Any, into: tuple[Any, Any, codec.Fill]
) -> None:
    """Run one model on examples and write what it gave into an answer."""
    holder, result, fill = into
    servable = await _servable(house, principal, spec)
    decoded = await off_loop(sent.ByteSize(), codec.decode_examples, spec, sent, servable.signatures)
    outputs = await _run(house, call, principal, servable, decoded.signature.name, decoded.tensors)
    await off_loop(_size(outputs), fill, result, outputs, decoded.signature)
    result.SetInParent()
    codec.write_spec(holder.model_spec, servable.version, decoded.signature.name)


async def _several(house: House, call: Call, body: bytes) -> bytes:
    principal = await call.caller()
    request = await off_loop(len(body), parse, TENSORFLOW["MultiInferenceRequest"], body)
    if not 0 < len(request.tasks) <= MAX_TASKS:
        raise InvalidRequest(f"There are {len(request.tasks)} tasks.", remedy=f"Send from one to {MAX_TASKS}.")
    response: Any = TENSORFLOW["MultiInferenceResponse"]()
    for task in request.tasks:
        holder = response.results.add()
        into = _task_result(task.method_name, holder)
        await _examples(house, call, principal, task.model_spec, request.input, (holder, *into))
    return response.SerializeToString()


def _task_result(method: str, holder: Any) -> tuple[Any, codec.Fill]:
    kinds: Mapping[str, tuple[Any, codec.Fill]] = {
        codec.CLASSIFY_METHOD: (holder.classification_result, codec.fill_classes),
        codec.REGRESS_METHOD: (holder.regression_result, codec.fill_values),
    }
    if method not in kinds:
        raise InvalidRequest(f"There is no method {method[:80]!r}.", remedy=f"Ask for one of {sorted(kinds)}.")
    return kinds[method]


async def _metadata(house: House, call: Call, body: bytes) -> bytes:
    request = parse(TENSORFLOW["GetModelMetadataRequest"], body)
    servable = await _servable(house, await call.caller(), request.model_spec)
    for field in request.metadata_field or ("",):
        if field != codec.SIGNATURES_FIELD:
            raise InvalidRequest(
                f"There is no metadata field {field[:80]!r}.", remedy=f"Ask for {codec.SIGNATURES_FIELD!r}."
            )
    return codec.encode_metadata(servable.version, servable.signatures)


async def _status(house: House, call: Call, body: bytes) -> bytes:
    spec = parse(TENSORFLOW["GetModelStatusRequest"], body).model_spec
    principal = await call.caller()
    wanted = _reference(spec)
    if wanted != Reference(wanted.model):
        return codec.encode_status([(await house.predictions.resolve(principal, wanted)).version])
    listed: Callable[..., Any] = partial(house.predictions.listed, principal, wanted.model)
    return codec.encode_status(await asyncio.to_thread(listed))
