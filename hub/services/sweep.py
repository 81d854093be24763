"""Sweep: delete bytes that nobody needs, safely with pushes running.

1. Pushes that began too long ago are given up, and their leases with them.
2. What no version and no push needs is *condemned*; so is what lies in the store unknown to the catalog, which is
   what a crash leaves behind.
3. What was condemned at least a grace time ago, and still nobody needs, is *claimed* in one transaction. From then on
   no push can count on it; then its object is deleted, then its row.
4. What clients sent to pushes that are no longer under way is deleted.
5. Blobs that the catalog calls stored are looked for in the store; those that are gone are marked *lost*, so that a
   push of the same bytes sends them again. Those that were lost and are there after all are stored again.

Laws: one process sweeps at a time; a sweep that is killed is finished by the next one; a blob that is needed at the
moment of the claim, or was taken by a push since it was condemned, stays.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

import structlog

from hub.domain.errors import NotAvailable
from hub.protocol.schemas import SweepReport
from hub.storage.blobs import BlobStore
from hub.storage.catalog import Catalog

PAGE = 1_000
_Item = TypeVar("_Item")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sweeps:
    """The sweep use case.

    Attributes:
        catalog: The facts.
        blobs: The bytes.
        grace_s: How long a condemned blob stays.
        push_life_s: How long a push may be under way.
    """

    catalog: Catalog
    blobs: BlobStore
    grace_s: float
    push_life_s: float
    _stopping: threading.Event = field(default_factory=threading.Event, repr=False)

    def run(self) -> SweepReport:
        """Sweep once.

        Raises:
            Conflict: Another process is sweeping.
            NotAvailable: The database or the store is away; the next sweep goes on.
        """
        with self.catalog.sweeping() as still_mine:
            self._delete(self._claimed_before())
            pushes = self._give_up_pushes()
            condemned = self._condemn()
            stored, found = self._compare_store()
            deleted, freed = self._delete_condemned(still_mine)
            self._forget_arrivals()
            self._mark_lost(stored)
            with self.catalog.read() as tx:
                lost = tuple(tx.lost())
            report = SweepReport(
                pushes=pushes, condemned=condemned, found=found, deleted=deleted, freed_bytes=freed, lost=lost
            )
        _log.info("sweep.done", **report.model_dump(exclude={"lost"}), lost=len(report.lost))
        return report

    def look(self) -> SweepReport:
        """Tell what nobody needs, and do nothing."""
        with self.catalog.read() as tx:
            count, size = tx.unneeded()
        return SweepReport(condemned=count, freed_bytes=size, is_dry=True)

    def stop(self) -> None:
        """Have a sweep that runs end soon, with `NotAvailable`; the next one goes on."""
        self._stopping.set()

    def _give_up_pushes(self) -> int:
        with self.catalog.begin() as tx:
            return tx.drop_pushes(_ago(self.push_life_s))

    def _condemn(self) -> int:
        count = 0
        for page in self._rows():
            with self.catalog.begin() as tx:
                count += tx.condemn(page)
        return count

    def _compare_store(self) -> tuple[set[bytes], int]:
        """Every digest in the store, and how many of them the catalog did not know."""
        seen: set[bytes] = set()
        found = 0
        for page in self._pages(self.blobs.digests()):
            seen.update(map(_packed, page))
            with self.catalog.begin() as tx:
                found += tx.condemn_unknown(page)
                tx.restore_lost(page)
        return seen, found

    def _delete_condemned(self, still_mine: Callable[[], None]) -> tuple[int, int]:
        count = freed = 0
        while True:
            self._go_on()
            still_mine()
            with self.catalog.begin() as tx:
                claimed = tx.claim_condemned(_ago(self.grace_s))
            if not claimed:
                return count, freed
            self._delete(claimed)
            count += len(claimed)
            freed += sum(size or 0 for _, size in claimed)

    def _claimed_before(self) -> list[tuple[str, int | None]]:
        with self.catalog.read() as tx:
            return tx.deleting()

    def _delete(self, claimed: list[tuple[str, int | None]]) -> None:
        self.blobs.delete(*(digest for digest, _ in claimed))
        with self.catalog.begin() as tx:
            tx.drop_blobs([digest for digest, _ in claimed])

    def _forget_arrivals(self) -> None:
        direct = self.blobs.direct
        if direct is None:
            return
        for page in self._pages(direct.pushes()):
            with self.catalog.read() as tx:
                under_way = tx.open_pushes(page)
            for push_id in page:
                if push_id not in under_way:
                    direct.forget(push_id)

    def _mark_lost(self, seen: set[bytes]) -> None:
        for page in self._rows():
            # What was stored since the store was listed is not in the list either: ask for it by name.
            for digest in self.blobs.missing(digest for digest in page if _packed(digest) not in seen):
                _log.error("blob.lost", digest=digest)
                with self.catalog.begin() as tx:
                    tx.note_lost(digest)

    def _rows(self) -> Iterator[list[str]]:
        """Digests of blobs that the catalog calls stored, a page at a time."""
        after = ""
        while True:
            with self.catalog.read() as tx:
                page = tx.blob_page(after)
            if not page:
                return
            after = page[-1]
            yield page
            self._go_on()

    def _pages(self, items: Iterable[_Item]) -> Iterator[list[_Item]]:
        iterator = iter(items)
        while page := list(islice(iterator, PAGE)):
            yield page
            self._go_on()

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise NotAvailable("The hub is stopping.", remedy="The next sweep goes on.")


def _ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def _packed(digest: str) -> bytes:
    return bytes.fromhex(digest.removeprefix("sha256:"))
