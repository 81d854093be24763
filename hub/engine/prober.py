"""The prober: has unknown versions loaded and called in throw-away processes.

A zygote imports TensorFlow once and forks a child per probe. Laws: whatever a probed version does to its process or to
the zygote becomes a result; what somebody else may have killed is tried once more; a zygote that died is replaced;
nothing a probe wrote is left behind.
"""

import asyncio
import shutil
import signal
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import structlog

from hub.domain.errors import NotAvailable, WorkerLost
from hub.domain.reports import ProbeResult
from hub.engine.link import Link
from hub.engine.process import Child, start_module
from hub.runtime.devices import Device
from hub.runtime.journal import Ending, read_outcome
from hub.runtime.limits import Limits
from hub.runtime.orders import Order
from hub.runtime.sandbox import Mode

_AT_ONCE = 2
_ATTEMPTS = 2
_START_S = 120.0
_LOST = Ending("lost")
_KILLED = Ending("signal", signal.SIGKILL)
_log = structlog.get_logger()


class Prober:
    """Runs probes one after the other, at most two at once."""

    def __init__(self, folder: Path, limits: Limits, sandbox: Mode = "auto") -> None:
        """Probe within ``limits`` and the sandbox, with working files below ``folder``."""
        self._folder = folder
        self._limits = limits
        self._sandbox: Mode = sandbox
        self._child: Child | None = None
        self._link: Link | None = None
        self._listening: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def probe(self, order: Order, trunk: Order | None) -> tuple[ProbeResult, bytes | None]:
        """Probe a version; for a head, on its trunk as well.

        Raises:
            NotAvailable: No process can be started.
        """
        out = self._folder / uuid4().hex
        async with self._slots:
            try:
                await asyncio.to_thread(out.mkdir, parents=True)
                ending = await self._run(order, trunk, out)
                return await asyncio.to_thread(read_outcome, out, ending)
            finally:
                await asyncio.to_thread(shutil.rmtree, out, ignore_errors=True)

    async def stop(self) -> None:
        """End the zygote, and with it every probe."""
        if self._link is not None:
            self._link.close()
        if self._listening is not None:
            await self._listening
        if self._child is not None:
            self._child.kill()
            await self._child.ended()
        self._child = self._link = self._listening = None

    async def _run(self, order: Order, trunk: Order | None, out: Path) -> Ending:
        header = {
            "op": "probe",
            "order": order.dump(),
            "trunk": trunk.dump() if trunk else None,
            "out": str(out),
            "limits": asdict(self._limits),
            "sandbox": self._sandbox,
        }
        # The zygote keeps the time itself; this deadline only covers a zygote that hangs.
        deadline_at = asyncio.get_running_loop().time() + _START_S + self._limits.wall_s
        ending = _LOST
        for _ in range(_ATTEMPTS):
            link = await self._started()
            try:
                async with asyncio.timeout_at(deadline_at):
                    reply = await link.call(header, (), deadline_at)
                ending = Ending(**reply.header["ending"])
            except WorkerLost:
                ending = _LOST
            except TimeoutError as error:
                raise NotAvailable("The process for probes does not answer.", remedy="Push again later.") from error
            if ending not in (_LOST, _KILLED):
                break
            _log.warning("probe.lost", digest=order.digest, ending=str(ending))
        return ending

    async def _started(self) -> Link:
        async with self._starting:
            if self._link is None or self._listening is None or self._listening.done():
                await self.stop()
                device = Device("cpu", 0)
                child = await start_module("zygote", "hub.runtime.zygote", [], device, self._folder)
                link = Link(grace_s=0.0, on_stuck=child.kill)
                await link.connect(child.socket)
                self._child, self._link = child, link
                self._listening = asyncio.create_task(link.listen())
            return self._link
