"""Who is looking: signing in and out, and telling the dashboard's own forms from anybody else's.

Laws: what the browser keeps is the secret of a session, in a cookie that scripts cannot read and other sites' forms
cannot send, and that ends on the hub when its owner signs out; a form that changes something is answered only when the
browser says that this very origin sent it; after signing in nobody is sent off the hub.
"""

from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub.domain.access import Principal
from hub.domain.errors import Forbidden, InvalidRequest, Overloaded, TooLarge, Unauthorized
from hub.services.house import House
from hub.services.sign_in import SESSION_LIFE
from hub.web.shell import render

COOKIE = "hub_session"
_MAX_FORM_BYTES = 8_192
_NOT_OURS = "This form was not sent from the hub's own page."


def cookie_name(request: Request, name: str = COOKIE) -> str:
    """A cookie's name here: over https the browser itself holds it to this host, whatever other hosts of it try."""
    return f"__Host-{name}" if is_https(request) else name


def is_https(request: Request) -> bool:
    """Whether the reader came by https."""
    return request.url.scheme == "https"


def principal_of(house: House, request: Request) -> Principal:
    """Who asks, by the session's cookie.

    Raises:
        Unauthorized: The session has ended, or anonymous readers are not let in.
    """
    session = request.cookies.get(cookie_name(request))
    return house.access.authenticate(request.headers.get("authorization"), session)


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
        raise Forbidden(_NOT_OURS, remedy="Open the page of this hub and send the form from there.")


def local_path(target: str) -> str:
    """``target`` if it is a path on this hub, else ``/``."""
    is_path = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if is_path and target.isprintable() and "\\" not in target else "/"


def sign_in_form(
    request: Request, house: House, *, target: str, problem: str = "", name: str = "", status: int = 200
) -> Response:
    """The page where one signs in; ``target`` is where its reader wanted to go."""
    has_provider = house.sign_ins.provider is not None
    facts = {"problem": problem, "target": target, "name": name, "has_provider": has_provider}
    return render(request, "login.html", status=status, **facts)


async def sign_in(request: Request, house: House) -> Response:
    """Check the name and password, or the token, that was typed, and begin a session."""
    check_same_origin(request)
    form = await read_form(request)
    target, name, token = local_path(form.get("next", "/")), form.get("name", "").strip(), form.get("token", "").strip()
    if not token and not name:
        problem = "Enter a token, or your name and password."
        return sign_in_form(request, house, problem=problem, status=422, target=target)
    try:
        if token:
            secret = await run_in_threadpool(house.sign_ins.with_token, token)
        else:
            secret = await run_in_threadpool(house.sign_ins.with_password, name, form.get("password", ""))
    except (Unauthorized, Overloaded) as error:
        problem = error.detail if isinstance(error, Unauthorized) else str(error)
        form_again = sign_in_form(request, house, problem=problem, status=error.status, target=target, name=name)
        if isinstance(error, Overloaded):
            form_again.headers["Retry-After"] = str(error.facts["retry_after_s"])
        return form_again
    return signed_in(request, secret, target)


def signed_in(request: Request, secret: str, target: str) -> Response:
    """Send somebody on their way with the session's cookie.

    ``Lax``, because a browser that comes back from an OpenID provider follows a redirect of another site, on which it
    does not send what is ``Strict``; forms of other sites do not get it either way.
    """
    response = RedirectResponse(target, status_code=303)
    life_s = int(SESSION_LIFE.total_seconds())
    keep(request, response, COOKIE, secret, life_s)
    return response


def keep(request: Request, response: Response, name: str, value: str, life_s: int) -> None:
    """Have the browser keep a cookie that scripts cannot read."""
    name, secure = cookie_name(request, name), is_https(request)
    response.set_cookie(name, value, max_age=life_s, path="/", httponly=True, samesite="lax", secure=secure)


def drop(request: Request, response: Response, name: str = COOKIE) -> None:
    """Have the browser forget a cookie."""
    name, secure = cookie_name(request, name), is_https(request)
    response.delete_cookie(name, path="/", httponly=True, samesite="lax", secure=secure)


async def sign_out(request: Request, house: House) -> Response:
    """End the session, on the hub too."""
    check_same_origin(request)
    secret = request.cookies.get(cookie_name(request))
    if secret:
        await run_in_threadpool(house.sign_ins.sign_out, secret)
    response = RedirectResponse("/", status_code=303)
    drop(request, response)
    return response


def ask_to_sign_in(request: Request) -> Response:
    """Send a reader who may not see anything yet to the form, and drop a session that has ended."""
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = target if request.method == "GET" else request.url.path
    response = RedirectResponse("/login?" + urlencode({"next": target}), status_code=303)
    drop(request, response)
    return response


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; of several with one name the last.

    Raises:
        TooLarge: It is too long for one of ours.
        InvalidRequest: It is no form.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM_BYTES:
            raise TooLarge(f"The form is longer than {_MAX_FORM_BYTES} bytes.")
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10)
    except ValueError as error:
        raise InvalidRequest("The form is not well-formed.", remedy="Send it from the hub's own page.") from error
    return {name: values[-1] for name, values in fields.items()}
