"""The engine of one machine: one supervised worker process per device, and throw-away processes for probes.

A request waits for a worker that is ready, has its target loaded there if it is not yet, and is sent as the bytes it
came in. The limits are the engine's: how many requests are inside, and how long each may take.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from hub.domain.errors import (
    BlobNotFound,
    DeadlineExceeded,
    DigestMismatch,
    HubError,
    NotAvailable,
    Overloaded,
    Quarantined,
    WorkerLost,
)
from hub.domain.reports import ProbeResult
from hub.engine.choices import Choices
from hub.engine.engine import EngineStatus, Inferred, Target
from hub.engine.goldens import Goldens, ReadGolden
from hub.engine.link import Link, Told
from hub.engine.placement import choose
from hub.engine.prober import Prober
from hub.engine.quarantine import Quarantine
from hub.engine.seen import is_traced, note_load, note_reply
from hub.engine.supervisor import Batching, Supervisor
from hub.protocol.frames import Frame, Tensor
from hub.runtime.devices import Device
from hub.runtime.limits import Limits
from hub.runtime.orders import Choice, Order
from hub.runtime.sandbox import Mode
from hub.storage.snapshots import Snapshots

LOAD_DEADLINE_S = 300.0
_MAX_REMEMBERED = 1_024
_log = structlog.get_logger()


class LocalEngine:
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
            sandbox: Whether workers and probes are locked in; see ``hub.runtime.sandbox``.
        """
        self._snapshots = snapshots
        self._max_in_flight = max_in_flight
        self._drain_s = drain_s
        self._choices = Choices(tuned_dir or run_dir)
        self._quarantine = Quarantine()
        self._loaded_targets: dict[Target, None] = {}  # the most recently loaded last
        self._goldens = Goldens(run_dir / "golden", golden)
        self._supervisors = [
            Supervisor(
                Device.parse(device),
                run_dir / f"worker-{position}",
                budget_bytes=memory_budget_bytes,
                batching=batching or Batching(),
                grace_s=grace_s,
                on_change=self._note_change,
                on_tuned=partial(self._note_tuned, Device.parse(device)),
                on_death=self._quarantine.note_death,
                prepare=partial(self._prepare, position),
                sandbox=sandbox,
                reads=(snapshots.root, run_dir / "golden"),
            )
            for position, device in enumerate(devices)
        ]
        self._prober = Prober(run_dir / "probes", probe_limits or Limits(), sandbox)
        self._ready = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._in_flight = 0
        self._is_stopping = False
        self._loads: dict[tuple[Supervisor, Target], asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Start the workers; returns before they are ready."""
        for supervisor in self._supervisors:
            supervisor.start()

    async def stop(self) -> None:
        """Refuse new requests, wait a while for those inside, end the workers."""
        self._is_stopping = True
        self._ready.set()  # who waits for a worker that is not ready is told now
        try:
            await asyncio.wait_for(self._idle.wait(), self._drain_s)
        except TimeoutError:
            _log.warning("engine.drain_incomplete", in_flight=self._in_flight)
        await asyncio.gather(*(supervisor.stop() for supervisor in self._supervisors), self._prober.stop())

    def status(self) -> EngineStatus:
        """How the workers are now."""
        return EngineStatus(
            tuple(
                replace(supervisor.status(), choices=self._choices.known(supervisor.loaded, supervisor.device))
                for supervisor in self._supervisors
            ),
            self._quarantine.held,
        )

    async def infer(
        self, target: Target, signature: str, inputs: Sequence[Tensor], deadline_s: float, priority: int = 0
    ) -> list[Tensor]:
        """Call a signature; see ``Engine.infer``."""
        return await self._ask_in_time(target, _infer(target, signature, priority), inputs, deadline_s)

    def start_infer(
        self,
        target: Target,
        signature: str,
        inputs: Sequence[Tensor],
        deadline_s: float,
        priority: int,
        tell: Callable[[Inferred], None],
    ) -> Callable[[], None] | None:
        """Call a signature at once; see ``Engine.start_infer``."""
        link = self._at_hand(target)
        if link is None or self._is_stopping or self._in_flight >= self._max_in_flight:
            return None
        try:
            self._quarantine.check(target.digests)
        except Quarantined:
            return None
        self._enter()

        def done(told: Told) -> None:
            self._leave()
            if isinstance(told, TimeoutError):
                told = self._too_late(deadline_s)
            tell(told if isinstance(told, HubError) else self._read(link, target, told))

        def withdraw() -> None:
            self._leave()
            link.withdraw(number)

        try:
            deadline_at = asyncio.get_running_loop().time() + deadline_s
            number = link.start(_infer(target, signature, priority), inputs, deadline_at, done)
        except HubError:
            self._leave()
            return None
        return withdraw

    async def infer_heads(
        self, target: Target, signatures: Sequence[str], inputs: Sequence[Tensor], deadline_s: float, priority: int = 0
    ) -> list[list[Tensor]]:
        """Call several heads on one input; see ``Engine.infer_heads``."""
        if len(signatures) == 1:
            return [await self.infer(target, signatures[0], inputs, deadline_s, priority)]
        heads = list(zip(target.heads, signatures, strict=True))
        header = {"op": "infer", "trunk": target.trunk_digest, "heads": heads, "priority": priority}
        header["is_traced"] = is_traced()
        answered: list[list[Tensor]] = [[] for _ in heads]
        for tensor in await self._ask_in_time(target, header, inputs, deadline_s):
            number, _, name = tensor.name.partition("/")
            answered[int(number)].append(replace(tensor, name=name))
        return answered

    async def _ask_in_time(
        self, target: Target, header: Mapping[str, Any], inputs: Sequence[Tensor], deadline_s: float
    ) -> list[Tensor]:
        self._quarantine.check(target.digests)
        self._enter()
        deadline_at = asyncio.get_running_loop().time() + deadline_s
        try:
            link = self._at_hand(target)
            if link is not None:
                answered = self._read(link, target, await link.call(header, inputs, deadline_at))
                if answered is not None:
                    return answered
            async with asyncio.timeout_at(deadline_at):
                return await self._ask(target, header, inputs, deadline_at)
        except TimeoutError as error:
            raise self._too_late(deadline_s) from error
        finally:
            self._leave()

    async def load(self, target: Target) -> None:
        """Have the target loaded on one worker, and its ways to be called measured."""
        self._refuse_when_stopping()
        self._quarantine.check(target.digests)
        supervisor = await self._worker_for(target)
        await self._ensure(supervisor, target)
        await self._load(supervisor, target, is_tuned=True)

    def _note_tuned(self, device: Device, digest: str, choices: Mapping[str, Choice]) -> None:
        self._choices.note(digest, device, choices)

    async def probe(self, digest: str, trunk_digest: str | None) -> tuple[ProbeResult, bytes | None]:
        """Load and call an unknown version in a throw-away process."""
        self._refuse_when_stopping()
        async with self._orders(Target(digest, trunk_digest), Device("cpu", 0)) as orders:
            return await self._prober.probe(orders[-1], orders[0] if trunk_digest else None)

    def _at_hand(self, target: Target) -> Link | None:
        """The only worker, where it is ready and has the target; most requests need no more."""
        only = self._supervisors[0]
        return only.link if len(self._supervisors) == 1 and target.digest in only.loaded else None

    async def _ask(
        self, target: Target, header: Mapping[str, Any], inputs: Sequence[Tensor], deadline_at: float
    ) -> list[Tensor]:
        while True:
            supervisor = await self._worker_for(target)
            await self._ensure(supervisor, target)
            link = supervisor.link
            if link is None:
                await asyncio.sleep(0)
                continue
            answered = self._read(link, target, await link.call(header, inputs, deadline_at))
            if answered is not None:
                return answered

    def _read(self, link: Link, target: Target, reply: Frame) -> list[Tensor] | None:
        """What a worker answered; None where it has not what was asked, having evicted it for another target."""
        if reply.header.get("not_loaded"):
            link.loaded = reply.header["resident"]
            return None
        note_reply(target.digest, target.digests[0], link.device, reply.header)
        return list(reply.tensors)

    async def _worker_for(self, target: Target) -> Supervisor:
        while True:
            choice = choose([supervisor.status() for supervisor in self._supervisors], target.digests)
            if choice is not None:
                break
            self._refuse_when_stopping()
            await self._ready.wait()
        if choice.also_load is not None:
            self._loading(self._supervisors[choice.also_load], target)
        return self._supervisors[choice.worker]

    async def _ensure(self, supervisor: Supervisor, target: Target) -> None:
        if all(digest in supervisor.loaded for digest in target.digests):
            return
        began = time.perf_counter()
        # Shielded: who gives up waiting must not stop a load that others wait for.
        await asyncio.shield(self._loading(supervisor, target))
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
        async with self._orders(target, supervisor.device) as orders:
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
        supervisor = self._supervisors[position]
        for target in list(self._loaded_targets):
            if all(digest in supervisor.loaded for digest in target.digests):
                try:
                    async with self._orders(target, supervisor.device) as orders:
                        await self._load_there(link, orders, target, is_tuned=True)
                except HubError as error:
                    _log.info("version.not_loaded", digest=target.digest, error=str(error))

    @asynccontextmanager
    async def _orders(self, target: Target, device: Device) -> AsyncIterator[list[Order]]:
        """What to load, from snapshots that stay there meanwhile."""
        with ExitStack() as held:
            try:
                orders = [await asyncio.to_thread(self._order, digest, device, held) for digest in target.digests]
            except (BlobNotFound, DigestMismatch) as error:
                remedy = "Restore the blob store, then send the request again."
                detail = f"The files of {target.digest} cannot be had: {error.detail}"
                raise NotAvailable(detail, remedy=remedy) from error
            yield orders

    def _order(self, digest: str, device: Device, held: ExitStack) -> Order:
        root = held.enter_context(self._snapshots.held(digest))
        order = Order.of(digest, root, self._snapshots.manifest(digest))
        return replace(order, choices=self._choices.of(digest, device), golden=self._goldens.path(digest))

    def _enter(self) -> None:
        self._refuse_when_stopping()
        if self._in_flight >= self._max_in_flight:
            raise Overloaded(f"{self._in_flight} requests are being computed already.", remedy="Wait, then try again.")
        self._in_flight += 1
        self._idle.clear()

    def _leave(self) -> None:
        self._in_flight -= 1
        if self._in_flight == 0:
            self._idle.set()

    def _refuse_when_stopping(self) -> None:
        if self._is_stopping:
            raise NotAvailable("The engine is stopping.", remedy="Try again after the restart.")

    def _too_late(self, deadline_s: float) -> HubError:
        if not self._is_any_ready():
            return NotAvailable("No worker is ready yet.", remedy="Try again in a few seconds.")
        return DeadlineExceeded(
            f"The model did not answer within {deadline_s:g} s.", remedy="Send less at once, or wait longer."
        )

    def _is_any_ready(self) -> bool:
        return any(supervisor.link is not None for supervisor in self._supervisors)

    def _note_change(self) -> None:
        if self._is_any_ready():
            self._ready.set()
        else:
            self._ready.clear()


def _infer(target: Target, signature: str, priority: int) -> dict[str, Any]:
    return {
        "op": "infer",
        "digest": target.digest,
        "trunk": target.trunk_digest,
        "signature": signature,
        "priority": priority,
        "is_traced": is_traced(),
    }
