"""What an administrator does on the hub's own machine, whether or not a hub is running: each verb opens what it needs.

Law: nothing here changes what a running hub relies on behind its back; what both touch is settled in the database.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from hub.domain.access import HUB
from hub.domain.errors import NotAvailable
from hub.protocol.schemas import AuditPage, HubStatus, SweepReport
from hub.runtime import sandbox
from hub.runtime.devices import find_devices
from hub.server import open_sweeps, require_worker, unusable
from hub.services.audit import Audits
from hub.services.health import checked
from hub.services.people import People
from hub.settings import Settings
from hub.storage.blobs import open_store
from hub.storage.catalog import Catalog
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


def audit(settings: Settings, *, since: datetime | None, actor: str | None, about: str | None, limit: int) -> AuditPage:
    """Who changed what, newest first; read from the database, whether or not a hub is running.

    Raises:
        NotAvailable: The database cannot be used, or has not the newest schema.
    """
    catalog = Catalog(settings.database)
    try:
        catalog.check()
        return Audits(catalog).entries(HUB, since=since, actor=actor, thing=about, limit=limit)
    finally:
        catalog.close()


@contextmanager
def people(settings: Settings) -> Iterator[People]:
    """The use cases about people, over the hub's database; a running hub notices within seconds.

    Raises:
        NotAvailable: The database cannot be used, or has not the newest schema.
    """
    catalog = Catalog(settings.database)
    try:
        catalog.check()
        yield People(catalog)
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
