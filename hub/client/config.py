"""Where the client keeps what it was told: which hub to talk to, the tokens, and where the cache is.

Laws: what is passed to a function wins over the environment, and that over what was logged in; the credentials file
is readable by its owner alone, is replaced whole, and a token in it is only ever used for the URL it was saved with.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from hub.domain.errors import InvalidRequest

DEFAULT_URL = "http://127.0.0.1:8460"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Connection:
    """A hub's address and the token to show there; the token stays out of any ``repr``."""

    url: str
    token: str | None = field(default=None, repr=False)


def connection(url: str | None = None, token: str | None = None) -> Connection:
    """Decide which hub to talk to, and as whom.

    Args:
        url: The hub; ``HUB_URL`` where None, then the hub last logged in to, then this machine's default.
        token: The secret; ``HUB_TOKEN`` where None, then the one saved for that URL.

    Raises:
        InvalidRequest: The URL is not an http or https one, or the credentials file is broken.
    """
    saved = _read()
    chosen = normal_url(url or os.environ.get("HUB_URL") or saved.get("default") or DEFAULT_URL)
    secret = token or os.environ.get("HUB_TOKEN") or saved.get("tokens", {}).get(chosen)
    return Connection(chosen, secret)


def normal_url(text: str) -> str:
    """Bring a hub's address into the one form it is compared and saved in.

    Raises:
        InvalidRequest: It is not an http or https URL, or has a user name, query or fragment in it.
    """
    remedy = f"Write it like {DEFAULT_URL} or https://hub.example.org."
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise InvalidRequest(f"{text!r} is not the URL of a hub: {error}.", remedy=remedy) from error
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise InvalidRequest(f"{text!r} is not the URL of a hub.", remedy=remedy)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown_port = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown_port}{parts.path.rstrip('/')}"


def save_credentials(url: str, token: str | None, *, is_default: bool = True) -> Path:
    """Keep a token for a hub.

    Args:
        url: The hub.
        token: Its secret; None forgets one that was kept.
        is_default: Whether commands that name no hub talk to this one from now on.

    Returns:
        The file it was written to.
    """
    path = credentials_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    chosen = normal_url(url)
    with _locked(path.with_suffix(".lock")):
        saved = _read()
        tokens = dict(saved.get("tokens", {}))
        tokens.pop(chosen, None)
        if token:
            tokens[chosen] = token
        default = chosen if is_default else saved.get("default")
        _write_private(path, orjson.dumps({"default": default, "tokens": tokens}, option=orjson.OPT_INDENT_2))
    return path


def credentials_path() -> Path:
    """The credentials file: in ``HUB_CONFIG_DIR``, else ``trunkhub`` of the user's configuration directory."""
    chosen = os.environ.get("HUB_CONFIG_DIR")
    if chosen:
        return Path(chosen).expanduser() / "credentials.json"
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "trunkhub" / "credentials.json"


def cache_root() -> Path:
    """Where pulled versions are kept: ``HUB_CACHE``, else ``~/.cache/trunkhub``."""
    return Path(os.environ.get("HUB_CACHE") or "~/.cache/trunkhub").expanduser()


def _read() -> dict[str, Any]:
    path = credentials_path()
    remedy = f"Remove {path} and log in again with: hub login URL"
    try:
        saved = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, orjson.JSONDecodeError) as error:
        raise InvalidRequest(f"The credentials file cannot be read: {error}.", remedy=remedy) from error
    if not isinstance(saved, dict) or not isinstance(saved.get("tokens", {}), dict):
        raise InvalidRequest("The credentials file is not one of ours.", remedy=remedy)
    return saved


def _write_private(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
