"""The front: predictions and blobs go straight to what answers them, everything else to the application behind it.

A prediction may take less than a hundred microseconds of compute, and of a pull's blobs there are hundreds; passing
FastAPI's layers and its list of routes takes longer. Law: what goes which way is decided by method and path alone, so
nothing is answered by both.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from hub.domain.errors import HubError

_MAX_REMEMBERED = 4_096
_MAX_PATH_CHARS = 512
_MAX_HEADS = 1_024


@dataclass(slots=True)  # not frozen: that takes three times as long to make
class Reply:
    """An answer of status 200: its header lines as they are sent, each with its line end, and the body."""

    headers: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """What a request ran into on the straight way, and when it began."""

    error: HubError
    began: float


Tell = Callable[[Reply | Failed | None], None]
Withdraw = Callable[[], None]
Ask = Callable[[bytes, Tell], Withdraw | None]
Straight = Callable[[Scope], Ask | None]


@dataclass(frozen=True, slots=True)
class ShortWay:
    """A hot route.

    Attributes:
        path: Its template, as routes are written: ``{name}`` stands for what has no slash.
        app: What answers.
        method: Of the requests that it answers.
        straight: Reads a head, and gives what answers requests with it from a callback, each with its whole body, where
            ``app`` would have nothing to wait for but a worker; saves a quarter of what such a request costs. None, at
            any time, has ``app`` answer, as has what went wrong. Who leaves before being told withdraws.
    """

    path: str
    app: ASGIApp
    method: str = "POST"
    straight: Straight | None = None

    def pattern(self) -> re.Pattern[str]:
        """What a whole path must match."""
        parts = re.split(r"\{(\w+)\}", self.path)
        named = [f"(?P<{part}>[^/]+)" if at % 2 else re.escape(part) for at, part in enumerate(parts)]
        return re.compile("".join(named))


@dataclass(frozen=True, slots=True)
class KnownHead:
    """The head of a request that was answered straight: who sends it again, byte for byte, is understood at once.

    Attributes:
        scope: What ASGI says of it.
        ask: What answered it.
        head_bytes: Its length.
        body_bytes: Of the body that it announces.
    """

    scope: Scope
    ask: Ask
    head_bytes: int
    body_bytes: int


class Front:
    """Sends requests to hot routes on their way."""

    def __init__(self, app: ASGIApp, ways: Sequence[ShortWay]) -> None:
        """Stand before ``app``; of ``ways`` the first that matches counts."""
        self._app = app
        self._ways: dict[str, list[tuple[re.Pattern[str], ShortWay]]] = {}
        for way in ways:
            self._ways.setdefault(way.method, []).append((way.pattern(), way))
        self._known: dict[tuple[str, str], tuple[ShortWay, dict[str, str]]] = {}
        self.heads: dict[bytes, KnownHead] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        found = self._find(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        way, scope["path_params"] = found
        await way.app(scope, receive, send)

    def straight(self, scope: Scope) -> Ask | None:
        """What may answer a request whose body has yet to come, and others with the same head."""
        found = self._find(scope["method"], scope["path"])
        if found is None or found[0].straight is None:
            return None
        scope["path_params"] = found[1]
        return found[0].straight(scope)

    def remember(self, head: bytes, scope: Scope, ask: Ask, body_bytes: int) -> None:
        """Know a head from now on; whether who asks may, and for which version, is looked at each time."""
        if len(self.heads) >= _MAX_HEADS:
            self.heads.clear()
        self.heads[head] = KnownHead(scope, ask, len(head), body_bytes)

    def _find(self, method: str, path: str) -> tuple[ShortWay, dict[str, str]] | None:
        found = self._known.get((method, path))
        if found is None:
            ways = self._ways.get(method, ())
            matches = ((way, match) for pattern, way in ways if (match := pattern.fullmatch(path)))
            found = next(((way, match.groupdict()) for way, match in matches), None)
            if found is not None and len(path) <= _MAX_PATH_CHARS:
                if len(self._known) >= _MAX_REMEMBERED:
                    self._known.clear()
                self._known[method, path] = found
        return found
