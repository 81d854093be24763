"""The composition root: settings → stores → engine → services → application, and the process that serves it.

Laws: nothing is created before the address is ours; the administrator's token is made once and shown once; SIGTERM and
Ctrl-C let requests under way finish; whatever keeps the hub from starting is one error with a remedy.
"""

import errno
import fcntl
import gc
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import structlog
import uvicorn
from starlette.types import ASGIApp

from hub.api.app import create_app
from hub.api.connection import Connection
from hub.api.facades import oip_rpc, tfserving_rpc
from hub.api.facades.rpc import rpc_server
from hub.api.handover import adopt
from hub.api.patience import patience_of
from hub.client.config import save_credentials
from hub.domain.errors import Conflict, HubError, NotAvailable
from hub.engine.engine import Engine
from hub.engine.local import LocalEngine
from hub.engine.supervisor import Batching
from hub.maintenance import open_sweeps, require_worker, unusable
from hub.outlets import Outlets
from hub.runtime import sandbox
from hub.runtime.devices import find_devices
from hub.runtime.limits import AnswerLimits, Limits
from hub.services.access import Access
from hub.services.aliases import Aliases
from hub.services.attestations import Attestations
from hub.services.audit import Audits
from hub.services.browse import Browse
from hub.services.curves import Curves
from hub.services.diff import Diffs
from hub.services.drift import Drifts
from hub.services.families import Families
from hub.services.health import Health
from hub.services.house import House
from hub.services.openid import OpenIdProvider
from hub.services.people import People
from hub.services.predict import Predictions
from hub.services.principals import KnownPrincipals
from hub.services.pull import Pulls
from hub.services.push import Pushes
from hub.services.rates import Rates, Shares
from hub.services.remove import Removals
from hub.services.sign_in import SignIns
from hub.services.tallies import Tallies
from hub.services.validate import Validations
from hub.services.yank import Yanks
from hub.settings import Settings
from hub.storage.blobs import BlobStore, open_store
from hub.storage.catalog import Catalog
from hub.storage.snapshots import Snapshots
from hub.telemetry import tracing
from hub.telemetry.logging import configure_logging
from hub.web import pages

KEEP_ALIVE_S = 30
BACKLOG = 2048
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - recognised, not chosen
_log = structlog.get_logger(__name__)


def run(settings: Settings) -> None:
    """Serve until told to stop.

    Raises:
        Conflict: The address or the data folder is in use.
        NotAvailable: The database, the storage or the disk cannot be used, or the sandbox that is required.
        ExtraMissing: TensorFlow is not installed.
    """
    configure_logging(settings.log_format, settings.log_level)
    tracing.start()
    require_worker()
    _log.info("sandbox.chosen", mode=settings.sandbox, holds=sandbox.in_force(settings.sandbox))
    with _listening(settings) as listener, _owned(settings.data_path), _run_folder(settings.data_path) as run_folder:
        url = _url(settings, listener)
        catalog = Catalog(settings.database)
        try:
            catalog.migrate()
            blobs = open_store(settings.storage)
            snapshots = open_snapshots(settings, blobs)
            engine = local_engine(settings, catalog, snapshots, run_folder)
            outlets = Outlets(settings, engine, settings.outlets)
            house = furnish(settings, catalog, blobs, snapshots, engine, outlets.metrics)
            _welcome_administrator(house, url)
            _serve(house, listener, url, outlets)
        finally:
            catalog.close()
            tracing.stop()


def furnish(
    settings: Settings,
    catalog: Catalog,
    blobs: BlobStore,
    snapshots: Snapshots,
    engine: Engine,
    counted_elsewhere: Callable[[], list[bytes]] = list,
) -> House:
    """Make the services over stores and an engine; see ``Health`` for the last."""
    known = KnownPrincipals()
    return House(
        settings=settings,
        engine=engine,
        access=Access(catalog, settings.anonymous_policy, known),
        people=People(catalog, known),
        sign_ins=SignIns(catalog, known, _provider(settings)),
        audits=Audits(catalog),
        browse=Browse(catalog, engine),
        diffs=Diffs(catalog, Drifts(blobs)),
        families=Families(catalog),
        aliases=Aliases(catalog),
        attestations=Attestations(catalog),
        yanks=Yanks(catalog),
        removals=Removals(catalog, snapshots),
        pushes=Pushes(catalog, blobs, snapshots, is_relayed=settings.relay),
        validations=Validations(catalog, blobs, engine),
        pulls=Pulls(catalog, blobs, is_relayed=settings.relay),
        curves=Curves(catalog),
        tallies=Tallies(catalog),
        sweeps=open_sweeps(settings, catalog, blobs),
        health=Health(catalog, blobs, engine, partial(sandbox.in_force, settings.sandbox), counted_elsewhere),
        predictions=Predictions(catalog, snapshots, engine, Shares(settings.share_in_flight)),
        rates=Rates(settings.rate_per_s, settings.rate_burst),
    )


def _provider(settings: Settings) -> OpenIdProvider | None:
    """Where people may sign in besides here."""
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    secret = settings.oidc_client_secret
    return OpenIdProvider(
        settings.oidc_issuer.rstrip("/"), settings.oidc_client_id, secret.get_secret_value() if secret else ""
    )


def open_snapshots(settings: Settings, blobs: BlobStore) -> Snapshots:
    """The snapshots on this machine, without what a killed hub left half made."""
    snapshots = Snapshots(blobs, settings.data_path / "snapshots", budget_bytes=settings.snapshot_budget_bytes)
    snapshots.sweep()
    return snapshots


