"""TensorBoard at ``/{owner}/{name}/tensorboard/6,7/``: one model's curves, several versions at once.

Laws: whoever may not see the model is answered as for an absent one, before TensorBoard is even imported; the security
policy is looser here than anywhere else, and nowhere else; which experiment is shown is said by the hub alone, never by
a header that a client sends.
"""

import threading
from importlib import import_module
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.domain.errors import NotAvailable, VersionNotFound
from hub.services.house import House
from hub.web.session import principal_of
from hub.web.shell import HEADERS
from hub.web.visits import NUMBER, Visit, route

MAX_VERSIONS = 10
_OWN_PREFIX = "experiment/defaultExperimentId/"
_EXPERIMENT_HEADER = b"tensorboard-experiment-id"
# TensorBoard's own pages set styles from scripts; it also asks for eval, for a plugin that is not among ours.
_LOOSER_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline' data:; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Board:
    """One TensorBoard for the whole hub, opened when somebody first asks for it."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._lock = threading.Lock()
        self._app: ASGIApp | None = None

    def app(self) -> ASGIApp:
        """The application.

        Raises:
            NotAvailable: TensorBoard is not installed here.
        """
        with self._lock:
            if self._app is None:
                try:
                    self._app = import_module("hub.web.board").open_board(self._house.curves)
                except ModuleNotFoundError as error:
                    raise NotAvailable(
                        f"This hub cannot show TensorBoard: {error.name} is not installed.",
                        remedy='Whoever runs it can install it with: pip install "trunkhub[tensorboard]"',
                    ) from error
            return self._app


def board_routes(house: House, model: str) -> list[Route]:
    """TensorBoard's paths under a model's; ``model`` is the pattern of a model's page."""
    board = Board(house)
    path = f"{model}/tensorboard/{{numbers}}"

    def authorised(request: Request) -> tuple[str, ASGIApp]:
        request.state.principal = principal_of(house, request)
        visit = Visit(request, house, request.state.principal)
        return _experiment(visit), board.app()

    async def show(request: Request) -> Response:
        experiment, app = await run_in_threadpool(authorised, request)
        rest = request.path_params["rest"].removeprefix(_OWN_PREFIX)
        return _Passed(app, experiment, rest)

    async def with_slash(request: Request) -> Response:
        return RedirectResponse(f"{request.url.path}/", status_code=308)

    headers = (Middleware(_BoardHeaders),)
    return [
        route(path, with_slash, method="GET"),
        *(route(f"{path}/{{rest:path}}", show, method=method, middleware=headers) for method in ("GET", "POST")),
    ]


def _experiment(visit: Visit) -> str:
    """``acme/resnet50@6,7``, all of which the reader may see.

    Raises:
        VersionNotFound: One of them is not there for the reader.
    """
    name, text = visit.model_name, visit.request.path_params["numbers"]
    visit.house.browse.model(visit.principal, name)
    numbers = text.split(",")
    if len(numbers) > MAX_VERSIONS or not all(NUMBER.fullmatch(number) for number in numbers):
        raise VersionNotFound(
            f"{text[:40]!r} are not version numbers.", remedy=f"Write up to {MAX_VERSIONS} with commas, such as 6,7."
        )
    for number in numbers:
        visit.house.browse.version(visit.principal, name, int(number))
    return f"{name}@{','.join(numbers)}"


class _Passed(Response):
    """What TensorBoard answers to a request whose experiment the hub has set."""

    def __init__(self, app: ASGIApp, experiment: str, rest: str) -> None:
        super().__init__()
        self._app, self._experiment, self._path = app, experiment, f"/{rest}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask it."""
        sent = [
            (key, value) for key, value in scope["headers"] if key.lower().replace(b"_", b"-") != _EXPERIMENT_HEADER
        ]
        changed: dict[str, Any] = {"path": self._path, "raw_path": self._path.encode(), "root_path": ""}
        changed["headers"] = [*sent, (_EXPERIMENT_HEADER, self._experiment.encode())]
        await self._app({**scope, **changed}, receive, send)


class _BoardHeaders:
    """The dashboard's headers; TensorBoard's own page, which brings a policy, gets the looser one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                policy = {"content-security-policy": _LOOSER_POLICY} if "content-security-policy" in headers else {}
                headers.update({**HEADERS, **policy})
                headers.setdefault("cache-control", "private, no-cache")
            await send(message)

        await self._app(scope, receive, send_with_headers)
