"""An outlet's process (``python -m hub.outlet``): answers predictions at the hub's address; see `hub.outlets`.

What it needs to know it is told over an inherited socket. It has the services that predictions need, over the same
database and storage as the hub, and asks the same workers.
"""

import argparse
import asyncio
import gc
import os
import socket
from functools import partial
from typing import Any

import structlog
import uvicorn
import uvloop

from hub.api.app import create_outlet_app
from hub.api.handover import OutletConnection
from hub.engine.shared import OutletEngine
from hub.protocol.packets import MAX_BYTES, Packets
from hub.runtime.limits import die_with_parent
from hub.server import furnish, server_config
from hub.settings import Settings
from hub.storage.blobs import open_store
from hub.storage.catalog import Catalog
from hub.storage.snapshots import Snapshots
from hub.telemetry import metrics, tracing
from hub.telemetry.logging import configure_logging

_log = structlog.get_logger(__name__)


class Outlet:
    """One outlet; whole from the hub's first note on."""

    def __init__(self, connected: socket.socket, listener: socket.socket) -> None:
        """Listen to the hub; once it has told how, answer at ``listener``."""
        self._listener = listener
        self._packets = Packets(connected, self._take, _hub_is_gone)
        self._engine: OutletEngine | None = None
        self._server: uvicorn.Server | None = None
        self._begun = asyncio.Event()

    async def serve(self) -> None:
        """Answer until the hub says that it is enough."""
        await self._begun.wait()
        if self._server is not None and self._engine is not None:
            await self._server.serve(sockets=[self._listener])
            await self._engine.stop()

    def _take(self, note: dict[str, Any], _data: bytes, files: list[int]) -> None:
        if "settings" in note:
            self._begin(Settings.model_validate_json(note["settings"]), note["devices"])
        elif "finish" in note and self._server is not None:
            self._server.should_exit = True
        elif "count" in note:
            self._count()
        elif self._engine is not None:
            self._engine.take(note, files)

    def _begin(self, settings: Settings, devices: list[str]) -> None:
        configure_logging(settings.log_format, settings.log_level)
        tracing.start()
        self._engine = OutletEngine(
            devices, self._packets.send, max_in_flight=settings.requests_in_flight, drain_s=settings.drain_s
        )
        catalog, blobs = Catalog(settings.database), open_store(settings.storage)
        # Manifests are read here, and no files: those are the hub's, which alone uses the folder.
        house = furnish(settings, catalog, blobs, Snapshots(blobs, settings.data_path / "snapshots"), self._engine)
        config = server_config(create_outlet_app(house), settings, partial(OutletConnection, self._hand_over))
        self._server = uvicorn.Server(config)
        self._begun.set()
        # What was imported stays: the collector need not walk it again and again, while everybody waits.
        gc.collect()
        gc.freeze()
        _log.info("outlet.started", pid=os.getpid())

    def _hand_over(self, data: bytes, file: int) -> None:
        pieces = [data[at : at + MAX_BYTES] for at in range(0, len(data), MAX_BYTES)]
        for piece in pieces[:-1]:
            self._packets.send({"connection": True}, piece)
        self._packets.send({"connection": True}, pieces[-1], [file])

    def _count(self) -> None:
        file = os.memfd_create("metrics")
        with os.fdopen(os.dup(file), "wb") as counted:
            counted.write(metrics.exposition())
        os.lseek(file, 0, os.SEEK_SET)
        self._packets.send({"counted": True}, files=[file])


def _hub_is_gone() -> None:
    os._exit(0)


async def run(options: argparse.Namespace) -> None:
    """Be an outlet until the hub has had enough of it."""
    await Outlet(socket.socket(fileno=options.fd), socket.socket(fileno=options.listener)).serve()


def main() -> None:
    """Run an outlet for the hub that started this process."""
    parser = argparse.ArgumentParser(prog="hub.outlet", description="Answer predictions.")
    parser.add_argument("--fd", type=int, required=True, help="connected socket, inherited")
    parser.add_argument("--listener", type=int, required=True, help="listening socket, inherited")
    parser.add_argument("--parent", type=int, required=True, help="process to die with")
    options = parser.parse_args()
    die_with_parent(options.parent)
    uvloop.run(run(options))


if __name__ == "__main__":
    main()
