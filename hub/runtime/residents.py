"""Residents: the versions a worker keeps loaded within its memory budget, least recently used first.

Everything here runs on the device thread. Laws: a version is loaded once however many ask for it and however many heads
stand on it; what is not loaded is said to be so, never loaded in passing; loading evicts only as much as it must.
"""

from collections.abc import Mapping, Sequence

import structlog

from hub.domain.errors import TooLarge
from hub.runtime.composed import run_composed
from hub.runtime.devices import Device
from hub.runtime.loader import load
from hub.runtime.memory import freeze, release, used_bytes
from hub.runtime.orders import Order
from hub.runtime.residency import make_room
from hub.runtime.servable import Servable, Value

_log = structlog.get_logger()


class Residents:
    """Loaded versions by digest."""

    def __init__(self, device: Device, budget_bytes: int) -> None:
        """Keep at most ``budget_bytes`` of versions on the device."""
        self._device = device
        self._budget_bytes = budget_bytes
        self._loaded: dict[str, Servable] = {}
        self._sizes: dict[str, int] = {}

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of every resident version by digest, least recently used first."""
        return dict(self._sizes)

    def has(self, *digests: str) -> bool:
        """Whether all of them are loaded."""
        return all(digest in self._loaded for digest in digests)

    def servable(self, digest: str) -> Servable:
        """A loaded version, which becomes the most recently used."""
        self._sizes[digest] = self._sizes.pop(digest)
        return self._loaded[digest]

    def load(self, orders: Sequence[Order]) -> None:
        """Load what is not loaded yet; all of them stay together.

        Raises:
            TooLarge: They do not fit into the budget.
            ModelFailed: TensorFlow cannot load one.
        """
        pinned = {order.digest for order in orders}
        for order in orders:
            if order.digest not in self._loaded:
                self._add(order, pinned)
        for order in orders:
            self.servable(order.digest)

    def run(
        self, digest: str, trunk_digest: str | None, signature: str, inputs: Mapping[str, Value]
    ) -> dict[str, Value]:
        """Call a signature of a loaded version, on its loaded trunk where there is one.

        Raises:
            Exception: Whatever TensorFlow raises.
        """
        version = self.servable(digest)
        trunk_signature = version.order.trunk_signature
        if trunk_digest is None or trunk_signature is None:
            return version.run(signature, inputs)
        return run_composed(self.servable(trunk_digest), trunk_signature, version, signature, inputs)

    def _add(self, order: Order, pinned: set[str]) -> None:
        self._make_room(order, order.size_bytes, pinned)
        before = used_bytes(self._device)
        servable = load(order, self._device)
        freeze()
        size = max(order.size_bytes, used_bytes(self._device) - before)
        self._loaded[order.digest] = servable
        self._sizes[order.digest] = size
        _log.info("version.loaded", digest=order.digest, bytes=size)
        # Measured only now: it may take more than its files do. It stays even so when nothing else can go.
        for digest in make_room(self._sizes, 0, self._budget_bytes, pinned) or ():
            self._evict(digest)

    def _make_room(self, order: Order, needed: int, pinned: set[str]) -> None:
        evicted = make_room(self._sizes, needed, self._budget_bytes, pinned)
        if evicted is None:
            raise TooLarge(
                f"The version needs {needed} bytes, its worker may use {self._budget_bytes} for all versions.",
                remedy="Give the workers a larger memory budget.",
                needed_bytes=needed,
                budget_bytes=self._budget_bytes,
                digest=order.digest,
            )
        for digest in evicted:
            self._evict(digest)

    def _evict(self, digest: str) -> None:
        self._loaded.pop(digest).close()
        size = self._sizes.pop(digest)
        release()
        _log.info("version.evicted", digest=digest, bytes=size)
