"""Residents: the versions a worker keeps loaded within its memory budget, least recently used first.

The table belongs to the event loop; TensorFlow loads and tunes on threads beside those that compute, so that nobody
waits for a version he did not ask for. Laws: a version is loaded once however many ask for it and however many
heads stand on it; what is not loaded is said to be so, never loaded in passing; loading evicts only as much as it must;
what is evicted goes when the last computation on it has ended.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import structlog

from hub.domain.errors import TooLarge
from hub.runtime.candidates import candidates, string_values
from hub.runtime.choosing import Choice, choose, take_up
from hub.runtime.devices import Device
from hub.runtime.loader import load
from hub.runtime.memory import release, used_bytes
from hub.runtime.orders import Order
from hub.runtime.residency import make_room
from hub.runtime.servable import Servable
from hub.savedmodel.inspect import inspect

_log = structlog.get_logger()
OnTuned = Callable[[str, dict[str, Choice]], None]


@dataclass(slots=True, eq=False)
class Resident:
    """A loaded version.

    Attributes:
        servable: What TensorFlow made of it.
        size_bytes: Memory it takes.
        choices: How its signatures are called, of those that were tried so far.
        users: Computations that run on it.
        is_evicted: It goes when there are none.
    """

    servable: Servable
    size_bytes: int
    choices: dict[str, Choice] = field(default_factory=dict)
    users: int = 0
    is_evicted: bool = False


class Residents:
    """Loaded versions by digest."""

    def __init__(self, device: Device, budget_bytes: int, on_tuned: OnTuned) -> None:
        """Keep at most ``budget_bytes`` of versions on the device; ``on_tuned`` hears how a version is called best."""
        self._device = device
        self._budget_bytes = budget_bytes
        self._on_tuned = on_tuned
        self._loaded: dict[str, Resident] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self._tuner = ThreadPoolExecutor(1, thread_name_prefix="tuner")
        self._turn = asyncio.Lock()
        self._tuning: dict[str, asyncio.Task[None]] = {}

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of every resident version by digest, least recently used first."""
        return {digest: resident.size_bytes for digest, resident in self._loaded.items()}

    def has(self, *digests: str) -> bool:
        """Whether all of them are loaded."""
        return all(digest in self._loaded for digest in digests)

    def of(self, digest: str) -> Resident:
        """A loaded version."""
        return self._loaded[digest]

    def hold(self, residents: tuple[Resident, ...]) -> tuple[Resident, ...]:
        """Use versions, which become the most recently used, and keep them from going until they are let go."""
        for resident in residents:
            resident.users += 1
            digest = resident.servable.order.digest
            if not resident.is_evicted:
                self._loaded[digest] = self._loaded.pop(digest)
        return residents

    def let_go(self, residents: tuple[Resident, ...]) -> None:
        """End what ``hold`` began."""
        for resident in residents:
            resident.users -= 1
            if resident.is_evicted and not resident.users:
                self._thread.submit(_close, resident.servable)

    async def load(self, orders: Sequence[Order], *, is_tuned: bool = False) -> None:
        """Load what is not loaded yet; all of them stay together.

        Args:
            orders: The versions.
            is_tuned: Whether to wait until it is known how they are called best.

        Raises:
            TooLarge: They do not fit into the budget.
            ModelFailed: TensorFlow cannot load one.
        """
        pinned = {order.digest for order in orders}
        async with self._turn:
            for order in orders:
                if order.digest not in self._loaded:
                    await self._add(order, pinned)
            for order in orders:
                self._loaded[order.digest] = self._loaded.pop(order.digest)
        if is_tuned:
            await asyncio.gather(*(task for digest, task in self._tuning.items() if digest in pinned))

    async def _add(self, order: Order, pinned: set[str]) -> None:
        self._make_room(order, order.size_bytes, pinned)
        resident = await self._on(self._thread, _load, order, self._device)
        self._loaded[order.digest] = resident
        _log.info("version.loaded", digest=order.digest, bytes=resident.size_bytes)
        # Measured only now: it may take more than its files do. It stays even so when nothing else can go.
        for digest in make_room(self.sizes, 0, self._budget_bytes, pinned) or ():
            self._evict(digest)
        if resident.choices.keys() != order.signatures.keys():
            task = self._tuning[order.digest] = asyncio.create_task(self._tune(order, resident))
            task.add_done_callback(lambda _: self._tuning.pop(order.digest, None))

    async def _tune(self, order: Order, resident: Resident) -> None:
        held = self.hold((resident,))
        before = used_bytes(self._device)
        try:
            for name in order.signatures.keys() - resident.choices.keys():
                resident.choices[name] = await self._on(self._tuner, _choose, resident.servable, name)
            await self._on(self._tuner, _settle, resident.servable)
        finally:
            self.let_go(held)
        # The ways that were tried are gone, and what was chosen may need more than the plain way, or less.
        resident.size_bytes = max(order.size_bytes, resident.size_bytes + used_bytes(self._device) - before)
        self._on_tuned(order.digest, resident.choices)

    def _make_room(self, order: Order, needed: int, pinned: set[str]) -> None:
        evicted = make_room(self.sizes, needed, self._budget_bytes, pinned)
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
        resident = self._loaded.pop(digest)
        resident.is_evicted = True
        _log.info("version.evicted", digest=digest, bytes=resident.size_bytes)
        if not resident.users:
            self._thread.submit(_close, resident.servable)

    async def _on(self, thread: ThreadPoolExecutor, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(thread, work, *arguments)


def _load(order: Order, device: Device) -> Resident:
    before = used_bytes(device)
    servable = load(order, device)
    choices = {name: take_up(servable, order.signatures[name], choice) for name, choice in order.choices.items()}
    if choices.keys() == order.signatures.keys():
        servable.settle()
    release()
    return Resident(servable, max(order.size_bytes, used_bytes(device) - before), choices)


def _choose(servable: Servable, name: str) -> Choice:
    signature = servable.order.signatures[name]
    has_strings = any(spec.dtype == "string" for spec in signature.inputs.values())
    features = inspect(servable.order.root).example_features.get(name) if has_strings else None
    try:
        return choose(servable, signature, candidates(signature.inputs, string_values(features)))
    except Exception as error:  # noqa: BLE001 - models are other people's programs: they may raise anything
        _log.warning("signature.not_tuned", signature=name, error=repr(error)[:500])
        return Choice()


def _settle(servable: Servable) -> None:
    servable.settle()
    release()


def _close(servable: Servable) -> None:
    servable.close()
    release()
