"""One very request as code to copy. Pure.

Law: what is printed sends exactly the request that was answered; what is too long to be copied is read from a file.
"""

import base64
import math
import shlex
from dataclasses import dataclass
from typing import Any

from hub.domain.errors import HubError
from hub.domain.tensors import BY_NAME
from hub.protocol.codecs.json_text import parse_json, write_json
from hub.protocol.codecs.values import is_base64, to_array
from hub.protocol.frames import Tensor
from hub.web.examples import quoted

MAX_INLINE_BYTES = 64 << 10
FILE = "request.json"
_END = "END_OF_REQUEST"


@dataclass(frozen=True, slots=True)
class Call:
    """A request as code.

    Attributes:
        curl: For a shell; None where the request has no JSON form.
        python: With this hub's client.
        file: What ``request.json`` has to hold where the code reads it; None where it needs no file.
    """

    curl: str | None
    python: str
    file: bytes | None


def predict_call(base_url: str, reference: str, signature: str, body: bytes, *, needs_token: bool) -> Call:
    """The call of one version, from the body of a predict request in columnar format."""
    name, _, number = reference.partition("@")
    curl = _curl(f"{base_url}/v1/models/{name}/versions/{number}:predict", body, needs_token=needs_token)
    call = f"outputs = client.predict({quoted(reference)}, inputs, signature={quoted(signature)})"
    return Call(curl, _python(base_url, body, [call, "print(outputs)"]), _file(body))


def heads_call(base_url: str, path: str, trunk: str, body: bytes, tensors: list[Tensor], *, needs_token: bool) -> Call:
    """The call of all heads of a trunk."""
    lines = [f"outputs = client.predict_heads({quoted(trunk)}, inputs)", "print(outputs)"]
    try:
        infer = write_json({"inputs": [_entry(tensor) for tensor in tensors]})
    except (HubError, UnicodeDecodeError):
        return Call(None, _python(base_url, body, lines), _file(body))
    curl = _curl(f"{base_url}{path}", infer, needs_token=needs_token) if len(infer) <= MAX_INLINE_BYTES else None
    return Call(curl, _python(base_url, body, lines), _file(body))


def _file(body: bytes) -> bytes | None:
    return body if len(body) > MAX_INLINE_BYTES else None


def _curl(url: str, body: bytes, *, needs_token: bool) -> str:
    token = ['  -H "Authorization: Bearer $HUB_TOKEN"'] if needs_token else []
    call = [f"curl -s {shlex.quote(url)}", *token, "  -H 'Content-Type: application/json'"]
    if len(body) > MAX_INLINE_BYTES:
        return " \\\n".join([*call, f"  -d @{FILE}"])
    return " \\\n".join([*call, f"  -d @- <<'{_END}'"]) + f"\n{body.decode()}\n{_END}"


def _python(base_url: str, body: bytes, calls: list[str]) -> str:
    head = ["import hub", "", f"client = hub.Client({quoted(base_url)})"]
    if len(body) > MAX_INLINE_BYTES:
        head[:1] = ["import json", "", "import hub"]
        inputs = [f'with open("{FILE}") as file:', '    inputs = json.load(file)["inputs"]']
    else:
        values = parse_json(body)["inputs"]
        inputs = ["inputs = {", *(f"    {quoted(name)}: {_literal(value)}," for name, value in values.items()), "}"]
    return "\n".join([*head, *(inputs if inputs != ["inputs = {", "}"] else ["inputs = {}"]), *calls])


def _literal(value: Any) -> str:
    """JSON as Python; ``b64`` as the bytes that it is."""
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if is_base64(value):
        return repr(base64.b64decode(value["b64"]))
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return quoted(value) if isinstance(value, str) else repr(value)


def _entry(tensor: Tensor) -> dict[str, Any]:
    flat = to_array(tensor).reshape(-1).tolist()
    data = [one.decode() if isinstance(one, bytes) else one for one in flat]
    return {"name": tensor.name, "datatype": BY_NAME[tensor.dtype].oip, "shape": list(tensor.shape), "data": data}
