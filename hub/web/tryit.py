"""The try-it page: a form made from a signature, and what a version answers to it.

The form is POSTed to the page itself, which checks where it comes from, runs it by the predict service as whoever is
signed in, and answers with the page again; the script asks for the answer's part of it only (``Hub-Part: result``).

Laws: nothing is sent but what stands in the form; the form comes back as it was sent; the page never waits for longer
than predictions may take, and stops waiting when its reader leaves.
"""

import asyncio
import base64
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.domain.errors import HubError, InvalidRequest, TooLarge
from hub.domain.manifest import Kind
from hub.domain.names import parse_reference
from hub.domain.signatures import Signature
from hub.domain.versions import State, Version
from hub.protocol import paths
from hub.protocol.codecs import tfserving
from hub.protocol.frames import Tensor
from hub.protocol.golden import read_golden
from hub.protocol.schemas import VersionDetail
from hub.services.house import House
from hub.telemetry import metrics, timing
from hub.telemetry.timing import Timing
from hub.web.calls import Call, heads_call, predict_call
from hub.web.inputs import Field, body_of, fields_of, filled
from hub.web.looks import Look, look_at
from hub.web.results import Output, output_of
from hub.web.session import check_same_origin, principal_of
from hub.web.shell import base_url, render
from hub.web.snippets import default_signature, push_command
from hub.web.visits import Visit

MAX_FORM_BYTES = 8 << 20
_MAX_FIELDS = 200
_LOOK_EVERY_S = 0.25
_LEFT = 499
_CALLABLE = frozenset({State.READY, State.YANKED})
_PART = "hub-part"
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Form:
    """What the page is about: a version, one of its signatures, and the fields for that."""

    look: Look
    signature: Signature | None
    fields: list[Field] | None

    @property
    def detail(self) -> VersionDetail | None:
        """The version."""
        return self.look.detail


@dataclass(frozen=True, slots=True)
class Group:
    """What one version gave: its reference, and its outputs."""

    reference: str
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a form: groups of outputs and where the time went, or the problem."""

    groups: tuple[Group, ...] = ()
    times: Timing | None = None
    total_ms: float = 0.0
    call: Call | None = None
    problem: HubError | None = None

    @property
    def file_url(self) -> str | None:
        """The request as a file to keep, where the code needs one."""
        if self.call is None or self.call.file is None:
            return None
        return f"data:application/json;base64,{base64.b64encode(self.call.file).decode()}"


def try_page(visit: Visit) -> Response:
    """``GET /{owner}/{name}/try``: the form."""
    return _show(visit, _form(visit), None)


def loaded_page(visit: Visit) -> Response:
    """``GET /{owner}/{name}/try/state``: whether the version is in a worker's memory, for the script to tell."""
    version = look_at(visit, "try").version
    return JSONResponse({"loaded_on": _loaded_on(visit, version) if version else None})


async def try_form(request: Request, house: House) -> Response:
    """``POST /{owner}/{name}/try``: the form, and what it gives."""
    check_same_origin(request)
    sent = await _sent(request)

    def prepared() -> tuple[Visit, Form]:
        principal = principal_of(house, request)
        request.state.principal = principal
        visit = Visit(request, house, principal)
        return visit, _form(visit)

    visit, form = await run_in_threadpool(prepared)
    detail, signature = form.detail, form.signature
    if detail is None or signature is None or form.fields is None:
        return await run_in_threadpool(_show, visit, form, None)
    fields = filled(form.fields, sent)
    form = Form(form.look, signature, fields)
    ask = _ask_heads if sent.get("ask") == "heads" else _ask
    try:
        result = await _unless_left(request, ask(visit, detail, signature, fields))
    except HubError as error:
        metrics.PREDICTIONS.labels("page", error.code).inc()
        result = Result(problem=error)
    except asyncio.CancelledError:
        if not await request.is_disconnected():
            raise
        metrics.PREDICTIONS.labels("page", "cancelled").inc()
        return Response(status_code=_LEFT)
    else:
        metrics.PREDICTIONS.labels("page", "answered").inc()
    return await run_in_threadpool(_show, visit, form, result)


async def _sent(request: Request) -> dict[str, str]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise TooLarge(
                f"The form is longer than the {MAX_FORM_BYTES >> 20} MiB that the page takes.",
                remedy="Send it with `hub predict`, which sends numbers in fewer bytes.",
                limit_bytes=MAX_FORM_BYTES,
            )
    return await run_in_threadpool(_read, bytes(body))


def _read(body: bytes) -> dict[str, str]:
    try:
        found = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise InvalidRequest("The form is not well-formed.", remedy="Send it from the page itself.") from error
    return {name: values[-1] for name, values in found.items()}


def _form(visit: Visit) -> Form:
    look = look_at(visit, "try")
    detail = look.detail
    if detail is None:
        return Form(look, None, None)
    asked = visit.request.query_params.get("signature", "")
    signature = detail.signatures.get(asked) or default_signature(detail.signatures)
    if signature is None or detail.version.state not in _CALLABLE:
        return Form(look, signature, None)
    return Form(look, signature, fields_of(signature, _samples(visit, detail, signature)))


def _samples(visit: Visit, detail: VersionDetail, signature: Signature) -> dict[str, Tensor]:
    """Inputs that the signature took when it was probed; for a head, what its trunk took."""
    version = detail.version
    try:
        golden = read_golden(visit.house.pulls.golden(visit.principal, version.model, version.number))
    except HubError:
        return {}  # there are none, or the store is away: examples are made up then, and the page is still a page
    sample = golden.get(signature.name)
    return {tensor.name: tensor for tensor in sample.inputs} if sample else {}


