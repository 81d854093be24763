"""Shared workers: how processes beside the hub's own ask the same workers.

The hub keeps the workers and decides what is loaded where; an outlet has a stream of its own to each of them, and sends
requests there itself. A `Share` is the hub's side, an `OutletEngine` the outlet's. What they tell each other:

* hub to outlet: ``worker`` (its position, with one end of a stream), ``quarantined``, ``died`` (a process, and what it
  died of), ``done`` (a load, or a problem)
* outlet to hub: ``load`` (a target, where), ``stuck`` (a worker's position and process id)

Laws: a load is the hub's, whoever asked for it, so it is done once; a worker that is replaced is let go of when the
last answer has come.
"""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any

import structlog

from hub.domain.errors import HubError, NotAvailable
from hub.domain.reports import ProbeResult
from hub.engine.asking import Asking
from hub.engine.engine import EngineStatus, Target, WorkerState, WorkerStatus
from hub.engine.inquest import Death
from hub.engine.link import Link
from hub.engine.local import LocalEngine
from hub.engine.quarantine import Quarantine
from hub.engine.seen import note_load
from hub.protocol.arena import Arena
from hub.protocol.problems import from_problem, to_problem

Send = Callable[..., None]
_TOLD_WITHIN_S = 3.0
_log = structlog.get_logger()


class Share:
    """The hub's side of one outlet."""

    def __init__(self, engine: LocalEngine, send: Send) -> None:
        """Give the outlet a way to each worker that is ready, and to those to come, until ``close``."""
        self._engine = engine
        self._send = send
        self._loads: set[asyncio.Task[None]] = set()
        engine.listeners.append(self._tell)
        for position in range(engine.size):
            self._tell(position)

    def close(self) -> None:
        """The outlet has gone."""
        self._engine.listeners.remove(self._tell)
        for task in self._loads:
            task.cancel()

    def take(self, note: Mapping[str, Any]) -> bool:
        """Do what the outlet asks; whether it was for the engine."""
        if "load" in note:
            task = asyncio.create_task(self._load(note))
            self._loads.add(task)
            task.add_done_callback(self._loads.discard)
        elif "stuck" in note:
            self._kill(note["stuck"], note["pid"])
        else:
            return False
        return True

    def _tell(self, position: int, death: Death | None = None) -> None:
        if death is not None:
            self._send({"died": asdict(death)})
        stream, pid = self._engine.connect(position)
        if stream is not None:
            self._send({"worker": position, "pid": pid}, files=[stream.detach()])
        self._send({"quarantined": self._engine.status().quarantined})

    async def _load(self, note: Mapping[str, Any]) -> None:
        digest, trunk, beside = note["target"]
        target = Target(digest, trunk, tuple(beside))
        try:
            await self._engine.load(target, note["worker"])
        except HubError as error:
            self._send({"done": note["load"], "problem": to_problem(error)})
        else:
            self._send({"done": note["load"]})

    def _kill(self, position: int, pid: int) -> None:
        """End a worker that computes for ever, unless it has been replaced meanwhile."""
        if self._engine.status().workers[position].pid == pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class SharedPost:
    """An outlet's way to one worker."""

    def __init__(self, device: str) -> None:
        """Wait for a stream to it."""
        self.device = device
        self.link: Link | None = None
        self.pid: int | None = None

    @property
    def loaded(self) -> Mapping[str, int]:
        """Bytes of each version that is loaded there."""
        return self.link.loaded if self.link else {}

    def status(self) -> WorkerStatus:
        """How it is, as far as an outlet knows."""
        state: WorkerState = "ready" if self.link else "starting"
        return WorkerStatus(self.device, self.pid, state, self.loaded, self.link.in_flight if self.link else 0)


