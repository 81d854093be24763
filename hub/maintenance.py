"""What an administrator does on the hub's own machine, whether or not a hub is running: each verb opens what it needs.

Law: nothing here changes what a running hub relies on behind its back; what both touch is settled in the database.
"""

import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from hub.domain.access import HUB
from hub.domain.audit import AuditEntry
from hub.domain.errors import ExtraMissing, NotAvailable
from hub.protocol.codecs.audit_rows import csv_lines
from hub.protocol.schemas import HubStatus, SweepReport
from hub.protocol.upkeep import BackupFacts, DeepReport, Quota, RestoreReport
from hub.runtime import sandbox
from hub.runtime.devices import find_devices
from hub.services.attestations import Attestations
from hub.services.audit import Audits
from hub.services.backup import Backups
from hub.services.deep_check import DeepChecks, ShowBytes
from hub.services.health import checked
from hub.services.people import People
from hub.services.quotas import Quotas
from hub.services.sweep import Sweeps
from hub.settings import Settings
from hub.storage.blobs import BlobStore, open_store
from hub.storage.catalog import Catalog
from hub.storage.disk import sync_folder
from hub.telemetry.logging import configure_logging


def migrate(settings: Settings) -> str:
    """Bring the database to the newest schema; gives its revision.

    Raises:
        NotAvailable: The database cannot be used.
    """
    catalog = Catalog(settings.database)
    try:
        return catalog.migrate()
    finally:
        catalog.close()


def sweep(settings: Settings, *, dry_run: bool) -> SweepReport:
    """Delete bytes that nobody needs; a hub may be running meanwhile.

    Raises:
        Conflict: Another process is sweeping.
        NotAvailable: The database or the store cannot be used, or has not the newest schema.
    """
    configure_logging(settings.log_format, settings.log_level)
    catalog = Catalog(settings.database)
    try:
        catalog.check()
        sweeps = open_sweeps(settings, catalog, open_store(settings.storage))
        return sweeps.look() if dry_run else sweeps.run()
    finally:
        catalog.close()


@contextmanager
def audits(settings: Settings) -> Iterator[Audits]:
    """Who changed what; read from the database, whether or not a hub is running.

    Raises:
        NotAvailable: The database cannot be used, or has not the newest schema.
    """
    with _checked_catalog(settings) as catalog:
        yield Audits(catalog)


def prune_audit(settings: Settings, until: datetime, file: Path) -> int:
    """Move what was noted before a moment from the database to a new file; gives how many entries.

    Raises:
        InvalidRequest: The moment is less than a day ago.
        NotAvailable: The database cannot be used, or has not the newest schema.
        OSError: The file is there already, or cannot be written.
    """

    def export(pages: Iterable[Sequence[AuditEntry]]) -> str:
        digest = hashlib.sha256()
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            for line in csv_lines(pages):
                digest.update(line.encode())
                out.write(line.encode())
            out.flush()
            os.fsync(out.fileno())
        sync_folder(file.parent)
        return f"sha256:{digest.hexdigest()}"

    with audits(settings) as found:
        return found.prune(HUB, until, export)


@contextmanager
def attestations(settings: Settings) -> Iterator[Attestations]:
    """Keys and what is signed with them; a hub may be running, and goes by what is changed here at once.

    Raises:
        NotAvailable: The database cannot be used, or has not the newest schema.
    """
    with _checked_catalog(settings) as catalog:
        yield Attestations(catalog)


@contextmanager
def people(settings: Settings) -> Iterator[People]:
    """The use cases about people, over the hub's database; a running hub notices within seconds.

    Raises:
        NotAvailable: The database cannot be used, or has not the newest schema.
    """
    with _checked_catalog(settings) as catalog:
        yield People(catalog)


@contextmanager
def _checked_catalog(settings: Settings) -> Iterator[Catalog]:
    catalog = Catalog(settings.database)
    try:
        catalog.check()
        yield catalog
    finally:
        catalog.close()


