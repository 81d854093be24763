"""Who is looking: signing in with a token, signing out, and telling the dashboard's own forms from anybody else's.

Laws: the token lives in a cookie that scripts cannot read and other sites cannot send; a form that changes something is
answered only when the browser says that this very origin sent it; after signing in nobody is sent off the hub.
"""

from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub.domain.access import Principal
from hub.domain.errors import Forbidden, InvalidRequest, TooLarge, Unauthorized
from hub.services.house import House
from hub.web.shell import render

COOKIE = "hub_token"
_COOKIE_LIFE_S = 30 * 86_400
_MAX_FORM_BYTES = 8_192
_NOT_OURS = "This form was not sent from the hub's own page."


def principal_of(house: House, request: Request) -> Principal:
    """Who asks, by the sign-in cookie.

    Raises:
        Unauthorized: The cookie holds a token the hub does not know (any more), or anonymous readers are not let in.
    """
    return house.access.authenticate(request.headers.get("authorization"), request.cookies.get(COOKIE))


def check_same_origin(request: Request) -> None:
    """Refuse a form that another site sent.

    Browsers say where a request comes from in ``Sec-Fetch-Site`` (on https and localhost) and ``Origin`` (everywhere).

    Raises:
        Forbidden: It came from elsewhere, or nothing says where from.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "")
    is_ours = site == "same-origin" if site is not None else urlsplit(origin).netloc == request.headers.get("host", "-")
    if not is_ours:
        raise Forbidden(_NOT_OURS, remedy="Open the sign-in page of this hub and send the form from there.")


def local_path(target: str) -> str:
    """``target`` if it is a path on this hub, else ``/``."""
    is_path = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if is_path and target.isprintable() and "\\" not in target else "/"


async def show_sign_in(request: Request) -> Response:
    """The form that asks for a token; ``?next=`` is where its reader wanted to go."""
    return _sign_in_form(request, target=local_path(request.query_params.get("next", "/")))


def _sign_in_form(request: Request, *, target: str, problem: str = "", status: int = 200) -> Response:
    return render(request, "login.html", status=status, problem=problem, target=target)


async def sign_in(request: Request, house: House) -> Response:
    """Check the token that was typed and keep it in the cookie."""
    check_same_origin(request)
    form = await _form(request)
    secret, target = form.get("token", "").strip(), local_path(form.get("next", "/"))
    if not secret:
        return _sign_in_form(request, problem="Enter a token.", status=422, target=target)
    try:
        await run_in_threadpool(house.access.authenticate, None, secret)
    except Unauthorized as error:
        return _sign_in_form(request, problem=error.detail, status=401, target=target)
    response = RedirectResponse(target, status_code=303)
    response.set_cookie(
        COOKIE,
        secret,
        max_age=_COOKIE_LIFE_S,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


async def sign_out(request: Request) -> Response:
    """Forget the token."""
    check_same_origin(request)
    response = RedirectResponse("/", status_code=303)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


def ask_to_sign_in(request: Request) -> Response:
    """Send a reader who may not see anything yet to the form, and drop a token that is no good."""
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    response = RedirectResponse("/login?" + urlencode({"next": target}), status_code=303)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM_BYTES:
            raise TooLarge(f"The form is longer than {_MAX_FORM_BYTES} bytes.")
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10)
    except ValueError as error:
        raise InvalidRequest("The form is not well-formed.", remedy="Send it from the sign-in page.") from error
    return {name: values[-1] for name, values in fields.items()}