def local_engine(settings: Settings, catalog: Catalog, snapshots: Snapshots, run_folder: Path) -> LocalEngine:
    """The engine on this machine: one worker for each device."""

    def golden(digest: str) -> bytes | None:
        with catalog.read() as tx:
            stored = tx.golden_digest(digest)
        return None if stored is None else b"".join(snapshots.blobs.open(stored))

    return LocalEngine(
        snapshots,
        devices=_devices(settings),
        run_dir=run_folder,
        tuned_dir=settings.data_path / "tuned",
        golden=golden,
        memory_budget_bytes=settings.memory_budget_bytes,
        batching=Batching(settings.batch_max_rows, settings.batch_delay_ms / 1_000),
        max_in_flight=settings.requests_in_flight,
        drain_s=settings.drain_s,
        probe_limits=Limits(wall_s=settings.probe_timeout_s),
        answers=AnswerLimits(settings.answer_max_elements, settings.answer_max_bytes),
        sandbox=settings.sandbox,
    )


def _devices(settings: Settings) -> list[str]:
    found = list(settings.devices) or find_devices()
    if settings.workers is None:
        return found
    return [found[index % len(found)] for index in range(settings.workers)]


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """Our address, taken before anything else is done."""
    with _listener(settings.host, settings.port, "--port") as listener:
        # gRPC opens its port itself, later: that this will go well is all that can be known now.
        _listener(settings.host, settings.rpc_port, "HUB_GRPC_PORT").close()
        yield listener


def _listener(host: str, port: int, option: str) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                f"{host}:{port} is in use by another program.", remedy=f"Choose another with {option}."
            ) from error
        reason = str(error.strerror or error).partition(" (")[0]  # Python adds the address in brackets
        raise NotAvailable(
            f"The hub cannot listen on {host}:{port}: {reason}.", remedy=f"Choose another with --host or {option}."
        ) from error


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """The data folder, for this process alone; the system frees it when the process dies."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(folder / "hub.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise unusable(folder, error) from error
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Conflict(f"Another hub uses {folder}.", remedy="Stop it, or choose another with --data-dir.") from error


@contextmanager
def _run_folder(data: Path) -> Iterator[Path]:
    """Where child processes work: empty at the start, whatever a killed hub left there, and gone at the end."""
    folder = data / "run"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _url(settings: Settings, listener: socket.socket) -> str:
    host = "127.0.0.1" if settings.host in _EVERYWHERE else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _welcome_administrator(house: House, url: str) -> None:
    """On the first start: make the administrator's token, show it this once, and keep it for this account's CLI."""
    created = house.access.create_first()
    if created is None:
        return
    print(f"Admin token, shown this once: {created.secret}", flush=True)  # noqa: T201 - for the person who starts it
    try:
        kept = save_credentials(url, created.secret)
    except (HubError, OSError) as error:
        _log.warning("credentials.unsaved", reason=str(error))
    else:
        print(f"Kept for this account's commands in {kept}", flush=True)  # noqa: T201 - for the person who starts it


class _Server(uvicorn.Server):
    """Serves gRPC too, keeps the outlets, and says where it is once it is there."""

    def __init__(self, config: uvicorn.Config, url: str, house: House, outlets: Outlets) -> None:
        super().__init__(config)
        self._outlets = outlets
        self.url = url
        self._house = house
        self._rpc: grpc.aio.Server | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        if not self.started:
            return
        rpc_port = await self._open_rpc()
        if sockets:
            self._outlets.start(sockets[0], partial(adopt, self, patience_of(self._house.settings)))
        # What was imported stays: the collector need not walk it again and again, while everybody waits.
        gc.collect()
        gc.freeze()
        # Written at once, so that nothing another thread logs gets between.
        places = f"Trunk Hub is at {self.url}\ngRPC is at {urlsplit(self.url).hostname}:{rpc_port}\n"
        print(places, end="", flush=True)  # noqa: T201 - for the person who starts it
        _log.info("server.started", url=self.url, grpc_port=rpc_port)

    async def _open_rpc(self) -> int:
        settings = self._house.settings
        self._rpc = rpc_server(self._house, tfserving_rpc.methods() | oip_rpc.methods())
        host = settings.host or "0.0.0.0"  # noqa: S104 - what "" means for HTTP
        place = f"[{host}]" if ":" in host else host
        port = self._rpc.add_insecure_port(f"{place}:{settings.rpc_port}")
        await self._rpc.start()
        return port

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let what is under way finish: outlets and gRPC first, because the engine ends with the rest."""
        self._house.closing.set()
        await self._outlets.stop()
        if self._rpc is not None:
            await self._rpc.stop(self._house.settings.drain_s)
        await super().shutdown(sockets)


def server_config(app: ASGIApp, settings: Settings, connection: Any, *, has_life: bool = False) -> uvicorn.Config:
    """How HTTP is served; ``has_life`` where the application starts and stops something."""
    patient: Any = partial(connection, patience=patience_of(settings))
    return uvicorn.Config(
        app,
        http=patient,
        loop="uvloop",
        ws="none",
        lifespan="on" if has_life else "off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.drain_s,
    )


def _serve(house: House, listener: socket.socket, url: str, outlets: Outlets) -> None:
    app = create_app(house, pages.routes(house))
    config = server_config(app, house.settings, Connection, has_life=True)
    # uvicorn drains at these signals, then raises them again: here they have done their work by then.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _already_drained)
    server = _Server(config, url, house, outlets)
    server.run(sockets=[listener])
    _log.info("server.stopped")
    if not server.started:
        raise NotAvailable("The hub could not start.", remedy="Its log says why.")


def _already_drained(_number: int, _frame: object) -> None:
    """Leave the rest of the way out to the code that follows."""
