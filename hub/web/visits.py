"""One look at a page, and how a page becomes a route: what every page module shares.

Law: nothing that goes wrong in a page leaves the reader without one.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.domain.access import Principal
from hub.domain.errors import HubError, InvalidName, ModelNotFound, Unauthorized
from hub.domain.names import ModelName
from hub.services.house import House
from hub.web.session import ask_to_sign_in, check_same_origin, principal_of, read_form
from hub.web.shell import PACKED, SECURED, problem_page

NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Visit:
    """One look at one page: what was asked, of which hub, and by whom."""

    request: Request
    house: House
    principal: Principal

    @property
    def model_name(self) -> str:
        """``owner/name`` from the path.

        Raises:
            ModelNotFound: It cannot be the name of a model.
        """
        text = f"{self.request.path_params['owner']}/{self.request.path_params['name']}"
        try:
            return str(ModelName.parse(text))
        except InvalidName as error:
            raise ModelNotFound(f"There is no model {text[:120]}.", remedy=error.remedy) from error

    def number(self, field: str) -> int | None:
        """A version number from the query; None where there is none or it is no number."""
        text = self.request.query_params.get(field, "")
        return int(text) if NUMBER.fullmatch(text) else None


Page = Callable[[Visit], Response]
Submit = Callable[[Visit, Mapping[str, str]], Response]
Answer = Callable[[Request], Awaitable[Response]]


def page_route(house: House, path: str, page: Page, *, is_packed: bool = True) -> Route:
    """A page that is read: services are plain functions, so it runs in the thread pool.

    Args:
        house: The services.
        path: Where it is.
        page: Answers a visit.
        is_packed: Whether the answer is sent packed; bytes that are handed out as they are stored are not.
    """

    def look(request: Request) -> Response:
        principal = principal_of(house, request)
        request.state.principal = principal
        return page(Visit(request, house, principal))

    async def answer(request: Request) -> Response:
        return await run_in_threadpool(look, request)

    return route(path, answer, method="GET", middleware=PACKED if is_packed else SECURED)


def form_route(house: House, path: str, submit: Submit) -> Route:
    """A form of the dashboard that changes something: answered where this very origin sent it."""

    async def answer(request: Request) -> Response:
        check_same_origin(request)
        form = await read_form(request)

        def done() -> Response:
            principal = principal_of(house, request)
            request.state.principal = principal
            house.rates.admit(principal)
            return submit(Visit(request, house, principal), form)

        return await run_in_threadpool(done)

    return route(path, answer, method="POST")


def route(path: str, answer: Answer, *, method: str, middleware: Sequence[Middleware] = PACKED) -> Route:
    """A path of the dashboard whose errors are pages too; ``middleware`` is what sets its headers."""

    async def endpoint(request: Request) -> Response:
        try:
            return await answer(request)
        except Unauthorized:
            return ask_to_sign_in(request)
        except HubError as error:
            if error.inside:
                _log.error("page.refused", code=error.code, detail=error.detail, inside=error.inside)
            return problem_page(request, error, _request_id(request))
        except Exception:  # noqa: BLE001 - whatever it is, the reader gets a page and the log gets the rest
            request_id = _request_id(request)
            _log.exception("page.failed", path=repr(request.url.path), request_id=request_id)
            remedy = "Try again. If it stays so, tell who runs the hub the request id below: its log says why."
            error = HubError("The hub could not make this page.", remedy=remedy)
            return problem_page(request, error, request_id)

    return Route(path, endpoint, methods=[method], middleware=middleware)


def _request_id(request: Request) -> str:
    return str(getattr(request.state, "request_id", None) or uuid4().hex)
