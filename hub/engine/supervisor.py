"""A supervised worker: started, watched, and started again when it dies, with a pause that grows.

A worker whose memory does not come back is replaced: a new process is started beside it and loads what it has loaded;
then requests go there, and the old one ends when those inside are answered.

Laws: requests go to one process at a time; a worker is ``ready`` from its first frame until its stream ends; whatever
ends the process by itself, every request inside fails as soon as it is known how it ended, and the next process knows
nothing of it; a replacement fails nobody, and one that cannot be had leaves the worker as it is.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from hub.domain.errors import HubError, NotAvailable
from hub.engine.engine import WorkerState, WorkerStatus
from hub.engine.inquest import Death, inquire, suspects
from hub.engine.link import Link
from hub.engine.process import Child, start_module
from hub.protocol.arena import Arena
from hub.runtime import locked
from hub.runtime.devices import Device
from hub.runtime.limits import AnswerLimits
from hub.runtime.marks import Running, read_marks
from hub.runtime.orders import Choice
from hub.runtime.sandbox import Mode

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
_HEALTHY_S = 60.0
_REPLACED_WITHIN_S = 600.0
_SETTLED_WITHIN_S = 300.0
_EXIT_KNOWN_WITHIN_S = 2.0
_WORTH_REPLACING_S = 600.0  # what has leaked so soon would leak again
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Batching:
    """How a worker may batch requests.

    Attributes:
        max_rows: Rows of the largest batch.
        delay_s: How long requests that are no full batch wait for others, even though the device is free.
    """

    max_rows: int = 64
    delay_s: float = 0.0


@dataclass(slots=True, eq=False)
class _Life:
    """A worker process and the link to it; ``ready`` once it has said hello, with what its versions may take.

    Others' links to it go in through its ``door``. ``death`` is what it died of, where it ended by itself.
    """

    child: Child
    link: Link
    door: socket.socket
    marks: Path
    began: float
    death: asyncio.Future[Death | None]
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    budget_bytes: int = 0


class Supervisor:
    """Keeps one worker process running on one device."""

    def __init__(
        self,
        device: Device,
        home: Path,
        *,
        budget_bytes: int | None,
        batching: Batching,
        grace_s: float,
        on_change: Callable[[], None],
        on_tuned: Callable[[str, Mapping[str, Choice]], None],
        on_death: Callable[[str], None],
        on_inquest: Callable[[Death], None] = lambda _death: None,
        prepare: Callable[[Link], Awaitable[None]],
        on_adopted: Callable[[], None] = lambda: None,
        answers: AnswerLimits,
        sandbox: Mode = "auto",
        reads: Sequence[Path] = (),
    ) -> None:
        """Prepare.

        Args:
            device: What the worker computes on.
            home: A folder of its own.
            budget_bytes: What its versions may take; None: a share of what there is.
            batching: How it may batch requests.
            grace_s: How long it may compute past a request's deadline before it is killed.
            on_change: Called whenever the worker becomes ready or ceases to be.
            on_tuned: Told how a version's signatures are called best on this device.
            on_death: Told of the version that ran when a process ended by itself or was stuck, where it was one.
            on_inquest: Told, a little later, what such a process died of.
            prepare: Has a process that takes another's place load what that one has loaded.
            on_adopted: Called when requests go to another process, so that others ask for a link to it.
            answers: What one of its answers may have.
            sandbox: Whether it is locked in.
            reads: The folders with what it is ordered to load.
        """
        self.device = device
        self._home = home
        self._wanted_budget_bytes = budget_bytes
        self._batching = batching
        self._grace_s = grace_s
        self._on_change = on_change
        self._on_tuned = on_tuned
        self._on_death = on_death
        self._on_inquest = on_inquest
        self._prepare = prepare
        self._on_adopted = on_adopted
        self._answers = answers
        self._sandbox: Mode = sandbox
        self._reads = tuple(reads)
        self._life: _Life | None = None
        self._lives: list[_Life] = []
        self._wants_another = asyncio.Event()
        self._state: WorkerState = "starting"
        self._restarts = 0
        self._is_stopping = False
        self._running: asyncio.Task[None] | None = None
        self._inquests: set[asyncio.Task[None]] = set()

    @property
    def link(self) -> Link | None:
        """Where requests go; None while no process is ready."""
        return self._life.link if self._life else None

    @property
    def loaded(self) -> Mapping[str, int]:
        """Bytes of each version that is loaded where requests go."""
        return self._life.link.loaded if self._life else {}

    def connect(self) -> socket.socket | None:
        """Another process's end of a stream to where requests go; None while no process is ready."""
        if self._life is None:
            return None
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self._life.door, [b"+"], [theirs.fileno()])
        except OSError:  # it has just ended, which is told elsewhere
            ours.close()
            return None
        finally:
            theirs.close()
        return ours

    def recycle(self) -> None:
        """Have the worker replaced by a new process, while it goes on serving."""
        self._wants_another.set()

    def start(self) -> None:
        """Begin to keep a worker running."""
        self._running = asyncio.create_task(self._keep_running())

    async def stop(self) -> None:
        """End the worker and do not start another."""
        self._is_stopping = True
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        self._enter("stopped")

    def status(self) -> WorkerStatus:
        """The worker as it is now."""
        return WorkerStatus(
            device=str(self.device),
            pid=living.child.pid if (living := self._life or next(iter(self._lives), None)) else None,
            state=self._state,
            loaded=dict(self.loaded),
            in_flight=self.link.in_flight if self.link else 0,
            restarts=self._restarts,
            budget_bytes=self._life.budget_bytes if self._life else None,
        )

    async def _keep_running(self) -> None:
        loop = asyncio.get_running_loop()
        pause_s = _FIRST_PAUSE_S
        while True:
            began = loop.time()
            try:
                await self._run()
            except Exception as error:  # noqa: BLE001 - whatever it is, another is tried
                _log.error("worker.failed", device=str(self.device), detail=repr(error))
            pause_s = _FIRST_PAUSE_S if loop.time() - began > _HEALTHY_S else pause_s
            self._restarts += 1
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _run(self) -> None:
        """Serve by one process, and then by those that take its place, until one ends by itself."""
        try:
            life = await self._begin(self._home)
            await _until_ready(life)
            self._adopt(life)
            while await self._wants_replacement(life):
                life = await self._replacement(life) or life
        finally:
            self._life = None
            self._enter("restarting")
            for each in list(self._lives):
                await self._end(each)

    async def _begin(self, home: Path) -> _Life:
        """Start a process."""
        batching = self._batching
        marks = home / "marks"
        door, inside = socket.socketpair()
        arguments = ["--device", str(self.device), "--marks", str(marks), "--door", str(inside.fileno())]
        arguments += ["--max-rows", str(batching.max_rows), "--delay-s", str(batching.delay_s)]
        arguments += ["--max-elements", str(self._answers.elements), "--max-bytes", str(self._answers.size_bytes)]
        if self._wanted_budget_bytes is not None:
            arguments += ["--budget-bytes", str(self._wanted_budget_bytes)]
        for folder in self._reads:  # only what is there already can be opened to a locked process
            await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        lock = locked.command(self._sandbox, home, self._reads, has_gpu=self.device.kind == "gpu")
        name, module = f"worker {self.device}", "hub.runtime.worker"
        try:
            child = await start_module(name, module, arguments, self.device, home, lock, [inside])
        except BaseException:
            door.close()
            raise
        finally:
            inside.close()
        link = Link(
            device=str(self.device),
            grace_s=self._grace_s,
            on_stuck=child.kill,
            on_news=lambda news: self._hear(life, news),
            on_end=lambda: self._lose(life),
            inquest=lambda: life.death,
        )
        loop = asyncio.get_running_loop()
        life = _Life(child, link, door, marks, loop.time(), loop.create_future())
        self._lives.append(life)
        await link.connect(child.socket, Arena(child.socket))
        return life

    async def _end(self, life: _Life) -> None:
        """End a process, whatever it does."""
        self._lives.remove(life)
        is_by_itself = life.link.is_ended and not self._is_stopping
        life.link.close()
        life.door.close()
        life.child.kill()
        code = await life.child.ended()
        level = logging.WARNING if is_by_itself else logging.INFO
        _log.log(level, "worker.ended", device=str(self.device), pid=life.child.pid, code=code)

    def _lose(self, life: _Life) -> None:
        """Send no more requests to a process that has ended, not even until that is dealt with."""
        is_by_itself = life in self._lives and not self._is_stopping
        if life is self._life:
            self._life = None
            self._enter("restarting")
        if not is_by_itself:
            life.death.set_result(None)
            return
        running = read_marks(life.marks)
        versions = suspects(running)
        _log.warning("worker.died", device=str(self.device), pid=life.child.pid, running=sorted(versions))
        if len(versions) == 1:  # of several, who has nothing to do with it would be blamed too
            self._on_death(*versions)
        task = asyncio.create_task(self._inquire(life, running))
        self._inquests.add(task)
        task.add_done_callback(self._inquests.discard)

    async def _inquire(self, life: _Life, running: Sequence[Running]) -> None:
        """Find out what a process died of, once the system tells how it ended."""
        code = await life.child.code(_EXIT_KNOWN_WITHIN_S)
        death = inquire(life.child.pid, code, running)
        life.death.set_result(death)
        self._on_inquest(death)

    def _adopt(self, life: _Life) -> None:
        """Send requests there from now on."""
        self._life = life
        self._wants_another.clear()
        _log.info("worker.ready", device=str(self.device), pid=life.child.pid, budget_bytes=life.budget_bytes)
        self._enter("ready")
        self._on_adopted()

    async def _wants_replacement(self, life: _Life) -> bool:
        """Wait until a process is to be replaced; False where it has ended."""
        ended = asyncio.ensure_future(life.link.listen())
        wanted = asyncio.ensure_future(self._wants_another.wait())
        try:
            await asyncio.wait((ended, wanted), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            wanted.cancel()
        self._wants_another.clear()
        return not life.link.is_ended

    async def _replacement(self, life: _Life) -> _Life | None:
        """Start a process, have it load what the present one has, and send requests there; None where it cannot be."""
        _log.info("worker.replacing", device=str(self.device), pid=life.child.pid)
        try:
            async with asyncio.timeout(_REPLACED_WITHIN_S):
                successor = await self._begin(self._home.with_name(f"{self._home.name}-{life.child.pid}"))
                await _until_ready(successor)
                await self._prepare(successor.link)
            if successor.link.is_ended:
                raise NotAvailable("The new worker ended before it was needed.")
        except Exception as error:  # noqa: BLE001 - whatever it is, the present one goes on serving
            _log.error("worker.not_replaced", device=str(self.device), reason=repr(error))
            for other in [other for other in self._lives if other is not life]:
                await self._end(other)
            life.began = asyncio.get_running_loop().time()  # not again at once
            return None
        self._adopt(successor)
        await self._settle(life)
        await self._end(life)
        return successor

    async def _settle(self, life: _Life) -> None:
        """Wait until nobody waits for a process any more, here or in other processes."""
        await life.link.drain()
        deadline_at = asyncio.get_running_loop().time() + _SETTLED_WITHIN_S
        with suppress(HubError, TimeoutError):  # it has ended, or somebody does not let go of it
            await life.link.call({"op": "settle"}, (), deadline_at)

    def _hear(self, life: _Life, news: Mapping[str, Any]) -> None:
        if "tuned" in news:
            choices = {name: Choice.parse(choice) for name, choice in news["choices"].items()}
            self._on_tuned(news["tuned"], choices)
        elif "leaked_bytes" in news:
            _log.warning("worker.leaks", device=str(self.device), pid=life.child.pid, bytes=news["leaked_bytes"])
            if life is self._life and asyncio.get_running_loop().time() - life.began > _WORTH_REPLACING_S:
                self.recycle()
        elif "budget_bytes" in news:
            life.budget_bytes = news["budget_bytes"]
            life.ready.set()

    def _enter(self, state: WorkerState) -> None:
        self._state = state
        self._on_change()


async def _until_ready(life: _Life) -> None:
    """Wait for a process's first frame.

    Raises:
        NotAvailable: It ended before.
    """
    ready, ended = asyncio.ensure_future(life.ready.wait()), asyncio.ensure_future(life.link.listen())
    try:
        await asyncio.wait((ready, ended), return_when=asyncio.FIRST_COMPLETED)
    finally:
        ready.cancel()
        ended.cancel()
    if not life.ready.is_set():
        raise NotAvailable("A worker ended before it was ready.")
