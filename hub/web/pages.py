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

from hub.domain.errors import NotFound
from hub.domain.names import RESERVED_OWNERS
from hub.domain.versions import Version
from hub.protocol import paths
from hub.protocol.schemas import VersionDetail
from hub.services.house import House
from hub.web import openid, settings, training
from hub.web.auditing import AUDIT, AUDIT_CSV, audit_csv, show_audit
from hub.web.diff import choose_diff, show_diff
from hub.web.files import download, show_files
from hub.web.headline import headline_of
from hub.web.lineage import lineage_page
from hub.web.listing import PAGE_ROWS, show_models, show_owner
from hub.web.live import live_route, show_workers
from hub.web.looks import Look, chosen_number, look_at
from hub.web.password import PASSWORD, set_password, show_password
from hub.web.reference import show_reference
from hub.web.session import local_path, sign_in, sign_in_form, sign_out
from hub.web.shell import base_url, render, static_files
from hub.web.signatures import samples_of, show_signatures
from hub.web.snippets import push_command, snippets
from hub.web.tensorboard import board_routes
from hub.web.tryit import loaded_page, try_form, try_page
from hub.web.visits import Answer, Visit, form_route, page_route, route

_OWN_WORDS = frozenset({"login", "logout", "workers", "settings", "static", "docs"})


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
        page_route(house, "/", show_models),
        page_route(house, "/workers", show_workers),
        live_route(house),
        *settings.routes(house),
        page_route(house, PASSWORD, show_password),
        form_route(house, PASSWORD, set_password),
        page_route(house, AUDIT, show_audit),
        page_route(house, AUDIT_CSV, audit_csv),
        page_route(house, "/docs/api", show_reference),
        route("/login", here(_show_sign_in), method="GET"),
        route("/login", here(sign_in), method="POST"),
        route("/logout", here(sign_out), method="POST"),
        route(openid.BEGIN, here(openid.go), method="GET"),
        route(openid.BACK, here(openid.come_back), method="GET"),
        page_route(house, model, _model),
        page_route(house, f"{model}/versions", _versions),
        page_route(house, f"{model}/versions/{{number}}", _version),
        page_route(house, f"{model}/diff", choose_diff),
        page_route(house, f"{model}/diff/{{before}}..{{after:path}}", show_diff),
        page_route(house, f"{model}/lineage", lineage_page),
        page_route(house, f"{model}/try", try_page),
        page_route(house, f"{model}/try/state", loaded_page),
        route(f"{model}/try", here(try_form), method="POST"),
        page_route(house, f"{model}/training", training.training),
        page_route(house, f"{model}/training/points", training.points),
        page_route(house, f"{model}/training/curves.csv", training.curves_csv),
        *board_routes(house, model),
        page_route(house, f"{model}/signatures", show_signatures),
        page_route(house, f"{model}/files", show_files),
        page_route(house, f"{model}/versions/{{number}}/files/{{path:path}}", download, is_packed=False),
        page_route(house, "/{owner:dashboard_word}", show_owner),
        page_route(house, "/{first:dashboard_word}/{rest:path}", _nothing),
    ]


async def _show_sign_in(request: Request, house: House) -> Response:
    return sign_in_form(request, house, target=local_path(request.query_params.get("next", "/")))


def _model(visit: Visit) -> Response:
    look = look_at(visit, "")
    facts = _version_facts(visit, look.detail) if look.detail else {}
    facts |= {
        "newest": _newest(visit, look),
        "push_command": push_command(look.model, look.detail),
        "headline": headline_of(visit, look.model.name, look.version.number) if look.version else None,
    }
    return render(visit.request, "model.html", api=paths.model(look.model.name), look=look, **facts)


def _newest(visit: Visit, look: Look) -> Version | None:
    """The newest version in any state."""
    if look.next is None:
        return look.version
    return visit.house.browse.versions(visit.principal, look.model.name, limit=1).items[0]


def _versions(visit: Visit) -> Response:
    browse, name = visit.house.browse, visit.model_name
    model, before = browse.model(visit.principal, name), visit.number("before")
    page = browse.versions(visit.principal, name, before=before, limit=PAGE_ROWS, is_measured=True)
    api = paths.versions(name) + (f"?before={before}" if before else "")
    return render(visit.request, "versions.html", api=api, model=model, page=page)


def _version(visit: Visit) -> Response:
    name = visit.model_name
    number = chosen_number(visit.request.path_params["number"], name)
    model, detail = visit.house.browse.look(visit.principal, name, number)
    assert number is not None  # the path has it
    assert detail is not None
    look = Look(model, detail, number, "")
    api = paths.version(name, number)
    facts = _version_facts(visit, detail) | {"push_command": push_command(model, detail)}
    return render(visit.request, "version.html", api=api, look=look, **facts)


def _version_facts(visit: Visit, detail: VersionDetail) -> dict[str, Any]:
    """What every page that shows one version shows of it."""
    version = detail.version
    return {
        "lineage": visit.house.browse.lineage(visit.principal, version.model, version.number),
        "attestations": visit.house.attestations.of(visit.principal, version.model, version.number).items,
        "snippets": snippets(
            detail, base_url(visit.request), samples_of(visit, detail), needs_token=not visit.principal.is_anonymous
        ),
    }


def _nothing(visit: Visit) -> Response:
    path = visit.request.url.path
    if path.endswith("/") and path.strip("/"):
        return RedirectResponse("/" + path.strip("/"), status_code=308)
    raise NotFound(f"There is no page {path[:120]}.", remedy="Look for the model in the list of models.")
