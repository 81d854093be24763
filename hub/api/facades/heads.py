"""Many heads of one trunk on one input: ``POST /api/v1/models/{trunk}/heads:predict``.

Body and answer are those of the Open Inference Protocol's infer, JSON or binary, on the trunk's input. The parameter
``heads`` lists references; without it every head of the trunk version is asked, the newest ready version of each. An
output's name is the head's reference, a slash, and the output's own name. The trunk may be any form of reference.

Law: the trunk is computed once, whatever the number of heads.
"""

import math
from typing import Any

from hub.api.facades.exchange import DEADLINE, caller, deadline_s, measured, off_loop, read_body, reference
from hub.api.facades.hot import Answer, Exchange, short_way
from hub.api.facades.oip import HEADER_LENGTH, encoded
from hub.api.front import ShortWay
from hub.domain.errors import InvalidRequest
from hub.domain.names import Reference, parse_reference
from hub.protocol import paths
from hub.protocol.codecs import oip
from hub.services.house import House

_PROTOCOL = "heads"


def short_ways(house: House) -> list[ShortWay]:
    """The facade's hot routes."""
    return [short_way(house, paths.heads_predict("{owner}/{name}"), _predict)]


async def _predict(house: House, exchange: Exchange) -> Answer:
    principal = await caller(house, exchange.header(b"authorization"), exchange.address)
    parts = exchange.parts
    trunk = await house.predictions.resolve(principal, reference(f"{parts['owner']}/{parts['name']}"))
    body = await read_body(house, exchange)
    length = exchange.header(HEADER_LENGTH)
    json_bytes = len(body) if length is None else 0
    wanted = _wanted(await off_loop(json_bytes, oip.read_parameters, body, length))
    heads = await house.predictions.heads(principal, trunk, wanted)
    call = await off_loop(json_bytes, oip.decode_infer, body, length, {heads.signature.name: heads.signature})
    limit_s = min(deadline_s(house, exchange.header(DEADLINE)), call.timeout_s or math.inf)
    work = house.predictions.predict_heads(principal, heads, call.tensors, limit_s, call.priority)
    outputs = await measured(_PROTOCOL, exchange.unless_left(work))
    return await encoded(outputs, call, trunk)


def _wanted(parameters: dict[str, Any]) -> list[Reference] | None:
    heads = parameters.get("heads")
    if heads is None:
        return None
    if not isinstance(heads, list) or not all(isinstance(head, str) for head in heads):
        raise InvalidRequest("The parameter 'heads' is no list of references.", remedy='Send ["acme/cats", …].')
    return [parse_reference(head) for head in heads]
