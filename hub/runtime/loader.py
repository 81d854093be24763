"""Loading a version: the loader its format was made for, then the other one.

Law: of two failures the first is reported; the second loader is only a second chance.
"""

from collections.abc import Callable
from typing import assert_never

import structlog

from hub.domain.errors import HubError, ModelFailed
from hub.runtime.devices import Device
from hub.runtime.failures import describe
from hub.runtime.object_graph import ObjectGraphServable
from hub.runtime.orders import Loader, Order
from hub.runtime.servable import Servable
from hub.runtime.session import SessionServable

_log = structlog.get_logger()
_OTHER: dict[Loader, Loader] = {"object_graph": "session", "session": "object_graph"}


def load_with(loader: Loader, order: Order, device: Device) -> Servable:
    """Load through one loader.

    Raises:
        Exception: Whatever TensorFlow raises.
    """
    match loader:
        case "object_graph":
            return ObjectGraphServable(order, device)
        case "session":
            return SessionServable(order, device)
        case _:
            assert_never(loader)


def load(order: Order, device: Device) -> Servable:
    """Load a version.

    Raises:
        ModelFailed: Neither loader can.
    """
    return load_first(order, lambda loader: load_with(loader, order, device))


def load_first(order: Order, attempt: Callable[[Loader], Servable]) -> Servable:
    """What ``attempt`` gives for the version's own loader, or else for the other one.

    Raises:
        ModelFailed: Neither loader can.
    """
    try:
        return attempt(order.loader)
    except Exception as error:  # noqa: BLE001 - the files are other people's: TensorFlow may raise anything on them
        first = error
    try:
        return attempt(_OTHER[order.loader])
    except Exception as second:
        _log.warning("version.load_failed", digest=order.digest, first=repr(first), second=repr(second))
        if isinstance(first, HubError):
            raise first from second
        raise ModelFailed(f"TensorFlow cannot load the version: {describe(first, order.root)}.") from first
