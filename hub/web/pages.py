"""The pages, one function each: ask the services, fill a template. Mounted last, after every machine-readable path.

Laws: a page shows what the REST API would tell the same reader, no more; all state of a page is in its URL; a private
model is answered like an absent one.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from hub.domain.errors import HubError, InvalidName, NotFound, VersionNotFound
from hub.domain.lineage import EdgeKind
from hub.domain.manifest import Kind
from hub.domain.names import RESERVED_OWNERS, ModelName
from hub.domain.versions import Model
from hub.protocol.frames import Tensor
from hub.protocol.golden import read_golden
from hub.protocol.schemas import VersionDetail
from hub.services.house import House
from hub.web import openid, settings
from hub.web.examples import needs_samples
from hub.web.session import local_path, sign_in, sign_in_form, sign_out
from hub.web.shell import base_url, render, static_files
from hub.web.snippets import default_signature, snippets
from hub.web.visits import NUMBER, Answer, Visit, page_route, route

PAGE_ROWS = 50
_OWN_WORDS = frozenset({"login", "logout", "workers", "settings", "static"})
_MAX_SEARCH_CHARS = 100


class _DashboardWord(Convertor[str]):
    """A first path segment that does not belong to an API, so that an API's 404 stays the API's."""

    regex = rf"(?!(?:{'|'.join(sorted(RESERVED_OWNERS - _OWN_WORDS))})(?:/|$))[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("dashboard_word", _DashboardWord())


def routes(house: House) -> list[BaseRoute]:
    """Every path of the dashboard. They answer whatever nobody before them did, so they come last."""
    model = "/{owner:dashboard_word}/{name}"

    def here(answer: Callable[[Request, House], Awaitable[Response]]) -> Answer:
        async def with_house(request: Request) -> Response:
            return await answer(request, house)

        return with_house

    return [
        static_files(),
        page_route(house, "/", _models),
        page_route(house, "/workers", _workers),
        route("/login", here(_show_sign_in), method="GET"),
        route("/login", here(sign_in), method="POST"),
        route("/logout", here(sign_out), method="POST"),
        route(openid.BEGIN, here(openid.go), method="GET"),
        route(openid.BACK, here(openid.come_back), method="GET"),
        *settings.routes(house),
        page_route(house, model, _model),
        page_route(house, f"{model}/versions", _versions),
        page_route(house, f"{model}/versions/{{number}}", _version),
        page_route(house, "/{first:dashboard_word}", _nothing),
        page_route(house, "/{first:dashboard_word}/{rest:path}", _nothing),
    ]


async def _show_sign_in(request: Request, house: House) -> Response:
    return sign_in_form(request, house, target=local_path(request.query_params.get("next", "/")))


def _models(visit: Visit) -> Response:
    query = visit.request.query_params
    search = "".join(char for char in query.get("q", "").strip() if char.isprintable())[:_MAX_SEARCH_CHARS]
    kind = next((kind for kind in Kind if kind == query.get("kind")), None)
    found = visit.house.browse.models(
        visit.principal, kind=kind, search=search or None, after=_model_name(query.get("after", "")), limit=PAGE_ROWS
    )
    return render(visit.request, "models.html", page=found, search=search, kind=kind)


def _model_name(text: str) -> str | None:
    try:
        return str(ModelName.parse(text))
    except InvalidName:
        return None


def _model(visit: Visit) -> Response:
    browse, name = visit.house.browse, visit.model_name
    model = browse.model(visit.principal, name)
    newest = browse.versions(visit.principal, name, limit=1).items
    number = model.latest or (newest[0].number if newest else None)
    facts = _version_facts(visit, name, number) if number else {"detail": None}
    facts["newest"] = newest[0] if newest else None
    return render(visit.request, "model.html", model=model, push_command=_push_command(model, facts["detail"]), **facts)


def _push_command(model: Model, detail: VersionDetail | None) -> str:
    """How one more version is pushed: a head says again which trunk it stands on."""
    edges = detail.lineage if detail else ()
    trunk = next((f" --head-of {edge.model}@{edge.number}" for edge in edges if edge.kind is EdgeKind.HEAD_OF), "")
    return f"hub push ./your_saved_model {model.name}{trunk}"


def _versions(visit: Visit) -> Response:
    browse, name = visit.house.browse, visit.model_name
    model = browse.model(visit.principal, name)
    page = browse.versions(visit.principal, name, before=visit.number("before"), limit=PAGE_ROWS)
    return render(visit.request, "versions.html", model=model, page=page)


def _version(visit: Visit) -> Response:
    name, text = visit.model_name, visit.request.path_params["number"]
    model = visit.house.browse.model(visit.principal, name)
    if not NUMBER.fullmatch(text):
        raise VersionNotFound(
            f"{text[:40]!r} is not a version number.", remedy=f"See /{name}/versions for those there are."
        )
    return render(visit.request, "version.html", model=model, **_version_facts(visit, name, int(text)))


def _version_facts(visit: Visit, name: str, number: int) -> dict[str, Any]:
    """What every page that shows one version shows of it."""
    detail = visit.house.browse.version(visit.principal, name, number)
    return {
        "detail": detail,
        "lineage": visit.house.browse.lineage(visit.principal, name, number),
        "snippets": snippets(
            detail, base_url(visit.request), _samples(visit, detail), needs_token=not visit.principal.is_anonymous
        ),
    }


def _samples(visit: Visit, detail: VersionDetail) -> dict[str, Tensor]:
    """Inputs that the default signature took when it was probed, where made-up ones would not do."""
    signature = default_signature(detail.signatures)
    if signature is None or not needs_samples(signature):
        return {}
    version = detail.version
    try:
        golden = read_golden(visit.house.pulls.golden(visit.principal, version.model, version.number))
    except HubError:
        return {}  # there are none, or the store is away: examples are made up then, and the page is still a page
    sample = golden.get(signature.name)
    return {tensor.name: tensor for tensor in sample.inputs} if sample else {}


def _workers(visit: Visit) -> Response:
    found = visit.house.browse.workers(visit.principal)
    return render(visit.request, "workers.html", workers=found.items, quarantined=found.quarantined)


def _nothing(visit: Visit) -> Response:
    path = visit.request.url.path
    if path.endswith("/") and path.strip("/"):
        return RedirectResponse("/" + path.strip("/"), status_code=308)
    raise NotFound(f"There is no page {path[:120]}.", remedy="Look for the model in the list of models.")
