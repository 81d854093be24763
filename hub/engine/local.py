"""The engine of one machine: one supervised worker process per device, and throw-away processes for probes.

How workers are asked is in `hub.engine.asking`; here they are kept, and loaded from snapshots. Other processes that
ask the same workers are given links to them: see `hub.engine.shared`.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from hub.domain.errors import (
    BlobNotFound,
    DeadlineExceeded,
    DigestMismatch,
    HubError,
    NotAvailable,
    WorkerLost,
)
from hub.domain.reports import ProbeResult
from hub.engine.asking import Asking
from hub.engine.choices import Choices
from hub.engine.engine import EngineStatus, Target
from hub.engine.goldens import Goldens, ReadGolden
from hub.engine.inquest import Death
from hub.engine.link import Link
from hub.engine.prober import Prober
from hub.engine.quarantine import Quarantine
from hub.engine.seen import note_load
from hub.engine.shelf import Shelf
from hub.engine.supervisor import Batching, Supervisor
from hub.runtime.devices import Device
from hub.runtime.limits import AnswerLimits, Limits
from hub.runtime.orders import Choice, Order
from hub.runtime.sandbox import Mode
from hub.storage.snapshots import Snapshots

LOAD_DEADLINE_S = 300.0
_ANSWERS = AnswerLimits()
_MAX_REMEMBERED = 1_024
_log = structlog.get_logger()


class LocalEngine(Asking[Supervisor]):
    """Runs predictions in worker processes of this machine."""

    def __init__(
        self,
        snapshots: Snapshots,
        devices: Sequence[str],
        run_dir: Path,
        *,
        tuned_dir: Path | None = None,
        golden: ReadGolden = lambda _digest: None,
        memory_budget_bytes: int | None = None,
        batching: Batching | None = None,
        max_in_flight: int = 256,
        grace_s: float = 5.0,
        drain_s: float = 10.0,
        probe_limits: Limits | None = None,
        answers: AnswerLimits = _ANSWERS,
        sandbox: Mode = "auto",
    ) -> None:
        """Prepare the workers; ``start`` starts them.

        Args:
            snapshots: Where versions come from.
            devices: One worker each, such as ``cpu:0``.
            run_dir: Working files of the child processes.
            tuned_dir: Where to remember how versions are called best; ``run_dir`` where None.
            golden: Gives a version's golden samples by its digest; None where it has none.
            memory_budget_bytes: What the versions of one worker may take; None: a share of what there is.
            batching: How workers may batch requests.
            max_in_flight: Requests inside at once; one more is refused.
            grace_s: How long a worker may compute past a request's deadline before it is killed.
            drain_s: How long ``stop`` waits for requests inside.
            probe_limits: What one probe may use.
            answers: What one answer may have.
            sandbox: Whether workers and probes are locked in; see ``hub.runtime.sandbox``.
        """
        super().__init__(max_in_flight)
        self._snapshots = snapshots
        self._drain_s = drain_s
        self._choices = Choices(tuned_dir or run_dir)
        self._quarantine = Quarantine()
        self.listeners: list[Callable[[int, Death | None], None]] = []
        self._loaded_targets: dict[Target, None] = {}  # the most recently loaded last
        self._goldens = Goldens(golden)
        shelves = [Shelf(snapshots, f"worker-{position}") for position in range(len(devices))]
        self._posts = [
            Supervisor(
                Device.parse(device),
                run_dir / f"worker-{position}",
                budget_bytes=memory_budget_bytes,
                batching=batching or Batching(),
                grace_s=grace_s,
                on_change=self._note_change,
                on_tuned=partial(self._note_tuned, Device.parse(device)),
                on_death=partial(self._note_death, position),
                on_inquest=partial(self._tell, position),
                on_adopted=partial(self._tell, position),
                prepare=partial(self._prepare, position),
                answers=answers,
                sandbox=sandbox,
                reads=(shelves[position].folder,),
            )
            for position, device in enumerate(devices)
        ]
        self._shelves = dict(zip(self._posts, shelves, strict=True))
        self._prober = Prober(run_dir / "probes", probe_limits or Limits(), sandbox)
        self._loads: dict[tuple[Supervisor, Target], asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Start the workers; returns before they are ready.

        Raises:
            NotAvailable: The engine was stopped.
        """
        self._refuse_when_stopping()
        for supervisor in self._posts:
            supervisor.start()

    async def stop(self) -> None:
        """Refuse new requests, wait a while for those inside, end the workers."""
        await self._finish(self._drain_s)
        await asyncio.gather(*(supervisor.stop() for supervisor in self._posts), self._prober.stop())

    def status(self) -> EngineStatus:
        """How the workers are now."""
        workers = (
            replace(each.status(), choices=self._choices.known(each.loaded, each.device)) for each in self._posts
        )
        return EngineStatus(tuple(workers), self._quarantine.held)

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self._posts)

    def connect(self, position: int) -> tuple[socket.socket | None, int | None]:
        """Another process's end of a stream to a worker, and the worker's process id; None while it is not ready."""
        supervisor = self._posts[position]
        return supervisor.connect(), supervisor.status().pid

    def _note_death(self, position: int, digest: str) -> None:
        self._quarantine.note_death(digest)
        self._tell(position)

    def _tell(self, position: int, death: Death | None = None) -> None:
        for listener in self.listeners:
            listener(position, death)

    async def load(self, target: Target, position: int | None = None) -> None:
        """Have the target loaded, on the worker at a position or else on one with its ways to be called measured."""
        self._refuse_when_stopping()
        self._check(target.digests)
        if position is not None:
            await self._ensure(self._posts[position], target)
            return
        supervisor = await self._post_for(target)
        await self._ensure(supervisor, target)
        await self._load(supervisor, target, is_tuned=True)

    def _note_tuned(self, device: Device, digest: str, choices: Mapping[str, Choice]) -> None:
        self._choices.note(digest, device, choices)

    async def probe(self, digest: str, trunk_digest: str | None) -> tuple[ProbeResult, bytes | None]:
        """Load and call an unknown version in a throw-away process."""
        self._refuse_when_stopping()
        async with self._orders(Target(digest, trunk_digest)) as orders:
            return await self._prober.probe(orders[-1], orders[0] if trunk_digest else None)

    def _check(self, digests: Sequence[str]) -> None:
        self._quarantine.check(digests)

    def _spread(self, post: Supervisor, target: Target) -> None:
        self._loading(post, target)

    async def _ensure(self, post: Supervisor, target: Target) -> None:
        if all(digest in post.loaded for digest in target.digests):
            return
        began = time.perf_counter()
        # Shielded: who gives up waiting must not stop a load that others wait for.
        await asyncio.shield(self._loading(post, target))
        note_load(time.perf_counter() - began)

    def _loading(self, supervisor: Supervisor, target: Target) -> asyncio.Task[None]:
        key = (supervisor, target)
        task = self._loads.get(key)
        if task is None:
            task = self._loads[key] = asyncio.create_task(self._load(supervisor, target))
            task.add_done_callback(self._forget_load(key))
        return task

    def _forget_load(self, key: tuple[Supervisor, Target]) -> Callable[[asyncio.Task[None]], None]:
        def forget(task: asyncio.Task[None]) -> None:
            self._loads.pop(key, None)
            failure = None if task.cancelled() else task.exception()
            if failure is not None:
                _log.info("version.not_loaded", digest=key[1].digest, error=str(failure))

        return forget

    async def _load(self, supervisor: Supervisor, target: Target, *, is_tuned: bool = False) -> None:
        async with self._orders_for(supervisor, target) as orders:
            link = supervisor.link  # only now: another process may have taken over while the files were fetched
            if link is None:
                raise WorkerLost("The worker died while a version was being loaded.", remedy="Send the request again.")
            await self._load_there(link, orders, target, is_tuned=is_tuned)

    async def _load_there(self, link: Link, orders: Sequence[Order], target: Target, *, is_tuned: bool) -> None:
        header = {"op": "load", "orders": [order.dump() for order in orders], "is_tuned": is_tuned}
        deadline_at = asyncio.get_running_loop().time() + LOAD_DEADLINE_S
        try:
            async with asyncio.timeout_at(deadline_at):
                reply = await link.call(header, (), deadline_at)
        except TimeoutError as error:
            detail = f"Loading took longer than {LOAD_DEADLINE_S:g} s."
            raise DeadlineExceeded(detail, digest=target.digest) from error
        link.loaded = reply.header["resident"]
        self._loaded_targets.pop(target, None)
        self._loaded_targets[target] = None
        if len(self._loaded_targets) > _MAX_REMEMBERED:
            del self._loaded_targets[next(iter(self._loaded_targets))]

    async def _prepare(self, position: int, link: Link) -> None:
        """Load in a worker that takes another's place what that one has loaded."""
        supervisor = self._posts[position]
        for target in list(self._loaded_targets):
            if all(digest in supervisor.loaded for digest in target.digests):
                try:
                    async with self._orders_for(supervisor, target) as orders:
                        await self._load_there(link, orders, target, is_tuned=True)
                except HubError as error:
                    _log.info("version.not_loaded", digest=target.digest, error=str(error))

    @asynccontextmanager
    async def _orders_for(self, supervisor: Supervisor, target: Target) -> AsyncIterator[list[Order]]:
        """What a worker shall load, from the only folder that it may read."""
        shelf = self._shelves[supervisor]
        async with self._orders(target) as orders, shelf.showing(target.digests, supervisor.loaded) as shown:
            placed = [replace(order, root=shown[order.digest]) for order in orders]
            yield await asyncio.to_thread(self._with_what_is_known, placed, supervisor.device, shelf.folder)

    def _with_what_is_known(self, orders: Sequence[Order], device: Device, folder: Path) -> list[Order]:
        """Orders with how they are called best, and with golden samples in the folder."""
        return [
            replace(
                order, choices=self._choices.of(order.digest, device), golden=self._goldens.path(order.digest, folder)
            )
            for order in orders
        ]

    @asynccontextmanager
    async def _orders(self, target: Target) -> AsyncIterator[list[Order]]:
        """What to load, from snapshots that stay there meanwhile."""
        with ExitStack() as held:
            try:
                orders = [await asyncio.to_thread(self._order, digest, held) for digest in target.digests]
            except (BlobNotFound, DigestMismatch) as error:
                remedy = "Restore the blob store, then send the request again."
                detail = f"The files of {target.digest} cannot be had: {error.detail}"
                raise NotAvailable(detail, remedy=remedy) from error
            yield orders

    def _order(self, digest: str, held: ExitStack) -> Order:
        root = held.enter_context(self._snapshots.held(digest))
        return Order.of(digest, root, self._snapshots.manifest(digest))
