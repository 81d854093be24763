"""The inquest: what a worker died of, told from how its process ended and what it was doing then.

Laws: somebody is blamed only where that is certain, because the process ended by its own doing and ran nothing else:
the one request that ran; or, where a version ended it before anybody's request ran, all that are for that version. Who
is not blamed may send his request again.
"""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.domain.errors import HubError, ModelFailed, WorkerLost
from hub.runtime.askers import id_of, stream_of
from hub.runtime.journal import Ending
from hub.runtime.marks import Running

_BY_OTHERS = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
"""Signals that people send, and a system that has no memory left."""


@dataclass(frozen=True, slots=True)
class Death:
    """What a worker died of.

    Attributes:
        pid: Its process.
        ending: How the process ended, in words.
        request: The request, by its number in the worker; 0 where it was none for certain.
        version: The version that was being measured, by its digest; empty where it was none for certain.
    """

    pid: int
    ending: str
    request: int = 0
    version: str = ""


def inquire(pid: int, code: int | None, running: Sequence[Running]) -> Death:
    """What a process died of.

    Args:
        pid: The process.
        code: Its exit code, below zero for a signal; None where it is not known.
        running: What ran when it ended.
    """
    versions = {mark.digest for mark in running}
    if code is None or -code in _BY_OTHERS or len(versions) != 1:
        return Death(pid, "ended")
    ending = str(Ending("signal", -code) if code < 0 else Ending("exit", code))
    requests = [mark.request for mark in running if mark.request or mark.is_asked]
    if not requests:
        return Death(pid, ending, version=versions.pop())
    return Death(pid, ending, request=requests[0] if len(requests) == 1 else 0)


def suspects(running: Sequence[Running]) -> set[str]:
    """The versions that ran, by digest.

    Those that answered requests, where there are any: what a version does beforehand it did when it was validated.
    """
    return {mark.digest for mark in running if mark.is_asked} or {mark.digest for mark in running}


def verdict(death: Death | None, stream: int, request_id: int, asked: Mapping[str, Any]) -> HubError:
    """What to tell who waited for a request on a worker that died.

    Args:
        death: What it died of; None where nobody knows.
        stream: The number of the stream that the request went over.
        request_id: What it is called there.
        asked: Its header.
    """
    if death is not None and (_is(death.request, stream, request_id) or death.version in _versions(asked)):
        return ModelFailed(
            f"The model took its process down: it {death.ending}.",
            remedy="Send less, or other inputs. The same again may have the version set aside for a while.",
        )
    return WorkerLost("The worker died before it answered.", remedy="Send the request again.")


def _is(number: int, stream: int, request_id: int) -> bool:
    return number != 0 and (stream_of(number), id_of(number)) == (stream, request_id)


def _versions(asked: Mapping[str, Any]) -> set[str]:
    """The versions that a request is for."""
    heads = (digest for digest, _ in asked.get("heads", ()))
    loaded = (order["digest"] for order in asked.get("orders", ()))
    return {digest for digest in (asked.get("digest"), asked.get("trunk"), *heads, *loaded) if digest}
