"""One HTTP connection pool to one hub: requests in, answers or the domain's errors out.

Laws: a problem answer is raised as the error it stands for; no answer is :class:`HubUnreachable`; a request is sent
again only when that cannot do a thing twice, or when the hub says that it did nothing (429, 503) and the caller allows
it; the token is sent to the hub's own address and to nowhere else.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
import orjson

from hub.client.config import Connection
from hub.domain.errors import HubError, HubUnreachable
from hub.protocol.problems import from_problem

ATTEMPTS = 4
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 90.0
MAX_WAIT_S = 30.0
_FIRST_WAIT_S = 0.25
_SAFE_METHODS = frozenset({"GET", "PUT", "DELETE"})
_DID_NOTHING = frozenset({429, 503})
Query = Mapping[str, str | int | bool | None]


class Http:
    """A pool of connections to one hub; used from several threads at once."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            headers={"User-Agent": f"trunkhub/{version('trunkhub')}"},
            trust_env=not _is_this_machine(connection.url),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        params: Query | None = None,
        headers: Mapping[str, str] | None = None,
        is_repeatable: bool | None = None,
    ) -> httpx2.Response:
        """Send a request and read the whole answer.

        Args:
            method: The HTTP method.
            path: A path of the hub, or a whole URL.
            body: JSON, unless ``headers`` say otherwise.
            params: Query parameters; those that are None are left out.
            headers: Further headers.
            is_repeatable: Whether sending it twice does no more than sending it once; by default the method decides.

        Raises:
            HubUnreachable: No answer.
            HubError: The hub's problem, by its class.
        """
        url = self._url(path)
        query = {key: value for key, value in (params or {}).items() if value is not None}
        sent = (
            self._headers(url)
            | ({"Content-Type": "application/json"} if body is not None else {})
            | dict(headers or {})
        )

        def send() -> httpx2.Response:
            return self._client.request(method, url, content=body, params=query, headers=sent)

        return self._with_retries(send, method in _SAFE_METHODS if is_repeatable is None else is_repeatable)

    def upload(self, url: str, chunks: Callable[[], Iterable[bytes]], size: int) -> None:
        """PUT ``size`` bytes; ``chunks`` is called anew for every attempt.

        Raises:
            HubUnreachable: No answer.
            HubError: The hub's problem, by its class.
        """
        whole = self._url(url)
        sent = self._headers(whole) | {"Content-Type": "application/octet-stream", "Content-Length": str(size)}

        def send() -> httpx2.Response:
            return self._client.put(whole, content=chunks() if size else b"", headers=sent)

        self._with_retries(send, is_repeatable=True)

    @contextmanager
    def download(self, path: str, *, start: int = 0) -> Iterator[httpx2.Response]:
        """GET bytes from ``start`` on, as a stream; one attempt.

        Raises:
            HubUnreachable: No answer, or it broke off.
            HubError: The hub's problem, by its class.
        """
        url = self._url(path)
        sent = self._headers(url) | {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        try:
            with self._client.stream("GET", url, headers=sent, follow_redirects=True) as response:
                if not response.is_success:
                    response.read()
                    raise _problem(response)
                yield response
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error

    def _with_retries(self, send: Callable[[], httpx2.Response], is_repeatable: bool) -> httpx2.Response:
        for attempt in range(ATTEMPTS):
            wait_s = backoff_s(attempt)
            try:
                response = send()
            except httpx2.TransportError as error:
                failure: HubError = self._unreachable(error)
                may_repeat = isinstance(error, httpx2.ConnectError) or (
                    is_repeatable and not isinstance(error, httpx2.TimeoutException)
                )
                cause: Exception | None = error
            else:
                if response.is_success:
                    return response
                failure, cause = _problem(response), None
                may_repeat = response.status_code in _DID_NOTHING and is_repeatable
                wait_s = max(wait_s, _retry_after_s(response))
            if not may_repeat or attempt == ATTEMPTS - 1:
                raise failure from cause
            time.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def _url(self, path: str) -> str:
        return path if "://" in path else self.connection.url + path

    def _headers(self, url: str) -> dict[str, str]:
        is_own = url.startswith(self.connection.url + "/")
        return {"Authorization": f"Bearer {self.connection.token}"} if self.connection.token and is_own else {}

    def _unreachable(self, error: httpx2.TransportError) -> HubUnreachable:
        reason = str(error) or type(error).__name__
        return HubUnreachable(
            f"No answer from the hub at {self.connection.url}: {reason}.",
            remedy="Start one with: hub serve. Or name another one with HUB_URL or: hub login URL.",
            url=self.connection.url,
        )


def backoff_s(attempt: int) -> float:
    """How long to wait after a failed attempt, counted from 0: doubling, with jitter, never above 30 s."""
    return min(MAX_WAIT_S, _FIRST_WAIT_S * 2**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret


def _retry_after_s(response: httpx2.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return min(MAX_WAIT_S, float(text)) if text.isdigit() else 0.0


def _problem(response: httpx2.Response) -> HubError:
    try:
        body: Any = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    return from_problem(response.status_code, body if isinstance(body, Mapping) else None)


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
