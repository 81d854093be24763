"""A supervised worker: started, watched, and started again when it dies, with a pause that grows.

Laws: at most one process at a time; a worker is ``ready`` from its first frame until its stream ends; whatever ends the
process, every request inside fails at once and the next process knows nothing of it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from hub.domain.errors import HubError, NotAvailable
from hub.engine.engine import WorkerState, WorkerStatus
from hub.engine.link import Link
from hub.engine.process import Child, start_module
from hub.runtime.devices import Device
from hub.runtime.orders import Choice

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
_HEALTHY_S = 60.0
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
        """
        self.device = device
        self.loaded: dict[str, int] = {}
        self.link: Link | None = None
        self._home = home
        self._wanted_budget_bytes = budget_bytes
        self._budget_bytes: int | None = None
        self._batching = batching
        self._grace_s = grace_s
        self._on_change = on_change
        self._on_tuned = on_tuned
        self._child: Child | None = None
        self._state: WorkerState = "starting"
        self._restarts = 0
        self._is_stopping = False
        self._running: asyncio.Task[None] | None = None

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
            pid=self._child.pid if self._child else None,
            state=self._state,
            loaded=dict(self.loaded),
            in_flight=self.link.in_flight if self.link else 0,
            restarts=self._restarts,
            budget_bytes=self._budget_bytes,
        )

    async def _keep_running(self) -> None:
        loop = asyncio.get_running_loop()
        pause_s = _FIRST_PAUSE_S
        while True:
            began = loop.time()
            try:
                await self._run_once()
            except HubError as error:
                _log.error("worker.failed", device=str(self.device), detail=str(error))
            pause_s = _FIRST_PAUSE_S if loop.time() - began > _HEALTHY_S else pause_s
            self._restarts += 1
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _run_once(self) -> None:
        batching = self._batching
        arguments = ["--device", str(self.device)]
        arguments += ["--max-rows", str(batching.max_rows), "--delay-s", str(batching.delay_s)]
        if self._wanted_budget_bytes is not None:
            arguments += ["--budget-bytes", str(self._wanted_budget_bytes)]
        name = f"worker {self.device}"
        child = self._child = await start_module(name, "hub.runtime.worker", arguments, self.device, self._home)
        link = Link(grace_s=self._grace_s, on_stuck=child.kill, on_news=lambda news: self._hear(child, link, news))
        try:
            await link.connect(child.socket)
            await link.listen()
            if self.link is None:
                raise NotAvailable(f"The worker of {self.device} ended before it was ready.")
        finally:
            self.link, self.loaded, self._child = None, {}, None
            self._enter("restarting")
            link.close()
            child.kill()
            code = await child.ended()
            level = logging.INFO if self._is_stopping else logging.WARNING
            _log.log(level, "worker.ended", device=str(self.device), pid=child.pid, code=code)

    def _hear(self, child: Child, link: Link, news: Mapping[str, Any]) -> None:
        if "tuned" in news:
            choices = {name: Choice.parse(choice) for name, choice in news["choices"].items()}
            self._on_tuned(news["tuned"], choices)
            return
        self._budget_bytes = news["budget_bytes"]
        self.link = link
        _log.info("worker.ready", device=str(self.device), pid=child.pid, budget_bytes=self._budget_bytes)
        self._enter("ready")

    def _enter(self, state: WorkerState) -> None:
        self._state = state
        self._on_change()
