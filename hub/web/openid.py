"""Signing in at an OpenID provider: off to it, and back from it.

Law: what has to come back lies in a cookie of a few minutes that only this hub gets, so a sign-in that was begun in
another browser ends nowhere.
"""

from dataclasses import astuple
from urllib.parse import quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub.domain.errors import Unauthorized
from hub.services.house import House
from hub.services.openid import Errand
from hub.web.session import cookie_name, drop, keep, local_path, sign_in_form, signed_in
from hub.web.shell import base_url

BEGIN, BACK = "/login/openid", "/login/openid/back"
_COOKIE = "hub_errand"
_ERRAND_LIFE_S = 600


async def go(request: Request, house: House) -> Response:
    """Send a browser to the provider."""
    url, errand = await run_in_threadpool(house.sign_ins.begin_elsewhere, _redirect_uri(request))
    response = RedirectResponse(url, status_code=303)
    target = local_path(request.query_params.get("next", "/"))
    keep(request, response, _COOKIE, ".".join((*astuple(errand), quote(target, safe=""))), _ERRAND_LIFE_S)
    return response


async def come_back(request: Request, house: House) -> Response:
    """Begin a session for who comes back from the provider."""
    parts = request.cookies.get(cookie_name(request, _COOKIE), "").split(".", 3)
    target = local_path(unquote(parts[3])) if len(parts) == 4 else "/"
    try:
        if len(parts) != 4:
            raise Unauthorized("This sign-in was not begun in this browser, or too long ago.", remedy="Begin again.")
        secret = await run_in_threadpool(
            house.sign_ins.finish_elsewhere, _redirect_uri(request), Errand(*parts[:3]), dict(request.query_params)
        )
        response = signed_in(request, secret, target)
    except Unauthorized as error:
        response = sign_in_form(request, house, problem=error.detail, status=error.status, target=target)
    drop(request, response, _COOKIE)
    return response


def _redirect_uri(request: Request) -> str:
    return f"{base_url(request)}{BACK}"
