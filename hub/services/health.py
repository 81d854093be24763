"""Health: what must work for the hub to work, whether it does, and what to do when it does not.

Law: a check never raises; an answer is at most :data:`FRESH_S` old, so asking often costs nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from hub.domain.errors import HubError, NotAvailable
from hub.engine.engine import Engine
from hub.protocol.schemas import Check, HubStatus
from hub.storage.blobs import BlobStore
from hub.storage.catalog import Catalog
from hub.telemetry import metrics

FRESH_S = 1.0
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Last:
    status: HubStatus | None = None
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Health:
    """The health use case; ``sandbox`` says what models are locked in by, or raises.

    ``counted_elsewhere`` has the metrics of other processes of this hub.
    """

    catalog: Catalog
    blobs: BlobStore
    engine: Engine
    sandbox: Callable[[], str]
    counted_elsewhere: Callable[[], list[bytes]] = list
    _last: _Last = field(default_factory=_Last, repr=False)

    def status(self) -> HubStatus:
        """Check database, storage, engine and sandbox."""
        if self._last.status is not None and time.monotonic() - self._last.at < FRESH_S:
            return self._last.status
        checks = (
            checked("database", self.catalog.check),
            checked("storage", self.blobs.check),
            checked("engine", self._check_engine),
            checked("sandbox", self.sandbox),
        )
        status = HubStatus(ok=all(check.ok for check in checks), checks=checks)
        self._last.status, self._last.at = status, time.monotonic()
        return status

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format, those of other processes added to them."""
        self._measure()
        return metrics.exposition(self.counted_elsewhere())

    def _measure(self) -> None:
        """Bring the metrics about workers up to date."""
        workers = self.engine.status().workers
        metrics.WORKERS.clear()
        for worker in workers:
            metrics.WORKERS.labels(worker.state).inc()
            metrics.WORKER_LOADED_BYTES.labels(worker.device).set(sum(worker.loaded.values()))
            metrics.WORKER_RESTARTS.labels(worker.device).set(worker.restarts)

    def _check_engine(self) -> None:
        status = self.engine.status()
        if status.is_ready:
            return
        states = ", ".join(f"{worker.device} is {worker.state}" for worker in status.workers) or "there are none"
        raise NotAvailable(
            f"No worker is ready: {states}.",
            remedy="Workers take some seconds to start; if they stay away, the log says why.",
        )


def checked(name: str, check: Callable[[], str | None], *, shows_inside: bool = False) -> Check:
    """Run one check, and say how it went and what it told.

    Args:
        name: What is checked.
        check: Raises where something is wrong; else tells what there is to know, if anything.
        shows_inside: Whether the answer is for those who run the hub, and may tell what others may not read.
    """
    try:
        told = check()
    except HubError as error:
        detail = error.detail
        if error.inside and shows_inside:
            detail = f"{detail} {error.inside}"
        elif error.inside:
            _log.error("check.failed", check=name, detail=detail, inside=error.inside)
        return Check(name=name, ok=False, detail=detail, remedy=error.remedy or "")
    except Exception as error:  # noqa: BLE001 - a check that breaks is itself the news
        _log.exception("check.broke", check=name)
        return Check(name=name, ok=False, detail=f"The check broke: {type(error).__name__}.")
    return Check(name=name, ok=True, detail=told or "")
