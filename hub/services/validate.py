"""Validate: make a pushed version ready or rejected.

A version that is ``validating`` is loaded and called in a throw-away process (the probe), its report is completed, it
gets its interface number, and only then people find it by name.

Laws: a version is rejected only for what it did itself; a worker that was lost is tried again (at most
:data:`MAX_LOST` times: a model may well be what kills it); what a crash left validating is taken up at the next start;
versions of one model are finished one after the other; one that was pushed on condition that it breaks no caller is
rejected where it does, by what the hub itself saw of it and of the version that is newest at that moment.
"""

import asyncio
from dataclasses import dataclass, field

import structlog

from hub.domain.digests import digest_of
from hub.domain.errors import HubError, NotAvailable, NotFound, WorkerLost
from hub.domain.interfaces import InterfaceChange, breaking, compare, compared_with, next_interface
from hub.domain.names import ModelName
from hub.domain.reports import Finding, ProbeResult, Report, Severity, Verdict
from hub.domain.versions import State, Version
from hub.engine.engine import Engine
from hub.savedmodel.inspect import merge_probe
from hub.services.changes import note_verdict, note_wanted_moves
from hub.services.contracts import contract
from hub.storage.blobs import BlobStore
from hub.storage.catalog import Catalog, Transaction, VersionRecord
from hub.telemetry import metrics

MAX_LOST = 5
AT_ONCE = 2
POLL_S = 5.0
PAUSE_S = 1.0
BREAKS = "interface.breaks"
_NEWEST = 1_000
_SHOWN_BREAKS = 10
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Bell:
    """Lets any thread end the watcher's wait."""

    loop: asyncio.AbstractEventLoop | None = None
    rung: asyncio.Event | None = None

    def ring(self) -> None:
        if self.loop is not None and self.rung is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.rung.set)

    async def wait(self, timeout_s: float) -> None:
        if self.rung is None:
            self.loop, self.rung = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with asyncio.timeout(timeout_s):
                await self.rung.wait()
        except TimeoutError:
            return
        finally:
            self.rung.clear()


@dataclass(frozen=True, slots=True)
class Validations:
    """The validation use case."""

    catalog: Catalog
    blobs: BlobStore
    engine: Engine
    _bell: _Bell = field(default_factory=_Bell, repr=False)
    _lost: dict[str, int] = field(default_factory=dict, repr=False)
    _postponed: dict[str, int] = field(default_factory=dict, repr=False)

    def wake(self) -> None:
        """Tell the watcher that there is something to do; from any thread."""
        self._bell.ring()

    async def watch(self) -> None:
        """Finish whatever is validating, until cancelled."""
        running: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                for version in await self._pending():
                    if len(running) < AT_ONCE and version.model not in running:
                        running[version.model] = asyncio.create_task(self._attempt(version))
                await self._bell.wait(POLL_S)
                running = {model: task for model, task in running.items() if not task.done()}
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)

    async def run(self, version: Version) -> Version:
        """Validate one version.

        Raises:
            NotAvailable: The engine, the database or the store is away; the version stays as it is.
        """
        name = ModelName.parse(version.model)
        record = await asyncio.to_thread(self._record, name, version.number)
        if record.version.state is not State.VALIDATING:
            return record.version
        trunk = record.manifest.trunk
        probe, golden = await self._probe(version, trunk.digest if trunk else None)
        return await asyncio.to_thread(self._finish, record, probe, golden)

    async def _pending(self) -> list[Version]:
        try:
            return await asyncio.to_thread(self._validating)
        except HubError as error:
            _log.warning("validation.waits", reason=str(error))
        except Exception:  # noqa: BLE001 - without the watch nothing would ever become ready again
            _log.exception("validation.waits")
        return []

    async def _attempt(self, version: Version) -> None:
        try:
            done = await self.run(version)
        except NotFound:
            _log.info("version.removed", version=version.reference)
        except NotAvailable as error:
            self._postponed[version.digest] = self._postponed.get(version.digest, 0) + 1
            _log.warning("validation.postponed", version=version.reference, reason=str(error))
            await asyncio.sleep(PAUSE_S)
        except Exception:  # noqa: BLE001 - one version must not end the watch for all others
            self._lost[version.digest] = self._lost.get(version.digest, 0) + 1
            _log.exception("validation.failed", version=version.reference)
            await asyncio.sleep(PAUSE_S)
        else:
            self._lost.pop(version.digest, None)
            self._postponed.pop(version.digest, None)
            metrics.VALIDATIONS.labels(done.state.value).inc()
            _log.info("version.validated", version=done.reference, state=done.state.value, interface=done.interface)
        self._bell.ring()

    async def _probe(self, version: Version, trunk_digest: str | None) -> tuple[ProbeResult, bytes | None]:
        if self._lost.get(version.digest, 0) >= MAX_LOST:
            return _gave_up(), None
        try:
            return await self.engine.probe(version.digest, trunk_digest)
        except WorkerLost:
            self._lost[version.digest] = self._lost.get(version.digest, 0) + 1
            raise

    def _validating(self) -> list[Version]:
        with self.catalog.read() as tx:
            validating = tx.validating()
        # Those that keep being postponed go last, or two of them would hold up everybody else.
        return sorted(validating, key=lambda version: self._postponed.get(version.digest, 0))

    def _record(self, name: ModelName, number: int) -> VersionRecord:
        with self.catalog.read() as tx:
            return tx.record(name, number)

    def _finish(self, record: VersionRecord, probe: ProbeResult, golden: bytes | None) -> Version:
        name = ModelName.parse(record.version.model)
        golden_digest = self._keep_golden(name, record.version.number, golden) if golden is not None else None
        probe = probe.model_copy(update={"golden_digest": golden_digest})
        report = merge_probe(record.report, probe, record.manifest.tuning_face)
        with self.catalog.begin() as tx:
            current = tx.version(name, record.version.number)
            if current.state is not State.VALIDATING:
                return current
            report, interface = _with_interface(tx, name, record, report)
            wanted, before = tx.wanted_aliases(name, current.number), tx.aliases(name)
            done = tx.finish_version(
                name,
                record.version.number,
                state=State.READY if report.is_accepted else State.REJECTED,
                report=report,
                interface=interface,
                golden_digest=golden_digest,
            )
            note_verdict(tx, done, report)
            note_wanted_moves(tx, name, done, wanted, before)
            return done

    def _keep_golden(self, name: ModelName, number: int, golden: bytes) -> str:
        digest = digest_of(golden)
        with self.catalog.begin() as tx:
            tx.version(name, number)
            tx.lease_for_version(name, number, digest)
        self.blobs.put(digest, [golden], len(golden))
        with self.catalog.begin() as tx:
            tx.note_stored_for(name, digest, len(golden))
        return digest