class OutletEngine(Asking[SharedPost]):
    """Asks the workers that another process keeps."""

    def __init__(
        self, devices: Sequence[str], send: Send, *, max_in_flight: int, grace_s: float = 5.0, drain_s: float = 10.0
    ) -> None:
        """Prepare.

        Args:
            devices: What each worker computes on.
            send: Sends the hub a note.
            max_in_flight: Requests inside at once; one more is refused.
            grace_s: How long a worker may compute past a request's deadline before the hub is told.
            drain_s: How long ``stop`` waits for requests inside.
        """
        super().__init__(max_in_flight)
        self._posts = [SharedPost(device) for device in devices]
        self._send = send
        self._grace_s = grace_s
        self._drain_s = drain_s
        self._quarantine = Quarantine()
        self._last_load = 0
        self._loads: dict[tuple[int | None, Target], asyncio.Future[None]] = {}
        self._asked: dict[int, asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._deaths: dict[int, asyncio.Future[Death]] = {}

    def take(self, note: Mapping[str, Any], files: Sequence[int]) -> bool:
        """Hear what the hub tells; whether it was for the engine."""
        if "worker" in note:
            self._run(self._connect(note["worker"], note["pid"], socket.socket(fileno=files[0])))
        elif "quarantined" in note:
            self._quarantine.hold(note["quarantined"])
        elif "died" in note:
            death = Death(**note["died"])
            told = self._deaths.get(death.pid)
            if told is not None and not told.done():
                told.set_result(death)
        elif "done" in note:
            asked = self._asked.pop(note["done"], None)
            if asked is not None and not asked.done():
                problem = note.get("problem")
                if problem is None:
                    asked.set_result(None)
                else:
                    asked.set_exception(from_problem(problem["status"], problem))
        else:
            return False
        return True

    async def start(self) -> None:
        """Nothing: the hub starts the workers, and tells of them.

        Raises:
            NotAvailable: The engine was stopped.
        """
        self._refuse_when_stopping()

    async def stop(self) -> None:
        """Refuse new requests, wait a while for those inside, let go of the workers."""
        await self._finish(self._drain_s)
        for post in self._posts:
            if post.link is not None:
                post.link.close()

    def status(self) -> EngineStatus:
        """How the workers are, as far as an outlet knows."""
        return EngineStatus(tuple(post.status() for post in self._posts), self._quarantine.held)

    async def load(self, target: Target) -> None:
        """Have the target loaded on one worker, and its ways to be called measured."""
        self._refuse_when_stopping()
        await asyncio.shield(self._loading(None, target))

    async def probe(self, digest: str, trunk_digest: str | None) -> tuple[ProbeResult, bytes | None]:
        """Refuse: the hub probes."""
        raise NotAvailable(f"An outlet probes nothing: neither {digest} nor a head of {trunk_digest}.")

    def _check(self, digests: Sequence[str]) -> None:
        self._quarantine.check(digests)

    def _spread(self, post: SharedPost, target: Target) -> None:
        self._loading(self._posts.index(post), target)

    async def _ensure(self, post: SharedPost, target: Target) -> None:
        if not all(digest in post.loaded for digest in target.digests):
            began = time.perf_counter()
            await asyncio.shield(self._loading(self._posts.index(post), target))
            note_load(time.perf_counter() - began)

    def _loading(self, position: int | None, target: Target) -> asyncio.Future[None]:
        key = (position, target)
        asked = self._loads.get(key)
        if asked is None:
            self._last_load += 1
            asked = self._loads[key] = self._asked[self._last_load] = asyncio.get_running_loop().create_future()
            asked.add_done_callback(partial(self._forget_load, key))
            named = (target.digest, target.trunk_digest, target.beside)
            self._send({"load": self._last_load, "worker": position, "target": named})
        return asked

    def _forget_load(self, key: tuple[int | None, Target], asked: asyncio.Future[None]) -> None:
        self._loads.pop(key, None)
        failure = None if asked.cancelled() else asked.exception()
        if failure is not None:
            _log.info("version.not_loaded", digest=key[1].digest, error=str(failure))

    async def _connect(self, position: int, pid: int, stream: socket.socket) -> None:
        """Ask a worker's new process from now on, and let go of the one before when it has answered."""
        post = self._posts[position]
        ready = asyncio.Event()
        self._deaths[pid] = asyncio.get_running_loop().create_future()

        def stuck() -> None:
            self._send({"stuck": position, "pid": pid})

        def end() -> None:
            ready.set()
            if post.link is link:
                post.link = None
                self._note_change()

        link = Link(
            grace_s=self._grace_s,
            on_stuck=stuck,
            on_news=lambda _news: ready.set(),
            on_end=end,
            inquest=partial(self._death_of, pid),
            device=post.device,
        )
        stream.setblocking(False)
        await link.connect(stream, Arena(stream))
        await ready.wait()
        if link.is_ended:
            return
        before, before_pid, post.link, post.pid = post.link, post.pid, link, pid
        self._note_change()
        if before is not None:
            await before.drain()
            before.close()
        self._deaths.pop(before_pid or 0, None)

    async def _death_of(self, pid: int) -> Death | None:
        """What a worker's process died of; None where the hub does not tell in time."""
        told = self._deaths.get(pid)
        if told is None:
            return None
        try:
            async with asyncio.timeout(_TOLD_WITHIN_S):
                return await told
        except TimeoutError:
            return None

    def _run(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
