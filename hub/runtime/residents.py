"""Residents: the versions a worker keeps loaded within its memory budget, least recently used first.

The table belongs to the event loop; TensorFlow loads and tunes on threads beside those that compute, so that nobody
waits for a version he did not ask for. Laws: a version is loaded once however many ask for it and however many
heads stand on it; what is not loaded is said to be so, never loaded in passing; loading evicts only as much as it must;
what is evicted goes when the last computation on it has ended, and memory that does not come back then is told.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

import structlog

from hub.domain.errors import HubError, TooLarge
from hub.domain.signatures import Signature
from hub.protocol.frames import to_numpy
from hub.protocol.golden import Sample, read_golden
from hub.runtime.batches import Arrays
from hub.runtime.candidates import candidates, string_values
from hub.runtime.choosing import Choice, Measured, choose, choose_rows, take_up, warm
from hub.runtime.devices import Device
from hub.runtime.loader import load
from hub.runtime.marks import Marks
from hub.runtime.memory import release, used_bytes
from hub.runtime.orders import Order
from hub.runtime.residency import make_room
from hub.runtime.servable import Servable
from hub.savedmodel.inspect import inspect

_log = structlog.get_logger()
OnTuned = Callable[[str, dict[str, Choice]], None]
_MIN_LEAK_BYTES = 512 << 20
_LEAK_SHARE = 0.25  # of the budget


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

    def __init__(
        self,
        device: Device,
        budget_bytes: int,
        on_tuned: OnTuned,
        sizes: Sequence[int] = (),
        on_leak: Callable[[int], None] = lambda _bytes: None,
        marks: Marks | None = None,
        measured: Measured = nullcontext,
    ) -> None:
        """Start empty.

        Args:
            device: Where versions are loaded.
            budget_bytes: What they may take together.
            on_tuned: Hears how a version is called best.
            sizes: Allowed batch sizes, which a version is warmed up with; any where there are none.
            on_leak: Told how many bytes did not come back when a version went, where they are many.
            marks: Told which version is loaded or tuned.
            measured: Entered, on another thread, around what is timed.
        """
        self._device = device
        self._budget_bytes = budget_bytes
        self._on_tuned = on_tuned
        self._sizes = sizes
        self._on_leak = on_leak
        self._marks = marks or Marks()
        self._measured = measured
        self._empty_bytes = used_bytes(device)
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
                self._close(resident.servable)

    async def load(self, orders: Sequence[Order], *, is_tuned: bool = False, request: int = 0) -> None:
        """Load what is not loaded yet; all of them stay together.

        Args:
            orders: The versions.
            is_tuned: Whether to wait until it is known how they are called best, and they are warm.
            request: The number of who asks.

        Raises:
            TooLarge: They do not fit into the budget.
            ModelFailed: TensorFlow cannot load one.
        """
        pinned = {order.digest for order in orders}
        async with self._turn:
            for order in orders:
                if order.digest not in self._loaded:
                    await self._add(order, pinned, request)
            for order in orders:
                self._loaded[order.digest] = self._loaded.pop(order.digest)
        if is_tuned:
            await asyncio.gather(*(task for digest, task in self._tuning.items() if digest in pinned))

    async def _add(self, order: Order, pinned: set[str], request: int) -> None:
        self._make_room(order, order.size_bytes, pinned)
        resident = await self._on(self._thread, order, _load, order, self._device, request=request)
        self._loaded[order.digest] = resident
        _log.info("version.loaded", digest=order.digest, bytes=resident.size_bytes)
        # Measured only now: it may take more than its files do. It stays even so when nothing else can go.
        for digest in make_room(self.sizes, 0, self._budget_bytes, pinned) or ():
            self._evict(digest)
        task = self._tuning[order.digest] = asyncio.create_task(self._tune(order, resident))
        task.add_done_callback(lambda _: self._tuning.pop(order.digest, None))

    async def _tune(self, order: Order, resident: Resident) -> None:
        held = self.hold((resident,))
        before = used_bytes(self._device)
        unknown = order.signatures.keys() - resident.choices.keys()
        try:
            golden = await self._on(self._tuner, order, _golden, order)
            for name in unknown:
                choosing = _choose, resident.servable, name, golden, self._device, self._measured
                resident.choices[name] = await self._on(self._tuner, order, *choosing)
            await self._on(self._tuner, order, _settle, resident.servable)
            for name, choice in resident.choices.items():
                await self._on(self._tuner, order, _warm, resident.servable, name, choice, golden, self._sizes)
            # The ways that were tried are gone, and what was chosen may need more than the plain way, or less.
            resident.size_bytes = max(order.size_bytes, resident.size_bytes + used_bytes(self._device) - before)
            # Only now: what large batches leave in the allocator's pool is there for every version.
            for name in unknown:
                sizing = partial(_choose_rows, resident.servable, name, resident.choices[name], golden)
                resident.choices[name] = await self._on(self._tuner, order, sizing, self._device, self._measured)
        finally:
            self.let_go(held)
        if unknown:
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
            self._close(resident.servable)

    def _close(self, servable: Servable) -> None:
        closing = asyncio.get_running_loop().run_in_executor(self._thread, _close, servable, self._device)
        closing.add_done_callback(self._look)

    def _look(self, closed: "asyncio.Future[int]") -> None:
        """See whether memory came back. While a version is being tuned nobody can tell."""
        if closed.cancelled() or closed.exception() is not None or self._tuning:
            return
        leaked = closed.result() - self._empty_bytes - sum(self.sizes.values())
        if leaked > max(_MIN_LEAK_BYTES, self._budget_bytes * _LEAK_SHARE):
            self._on_leak(leaked)

    async def _on(
        self, thread: ThreadPoolExecutor, order: Order, work: Callable[..., Any], *arguments: Any, request: int = 0
    ) -> Any:
        def marked() -> Any:
            with self._marks.doing(order.digest, is_asked=False, request=request):
                return work(*arguments)

        return await asyncio.get_running_loop().run_in_executor(thread, marked)


def _load(order: Order, device: Device) -> Resident:
    before = used_bytes(device)
    servable = load(order, device)
    choices = {name: take_up(servable, order.signatures[name], choice) for name, choice in order.choices.items()}
    if choices.keys() == order.signatures.keys():
        servable.settle()
    release()
    return Resident(servable, max(order.size_bytes, used_bytes(device) - before), choices)


def _golden(order: Order) -> dict[str, Sample]:
    """The golden samples by signature; none where there are none that can be read."""
    if order.golden is None:
        return {}
    try:
        return read_golden(order.golden.read_bytes())
    except (HubError, OSError) as error:
        _log.warning("golden.unreadable", digest=order.digest, error=repr(error)[:500])
        return {}


def _inputs(servable: Servable, name: str, golden: Mapping[str, Sample]) -> Iterator[Arrays]:
    """What a signature may be called on: what it answered when it was probed, or what the probe would try."""
    signature = servable.order.signatures[name]
    sample = golden.get(name)
    kept = [{tensor.name: to_numpy(tensor) for tensor in sample.inputs}] if sample else []
    return chain(kept, _made_up(servable, signature))


def _made_up(servable: Servable, signature: Signature) -> Iterator[Arrays]:
    has_strings = any(spec.dtype == "string" for spec in signature.inputs.values())
    features = inspect(servable.order.root).example_features.get(signature.name) if has_strings else None
    yield from candidates(signature.inputs, string_values(features))


def _choose(servable: Servable, name: str, golden: Mapping[str, Sample], device: Device, measured: Measured) -> Choice:
    try:
        return choose(servable, servable.order.signatures[name], _inputs(servable, name, golden), device, measured)
    except Exception as error:  # noqa: BLE001 - models are other people's programs: they may raise anything
        _log.warning("signature.not_tuned", signature=name, error=repr(error)[:500])
        return Choice()


def _choose_rows(
    servable: Servable,
    name: str,
    choice: Choice,
    golden: Mapping[str, Sample],
    device: Device,
    measured: Measured,
) -> Choice:
    try:
        signature = servable.order.signatures[name]
        return choose_rows(servable, signature, choice, _inputs(servable, name, golden), device, measured)
    except Exception as error:  # noqa: BLE001 - likewise
        _log.warning("signature.not_sized", signature=name, error=repr(error)[:500])
        return choice


def _warm(servable: Servable, name: str, choice: Choice, golden: Mapping[str, Sample], sizes: Sequence[int]) -> None:
    try:
        warm(servable, servable.order.signatures[name], choice, _inputs(servable, name, golden), sizes)
    except Exception as error:  # noqa: BLE001 - likewise; it will be warmed by its first request
        _log.warning("signature.not_warmed", signature=name, error=repr(error)[:500])


def _settle(servable: Servable) -> None:
    servable.settle()
    release()


def _close(servable: Servable, device: Device) -> int:
    """Let a version go; gives what is still used."""
    servable.close()
    release()
    return used_bytes(device)
