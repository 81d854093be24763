"""The reader's own settings: their tokens, and the members of organisations that they administer.

Laws: a new secret is shown on the one page that answers the form, which nobody keeps; sending that form again makes no
second token. Everything works without scripts.
"""

from collections.abc import Mapping
from uuid import uuid4

from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from hub.domain.access import Scope
from hub.domain.errors import Conflict, Forbidden, HubError, Invalid, InvalidRequest, NotFound, Unauthorized
from hub.protocol import paths, people
from hub.protocol.schemas import CreatedToken, CreateToken
from hub.services.house import House
from hub.web.shell import base_url, render
from hub.web.visits import Visit, form_route, page_route

TOKENS, ACCESS = "/settings/tokens", "/settings/access"
_DAY_S = 86_400
_MAX_DAYS_CHARS = 4
_PRESETS = {
    "push": {"name": "push", "scope": "write", "days": "365"},
    "read": {"name": "read", "scope": "read", "days": "365"},
    "ci": {"name": "ci", "scope": "write", "days": "90"},
}
_BLANK = {"name": "", "scope": "read", "days": "90"}


def routes(house: House) -> list[BaseRoute]:
    """The paths of the settings."""
    return [
        page_route(house, TOKENS, _tokens),
        form_route(house, TOKENS, _make_token),
        form_route(house, f"{TOKENS}/{{token_id}}/revoke", _revoke_token),
        page_route(house, ACCESS, _access),
        form_route(house, f"{ACCESS}/{{owner}}/set", _set_member),
        form_route(house, f"{ACCESS}/{{owner}}/remove", _remove_member),
    ]


def _tokens(visit: Visit) -> Response:
    asked = visit.request.query_params
    filled = _PRESETS.get(asked.get("preset", ""), _BLANK) | {"limit": asked.get("limit", "")[:200]}
    return _token_page(visit, filled)


def _token_page(
    visit: Visit,
    filled: Mapping[str, str],
    *,
    made: CreatedToken | None = None,
    problem: HubError | None = None,
    status: int = 200,
) -> Response:
    _require_somebody(visit)
    response = render(
        visit.request,
        "tokens.html",
        status=status,
        api=paths.TOKENS,
        tokens=visit.house.access.tokens(visit.principal, mine=True).items,
        filled=filled,
        key=uuid4().hex,
        made=made,
        problem=problem,
        presets=tuple(_PRESETS),
        hub_url=base_url(visit.request),
    )
    if made is not None:
        response.headers["cache-control"] = "no-store"
    return response


def _make_token(visit: Visit, form: Mapping[str, str]) -> Response:
    _require_somebody(visit)
    filled = _BLANK | {"limit": ""} | dict(form)
    try:
        made = visit.house.access.create(visit.principal, _asked(filled), idempotency_key=form.get("key") or None)
    except Forbidden:
        raise
    except HubError as error:
        return _token_page(visit, filled, problem=error, status=error.status)
    return _token_page(visit, _BLANK | {"limit": ""}, made=made)


def _asked(form: Mapping[str, str]) -> CreateToken:
    days = form["days"].strip()
    if days and not (days.isascii() and days.isdigit() and len(days) <= _MAX_DAYS_CHARS):
        raise InvalidRequest(f"{days[:20]!r} is no number of days.", remedy="Leave it empty for a token that stays.")
    try:
        return CreateToken(
            name=form["name"].strip(),
            scope=Scope(form["scope"]),
            limit=form["limit"].strip() or None,
            expires_in_s=int(days) * _DAY_S if days else None,
        )
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]).replace("expires_in_s", "days")
        raise InvalidRequest(f"{field}: {str(first['msg']).removeprefix('Value error, ')}.") from error
    except ValueError as error:
        raise InvalidRequest("The scope is read, write or admin.") from error


def _revoke_token(visit: Visit, _form: Mapping[str, str]) -> Response:
    _require_somebody(visit)
    visit.house.access.revoke(visit.principal, visit.request.path_params["token_id"][:64].replace("\0", ""))
    return RedirectResponse(TOKENS, status_code=303)


def _access(visit: Visit, *, problem: HubError | None = None, status: int = 200) -> Response:
    _require_somebody(visit)
    ruled = [
        each
        for each in visit.house.people.organisations(visit.principal)
        if visit.principal.may(Scope.ADMIN, each.name)
    ]
    return render(
        visit.request,
        "access.html",
        status=status,
        api=people.members(ruled[0].name) if ruled else paths.WHOAMI,
        organisations=[visit.house.people.members(visit.principal, each.name) for each in ruled],
        problem=problem,
        roles=tuple(Scope),
        members_path=people.members,
        hub_url=base_url(visit.request),
    )


def _set_member(visit: Visit, form: Mapping[str, str]) -> Response:
    _require_somebody(visit)
    owner, user = visit.request.path_params["owner"], form.get("user", "").strip()
    try:
        role = next((scope for scope in Scope if scope == form.get("role")), None)
        if role is None or not user or "\0" in user:
            raise InvalidRequest("A member is a user's name and a role.", remedy="Fill in both.")
        visit.house.people.set_member(visit.principal, owner, user, role)
    except (Conflict, Invalid, NotFound) as error:
        return _access(visit, problem=error, status=error.status)
    return RedirectResponse(ACCESS, status_code=303)


def _remove_member(visit: Visit, form: Mapping[str, str]) -> Response:
    _require_somebody(visit)
    user = form.get("user", "").replace("\0", "")
    try:
        visit.house.people.remove_member(visit.principal, visit.request.path_params["owner"], user)
    except Conflict as error:
        return _access(visit, problem=error, status=error.status)
    return RedirectResponse(ACCESS, status_code=303)


def _require_somebody(visit: Visit) -> None:
    if visit.principal.is_anonymous:
        raise Unauthorized("This page is for who is signed in.", remedy="Sign in.")