async def _ask(visit: Visit, detail: VersionDetail, signature: Signature, fields: Sequence[Field]) -> Result:
    """Ask the one version."""
    predictions, reference = visit.house.predictions, detail.version.reference
    servable = await predictions.resolve(visit.principal, parse_reference(reference))
    body = await run_in_threadpool(body_of, signature.name, fields)
    call = await run_in_threadpool(tfserving.decode_predict, body, servable.signatures)
    began = time.perf_counter()
    with timing.asked() as times:
        limit_s = visit.house.settings.predict_deadline_s
        tensors = await predictions.predict(visit.principal, servable, signature.name, call.tensors, limit_s)
    total_ms = (time.perf_counter() - began) * 1000
    groups = (Group(reference, await run_in_threadpool(_outputs, tensors, detail.version.kind is Kind.HEAD)),)
    needs_token = not visit.principal.is_anonymous
    code = predict_call(base_url(visit.request), reference, signature.name, body, needs_token=needs_token)
    return Result(groups, times, total_ms, code)


async def _ask_heads(visit: Visit, detail: VersionDetail, signature: Signature, fields: Sequence[Field]) -> Result:
    """Ask all heads of a trunk on one input."""
    predictions, reference = visit.house.predictions, detail.version.reference
    trunk = await predictions.resolve(visit.principal, parse_reference(reference))
    heads = await predictions.heads(visit.principal, trunk, None)
    if heads.signature.inputs != signature.inputs:
        raise InvalidRequest(
            f"The heads of {reference} are fed by another signature of it than {signature.name}.",
            remedy="Choose that signature above, or ask the heads on their own pages.",
        )
    body = await run_in_threadpool(body_of, heads.signature.name, fields)
    call = await run_in_threadpool(tfserving.decode_predict, body, {heads.signature.name: heads.signature})
    began = time.perf_counter()
    with timing.asked() as times:
        tensors = await predictions.predict_heads(
            visit.principal, heads, call.tensors, visit.house.settings.predict_deadline_s
        )
    total_ms = (time.perf_counter() - began) * 1000
    by_head: dict[str, list[Tensor]] = {}
    for tensor in tensors:
        owner, model, name = tensor.name.split("/", 2)
        by_head.setdefault(f"{owner}/{model}", []).append(Tensor(name, tensor.dtype, tensor.shape, tensor.data))
    groups = tuple(Group(head, _outputs(given, is_head=True)) for head, given in by_head.items())
    path, needs_token = paths.heads_predict(reference), not visit.principal.is_anonymous
    code = heads_call(base_url(visit.request), path, reference, body, list(call.tensors), needs_token=needs_token)
    return Result(groups, times, total_ms, code)


def _outputs(tensors: Sequence[Tensor], is_head: bool) -> tuple[Output, ...]:
    return tuple(output_of(tensor, gives_classes=is_head) for tensor in tensors)


async def _unless_left(request: Request, work: Awaitable[_Result]) -> _Result:
    """Wait for work, which is cancelled where the reader leaves."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=_LOOK_EVERY_S))[0]:
            if await request.is_disconnected():
                task.cancel()
        return task.result()
    finally:
        task.cancel()


def _show(visit: Visit, form: Form, result: Result | None) -> Response:
    status = 200 if result is None or result.problem is None else result.problem.status
    detail, signature = form.detail, form.signature
    if result is not None and visit.request.headers.get(_PART) == "result":
        response = render(visit.request, "try_result.html", status=status, result=result)
        response.headers[_PART] = "result"
        return response
    facts: dict[str, Any] = {"look": form.look, "signature": signature, "fields": form.fields}
    facts |= {"push_command": push_command(form.look.model, detail)}
    if detail is not None and signature is not None:
        version = detail.version
        query = {"version": version.number, "signature": signature.name}
        facts |= {
            "action": f"/{version.model}/try?{urlencode(query)}",
            "state_url": f"/{version.model}/try/state?version={version.number}",
            "loaded_on": _loaded_on(visit, version),
            "has_heads": _has_heads(visit, detail),
            "numbers": _numbers(visit, version.number),
            "max_bytes": MAX_FORM_BYTES,
        }
    name = form.look.model.name
    api = paths.version(name, detail.version.number) if detail else paths.model(name)
    return render(visit.request, "try.html", status=status, api=api, result=result, **facts)


def _numbers(visit: Visit, current: int) -> list[int]:
    """The versions that can be chosen: the newest that can be called, and the current one."""
    found = visit.house.browse.versions(visit.principal, visit.model_name, limit=50).items
    numbers = {version.number for version in found if version.state in _CALLABLE} | {current}
    return sorted(numbers, reverse=True)


def _has_heads(visit: Visit, detail: VersionDetail) -> bool:
    version = detail.version
    if version.kind is not Kind.TRUNK:
        return False
    return bool(visit.house.yanks.impact(visit.principal, version.model, version.number).heads)


def _loaded_on(visit: Visit, version: Version) -> str | None:
    """The device whose worker has the version in memory."""
    for worker in visit.house.browse.workers(visit.principal).items:
        if any(held.digest == version.digest for held in worker.loaded):
            return worker.device
    return None
