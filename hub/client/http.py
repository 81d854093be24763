"""HTTP to one hub, and to the object store that the hub sends one to: requests in, answers or the domain's errors out.

Laws: a problem answer is raised as the error it stands for; no answer is :class:`HubUnreachable`; a request is sent
again only when that cannot do a thing twice, or when the hub says that it did nothing (429, 503) and the caller allows
it; the token is sent to the hub's own address and to nowhere else; URLs of the object store, which are secrets for as
long as they live, appear in no message.
"""

import functools
import os
import random
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import orjson
import truststore
import urllib3
from urllib3 import exceptions as trouble

from hub.client.config import Connection
from hub.domain.errors import HubError, HubUnreachable, NotAvailable, StoreRefused, StoreUnreachable
from hub.protocol.problems import from_problem

ATTEMPTS = 4
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 90.0
MAX_WAIT_S = 30.0
POOL = 16
_FIRST_WAIT_S = 0.25
_SAFE_METHODS = frozenset({"GET", "PUT", "DELETE"})
_DID_NOTHING = frozenset({429, 503})
Query = Mapping[str, str | int | bool | Sequence[str] | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class _Connection(urllib3.connection.HTTPConnection):
    """Sends under the time-out of reading: urllib3 itself would give a slow line ten seconds for each piece."""

    def connect(self) -> None:
        """Connect, then be patient."""
        super().connect()
        self.sock.settimeout(READ_TIMEOUT_S)


class _SecureConnection(urllib3.connection.HTTPSConnection):
    """The same over TLS."""

    def connect(self) -> None:
        """Connect, then be patient."""
        super().connect()
        self.sock.settimeout(READ_TIMEOUT_S)


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection  # pyrefly: ignore[bad-assignment] - as urllib3 itself does it


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection  # pyrefly: ignore[bad-assignment] - as urllib3 itself does it


class Http:
    """Pools of connections; used from several threads at once."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._pools: dict[tuple[str | None, str], urllib3.PoolManager] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go."""
        for pool in self._pools.values():
            pool.clear()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        params: Query | None = None,
        headers: Mapping[str, str] | None = None,
        is_repeatable: bool | None = None,
    ) -> Answer:
        """Send a request to the hub and read the whole answer.

        Args:
            method: The HTTP method.
            path: A path of the hub.
            body: JSON, unless ``headers`` say otherwise.
            params: Query parameters; those that are None are left out, a sequence is sent value by value.
            headers: Further headers.
            is_repeatable: Whether sending it twice does no more than sending it once; by default the method decides.

        Raises:
            HubUnreachable: No answer.
            HubError: The hub's problem, by its class.
        """
        given = {key: value for key, value in (params or {}).items() if value is not None}
        query = {key: _as_text(value) if isinstance(value, str | int) else value for key, value in given.items()}
        url = self.connection.url + path + (f"?{urlencode(query, doseq=True)}" if query else "")
        is_json = {"Content-Type": "application/json"} if body is not None else {}
        sent = self._headers(url) | is_json | dict(headers or {})

        def send() -> Answer:
            response = self._send(method, url, sent, body)
            return Answer(response.status, response.headers, response.data)

        return self._with_retries(send, method in _SAFE_METHODS if is_repeatable is None else is_repeatable)

    def upload(self, place: str, chunks: Iterable[bytes], size: int, *, is_packed: bool = False) -> None:
        """PUT ``size`` bytes, gzip's where they are packed, to the hub or the object store; one attempt.

        Raises:
            HubUnreachable: No answer from the hub.
            StoreUnreachable: No answer from the object store.
            StoreRefused: The object store did not take it.
            HubError: The hub's problem, by its class.
        """
        url = self._url(place)
        sent = self._headers(url) | {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        sent |= {"Content-Encoding": "gzip"} if is_packed else {}
        self._send("PUT", url, sent, chunks)

    @contextmanager
    def download(self, place: str, *, start: int = 0) -> Iterator[urllib3.BaseHTTPResponse]:
        """GET bytes from ``start`` on, as a stream; one attempt.

        Raises:
            HubUnreachable: No answer from the hub, or it broke off.
            StoreUnreachable: The same of the object store.
            StoreRefused: The object store did not give it.
            HubError: The hub's problem, by its class.
        """
        url = self._url(place)
        sent = self._headers(url) | {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        response = self._send("GET", url, sent, None, is_stream=True)
        try:
            yield response
        except trouble.HTTPError as error:
            raise self._unreachable(url, error) from error
        finally:
            response.close()

    def _with_retries(self, send: Callable[[], Any], is_repeatable: bool) -> Any:
        """Call ``send`` until it succeeds, with pauses that grow.

        What may not be repeated is tried again only where no connection was made.

        Raises:
            HubError: The last failure.
        """
        for attempt in range(ATTEMPTS):
            try:
                return send()
            except HubError as error:
                if attempt == ATTEMPTS - 1 or not _may_repeat(error, is_repeatable):
                    raise
                time.sleep(max(backoff_s(attempt), error.facts.get("retry_after_s", 0.0)))
        raise AssertionError("the last attempt returns or raises")

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: Any, *, is_stream: bool = False
    ) -> urllib3.BaseHTTPResponse:
        try:
            response = self._pool(url).urlopen(
                method,
                url,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                preload_content=not is_stream,
                decode_content=not is_stream,
            )
        except trouble.HTTPError as error:
            raise self._unreachable(url, error) from error
        if 200 <= response.status < 300:
            return response
        try:
            raise self._refusal(url, response)
        finally:
            response.close()

    def _pool(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        host = parts.hostname or ""
        proxy = None if _is_this_machine(host) or proxy_bypass(host) else getproxies().get(parts.scheme)
        key = proxy, parts.scheme
        if key not in self._pools:
            tls = _tls() if "https" in (parts.scheme, urlsplit(proxy or "").scheme) else None
            timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
            made = (
                urllib3.PoolManager(maxsize=POOL, ssl_context=tls, timeout=timeout)
                if proxy is None
                else urllib3.ProxyManager(proxy, maxsize=POOL, ssl_context=tls, timeout=timeout)
            )
            made.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
            self._pools[key] = made
        return self._pools[key]

    def _url(self, place: str) -> str:
        return place if "://" in place else self.connection.url + place

    def _is_own(self, url: str) -> bool:
        return url.startswith(self.connection.url + "/")

    def _headers(self, url: str) -> dict[str, str]:
        agent = {"User-Agent": _agent()}
        if self.connection.token and self._is_own(url):
            return agent | {"Authorization": f"Bearer {self.connection.token}"}
        return agent

    def _refusal(self, url: str, response: urllib3.BaseHTTPResponse) -> HubError:
        if self._is_own(url):
            error = _problem(response.status, response.data)
        elif response.status in _DID_NOTHING or response.status >= 500:
            error = NotAvailable(f"The object store at {_host(url)} answered {response.status}.")
        else:
            error = StoreRefused(
                f"The object store at {_host(url)} answered {response.status}.",
                remedy="Try again; if it stays so, ask who runs the hub to look at its object store.",
            )
        error.facts["retry_after_s"] = _retry_after_s(response.headers.get("Retry-After", ""))
        return error

    def _unreachable(self, url: str, error: trouble.HTTPError) -> HubError:
        reason = _reason(error)
        # Nothing was sent where no connection was made.
        facts = {"is_unsent": isinstance(error, trouble.NewConnectionError | trouble.ConnectTimeoutError)}
        facts["is_late"] = isinstance(error, trouble.ReadTimeoutError)
        if not self._is_own(url):
            return StoreUnreachable(f"No answer from the object store at {_host(url)}: {reason}.", **facts)
        return HubUnreachable(
            f"No answer from the hub at {self.connection.url}: {reason}.",
            remedy="Start one with: hub serve. Or name another one with HUB_URL or: hub login URL.",
            url=self.connection.url,
            **facts,
        )


def backoff_s(attempt: int) -> float:
    """How long to wait after a failed attempt, counted from 0: doubling, with jitter, never above 30 s."""
    return min(MAX_WAIT_S, _FIRST_WAIT_S * 2**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret


def _may_repeat(error: HubError, is_repeatable: bool) -> bool:
    if isinstance(error, HubUnreachable):
        return bool(error.facts["is_unsent"]) or (is_repeatable and not error.facts["is_late"])
    return is_repeatable and error.status in _DID_NOTHING


def _tls() -> ssl.SSLContext:
    """What the system trusts, or what ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name."""
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return ssl.create_default_context()
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@functools.cache
def _agent() -> str:
    return f"trunkhub/{version('trunkhub')}"


def _as_text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _reason(error: trouble.HTTPError) -> str:
    # urllib3 puts the connection object and the whole URL into its messages: the cause alone is for people.
    cause = error.__cause__ or error.__context__
    if isinstance(error, trouble.TimeoutError) and not isinstance(error, trouble.NewConnectionError):
        return "it took too long"
    return (getattr(cause, "strerror", None) or str(cause)) if isinstance(cause, OSError) else type(error).__name__


def _retry_after_s(text: str) -> float:
    return min(MAX_WAIT_S, float(text)) if text.isdigit() else 0.0


def _problem(status: int, content: bytes) -> HubError:
    try:
        body: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        body = None
    return from_problem(status, body if isinstance(body, Mapping) else None)


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