def doctor(settings: Settings) -> HubStatus:
    """Check, without a running hub, what a hub with these settings needs."""
    needed: dict[str, Callable[[], str | None]] = {
        "database": lambda: Catalog(settings.database).check(),
        "storage": lambda: open_store(settings.storage).check(),
        "data folder": lambda: _check_folder(settings.data_path),
        "engine": require_worker,
        "devices": lambda: _check_devices(settings),
        "sandbox": lambda: sandbox.in_force(settings.sandbox),
    }
    checks = tuple(checked(name, check, shows_inside=True) for name, check in needed.items())
    return HubStatus(ok=all(check.ok for check in checks), checks=checks)


def deep_check(settings: Settings, show: ShowBytes = lambda _done, _total: None) -> DeepReport:
    """Hold everything the hub says it has against what is there; reads every byte, changes nothing.

    Raises:
        NotAvailable: The database or the store cannot be used, or has not the newest schema.
    """
    catalog = Catalog(settings.database)
    try:
        catalog.check()
        overdue_s = settings.sweep_grace_s + 2 * settings.sweep_every_s
        return DeepChecks(catalog, open_store(settings.storage), overdue_s).run(show)
    finally:
        catalog.close()


def backup(
    settings: Settings, folder: Path, *, with_blobs: bool, show: ShowBytes = lambda _done, _total: None
) -> BackupFacts:
    """Write everything the hub knows, and where asked its bytes, into a folder; a hub may be running meanwhile.

    Raises:
        Conflict: A sweep takes too long.
        NotAvailable: The database, the store or the folder cannot be used, or the schema is not the newest.
    """
    catalog = Catalog(settings.database)
    try:
        catalog.check()
        return Backups(catalog, open_store(settings.storage)).take(folder, with_blobs=with_blobs, show=show)
    finally:
        catalog.close()


def restore(settings: Settings, folder: Path, show: ShowBytes = lambda _done, _total: None) -> RestoreReport:
    """Make an empty database, and the store, what a backup holds.

    Raises:
        InvalidRequest: The folder holds no whole backup.
        Conflict: The database is not empty.
        NotAvailable: The database, the store or the folder cannot be used.
    """
    catalog = Catalog(settings.database)
    try:
        return Backups(catalog, open_store(settings.storage)).restore(folder, show=show)
    finally:
        catalog.close()


def set_quota(settings: Settings, owner: str, limit_bytes: int | None) -> Quota:
    """Limit what an owner may keep; None ends that.

    Raises:
        InvalidName: No owner can be called so.
        NotAvailable: The database cannot be used, or has not the newest schema.
    """
    catalog = Catalog(settings.database)
    try:
        catalog.check()
        return Quotas(catalog).set(owner, limit_bytes)
    finally:
        catalog.close()


def quotas(settings: Settings) -> list[Quota]:
    """What owners keep and may keep.

    Raises:
        NotAvailable: The database cannot be used, or has not the newest schema.
    """
    catalog = Catalog(settings.database)
    try:
        catalog.check()
        return Quotas(catalog).all()
    finally:
        catalog.close()


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise unusable(folder, error) from error


def _check_devices(settings: Settings) -> None:
    present = {*find_devices(), "cpu:0"}
    absent = [device for device in settings.devices if device.startswith("gpu") and device not in present]
    if absent:
        raise NotAvailable(f"There is no {', '.join(absent)} here; there is {', '.join(sorted(present))}.")


def open_sweeps(settings: Settings, catalog: Catalog, blobs: BlobStore) -> Sweeps:
    """The sweep use case, with the times of the settings."""
    return Sweeps(catalog, blobs, grace_s=settings.sweep_grace_s, push_life_s=settings.push_life_s)


def require_worker() -> None:
    """Refuse to go on without what workers need.

    Raises:
        ExtraMissing: TensorFlow is not installed.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise ExtraMissing(
            "Workers need TensorFlow, which is not installed.", remedy='Install it with: pip install "trunkhub[worker]"'
        )


def unusable(folder: Path, error: OSError) -> NotAvailable:
    """The error for a folder that cannot be made or written."""
    return NotAvailable(
        f"The folder {folder} cannot be used: {error.strerror or error}.", remedy="Choose another with --data-dir."
    )