def _gave_up() -> ProbeResult:
    finding = Finding(
        rule="probe.worker-lost",
        severity=Severity.ERROR,
        message=f"The process that probes versions was lost {MAX_LOST} times while it ran this one.",
        remedy="See the hub's log; push again once the cause is known.",
    )
    return ProbeResult(loader=None, findings=(finding,))


def _with_interface(
    tx: Transaction, name: ModelName, record: VersionRecord, report: Report
) -> tuple[Report, int | None]:
    """The interface number an accepted version gets; or the report that rejects it because it may break nobody."""
    if not report.is_accepted:
        return report, None
    versions = tx.versions(name, before=None, limit=_NEWEST)
    before = compared_with(versions)
    changes = _changes(tx, before, record)
    if before is not None and breaking(changes) and tx.keeps_interface(name, record.version.number):
        return _refused(report, before.reference, breaking(changes)), None
    return report, next_interface(versions, changes)


def _changes(tx: Transaction, before: Version | None, record: VersionRecord) -> list[InterfaceChange]:
    """What the version changes for callers of the one it is held against."""
    if before is None:
        return []
    old = tx.record(ModelName.parse(before.model), before.number).manifest
    return compare(contract(tx, old), contract(tx, record.manifest))


def _refused(report: Report, before: str, breaks: list[InterfaceChange]) -> Report:
    """The report of a version that was pushed on condition that it breaks no caller, and does."""
    shown = "; ".join(f"{change.message} ({change.rule})" for change in breaks[:_SHOWN_BREAKS])
    more = f"; and {len(breaks) - _SHOWN_BREAKS:,} more" if len(breaks) > _SHOWN_BREAKS else ""
    message = f"It breaks callers of {before}, and was pushed on condition that it does not: {shown}{more}."
    remedy = "Keep what callers depend on, or push without --no-break: they then stay with the interface before."
    finding = Finding(rule=BREAKS, severity=Severity.ERROR, message=message, remedy=remedy)
    reasons = (*report.servable.reasons, message)
    verdict = Verdict(answer="no", reasons=reasons)
    return report.model_copy(update={"findings": (finding, *report.findings), "servable": verdict})
