"""What every page shares: templates, security headers, static files and the pages for what went wrong.

Laws: templates escape by default; every answer of the dashboard carries the content security policy, static files too;
static URLs change with their content, so they may be cached for ever and everything else is asked for again.
"""

import hashlib
import operator
import shlex
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.domain.errors import HubError
from hub.domain.tensors import format_shape, short_name
from hub.web import formats
from hub.web.cards import card_html, card_summary

_HERE = Path(__file__).parent
_STATIC = _HERE / "static"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
THEMES = ("light", "dark")
THEME_COOKIE = "hub_theme"


class SecurityHeaders:
    """Adds the headers that every answer of the dashboard carries."""

    def __init__(self, app: ASGIApp, cache_control: str = "private, no-cache") -> None:
        self._app = app
        self._cache_control = cache_control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("cache-control", self._cache_control)
            await send(message)

        await self._app(scope, receive, send_with_headers)


# What a page packs to tells other sites nothing: cookies are strict, so the pages they could ask for hold no secrets.
_PACKED = Middleware(GZipMiddleware, minimum_size=1_000, compresslevel=6)
SECURED: Sequence[Middleware] = (Middleware(SecurityHeaders),)
PACKED: Sequence[Middleware] = (*SECURED, _PACKED)


def _content_tag(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


_STATIC_URL = f"/static/{_content_tag(_STATIC)}"


def static_files() -> Mount:
    """The stylesheet, the script and the mark, under a name made of their content."""
    for_ever = Middleware(SecurityHeaders, cache_control="public, max-age=31536000, immutable")
    return Mount(_STATIC_URL, StaticFiles(directory=_STATIC), name="static", middleware=[for_ever, _PACKED])


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bytes": formats.bytes_text,
        "count": formats.count_text,
        "figures": formats.value_text,
        "plural": formats.plural,
        "age": formats.age_text,
        "wait": formats.wait_text,
        "exact": formats.time_text,
        "short": formats.short_digest,
        "shape": format_shape,
        "card": card_html,
        "summary": card_summary,
        "shell": shlex.quote,
        "merged": operator.or_,
        "tensor": short_name,
        "doc": formats.doc_html,
    }
    return environment


_TEMPLATES = _environment()


def base_url(request: Request) -> str:
    """The hub as the reader reached it, without a slash at the end."""
    return str(request.base_url).rstrip("/")


def render(request: Request, template: str, *, status: int = 200, api: str = "", **facts: Any) -> HTMLResponse:
    """Make a page.

    Args:
        request: What was asked; the page's header shows its principal (``request.state.principal``) where one is known.
        template: A file under ``templates/``.
        status: The HTTP status.
        api: Where the REST API tells a program what the page tells a person, with its query; the page says so.
        facts: What the template reads.
    """
    theme = request.cookies.get(THEME_COOKIE, "")
    html = fragment(
        template,
        static=_STATIC_URL,
        path=request.url.path,
        api=api,
        query=request.query_params,
        base_url=base_url(request),
        principal=getattr(request.state, "principal", None),
        theme=theme if theme in THEMES else "",
        **facts,
    )
    return HTMLResponse(html, status_code=status)


def fragment(template: str, **facts: Any) -> str:
    """A part of a page, for what changes while it is looked at."""
    return _TEMPLATES.get_template(template).render(**facts)


def problem_page(request: Request, error: HubError, request_id: str) -> HTMLResponse:
    """What went wrong, what to do, and the number to ask about."""
    facts = {"title": HTTPStatus(error.status).phrase, "problem": error.detail, "remedy": error.remedy}
    is_about_who = error.status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
    return render(request, "error.html", status=error.status, request_id=request_id, is_about_who=is_about_who, **facts)
