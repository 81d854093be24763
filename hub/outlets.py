"""Outlets: further processes that answer predictions at the hub's own address, where one process has not time enough.

Reading requests and writing answers keeps one core busy; with more cores, more processes do it. Each asks the workers
itself (`hub.engine.shared`), and gives every connection that wants something else to the hub (`hub.api.handover`).

Laws: the hub is whole without them; one that ends is started again, with a pause that grows; stopping lets the requests
inside them finish before the workers end.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from hub.engine.local import LocalEngine
from hub.engine.process import Child
from hub.engine.shared import Share
from hub.protocol.packets import Packets, socketpair
from hub.settings import Settings

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
_HEALTHY_S = 60.0
_METRICS_WITHIN_S = 2.0
_log = structlog.get_logger(__name__)
Adopt = Callable[[bytes, int], Coroutine[Any, Any, None]]


class Outlets:
    """Keeps a number of outlets running."""

    def __init__(self, settings: Settings, engine: LocalEngine, size: int) -> None:
        """Prepare ``size`` outlets that ask the workers of ``engine``."""
        self._settings = settings
        self._engine = engine
        self._size = size
        self._living: list[_Outlet] = []
        self._running: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, listener: socket.socket, adopt: Adopt) -> None:
        """Start them.

        Args:
            listener: Where they take connections.
            adopt: Answers a connection that one of them gives away: what was read of it, and its descriptor.
        """
        self._loop = asyncio.get_running_loop()
        self._running = [asyncio.create_task(self._keep_running(listener, adopt)) for _ in range(self._size)]

    async def stop(self) -> None:
        """Have them finish what they are at, and end."""
        for outlet in self._living:
            outlet.finish()
        ended = [outlet.ended() for outlet in self._living]
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        try:
            await asyncio.wait_for(asyncio.gather(*ended), self._settings.drain_s + 2)
        except TimeoutError:
            _log.warning("outlets.drain_incomplete")
        for outlet in self._living:
            outlet.kill()

    def metrics(self) -> list[bytes]:
        """What each of them has counted, as Prometheus reads it. Not on the event loop."""
        if self._loop is None:
            return []
        asked = asyncio.run_coroutine_threadsafe(self._metrics(), self._loop)
        return asked.result(_METRICS_WITHIN_S + 1)

    async def _metrics(self) -> list[bytes]:
        asked = [asyncio.wait_for(outlet.metrics(), _METRICS_WITHIN_S) for outlet in self._living]
        found = await asyncio.gather(*asked, return_exceptions=True)
        return [text for text in found if isinstance(text, bytes)]

    async def _keep_running(self, listener: socket.socket, adopt: Adopt) -> None:
        loop = asyncio.get_running_loop()
        pause_s = _FIRST_PAUSE_S
        while True:
            began = loop.time()
            try:
                outlet = await _begin(self._settings, self._engine, listener, adopt)
            except OSError as error:
                _log.error("outlet.not_started", reason=str(error))
            else:
                self._living.append(outlet)
                code = await outlet.ended()
                self._living.remove(outlet)
                _log.warning("outlet.ended", pid=outlet.child.pid, code=code)
            pause_s = _FIRST_PAUSE_S if loop.time() - began > _HEALTHY_S else pause_s
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


class _Outlet:
    """One outlet's process, and what is told to it and by it."""

    def __init__(self, child: Child, engine: LocalEngine, adopt: Adopt) -> None:
        self.child = child
        self._adopt = adopt
        self._packets = Packets(child.socket, self._take, self._end)
        self._share: Share | None = None
        self._engine = engine
        self._pieces: list[bytes] = []
        self._counted: list[asyncio.Future[bytes]] = []
        self._adopting: set[asyncio.Task[None]] = set()

    def begin(self, settings: Settings) -> None:
        """Tell it what it needs to know, and of the workers from now on."""
        devices = [worker.device for worker in self._engine.status().workers]
        self._packets.send({"settings": settings.model_dump_json(), "devices": devices})
        self._share = Share(self._engine, self._packets.send)

    def finish(self) -> None:
        """Have it take no more connections, answer those it has, and end."""
        self._packets.send({"finish": True})

    def kill(self) -> None:
        self.child.kill()

    async def ended(self) -> int:
        """Wait until the process has ended; gives its exit code."""
        code = await self.child.ended()
        self._packets.close()
        self._end()
        return code

    async def metrics(self) -> bytes:
        counted: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._counted.append(counted)
        self._packets.send({"count": True})
        return await counted

    def _take(self, note: dict[str, Any], data: bytes, files: list[int]) -> None:
        if "connection" in note:
            self._pieces.append(data)
            if files:
                whole, self._pieces = b"".join(self._pieces), []
                self._run(self._adopt(whole, files[0]))
        elif "counted" in note:
            with os.fdopen(files[0], "rb") as counted:
                text = counted.read()
            for asked in self._counted:
                if not asked.done():
                    asked.set_result(text)
            self._counted.clear()
        elif self._share is not None:
            self._share.take(note)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._adopting.add(task)
        task.add_done_callback(self._adopted)

    def _adopted(self, task: asyncio.Task[None]) -> None:
        self._adopting.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.info("connection.not_adopted", reason=repr(task.exception()))

    def _end(self) -> None:
        if self._share is not None:
            self._share.close()
            self._share = None
        for asked in self._counted:
            asked.cancel()
        self._counted.clear()


async def _begin(settings: Settings, engine: LocalEngine, listener: socket.socket, adopt: Adopt) -> _Outlet:
    ours, theirs = socketpair()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "hub.outlet", "--fd", str(theirs.fileno()), "--listener", str(listener.fileno())),
            *("--parent", str(os.getpid())),
            pass_fds=[theirs.fileno(), listener.fileno()],
            start_new_session=True,  # Ctrl-C in a terminal is for the hub, which lets requests inside finish
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    outlet = _Outlet(Child("outlet", process, ours), engine, adopt)
    outlet.begin(settings)
    return outlet
