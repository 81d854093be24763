"""A sweep over a large catalog, with a store that is nothing but a set, so that the catalog's part alone is timed."""

import hashlib
import time
from collections.abc import Iterable, Iterator
from typing import Any

from hub.services.sweep import Sweeps
from hub.storage.catalog import Catalog

_UNNEEDED = 1_000
_UNKNOWN = 1_000
_WEEK_S = 7 * 86_400.0


class SetOfBlobs:
    """As much of a blob store as a sweep asks: which digests there are."""

    direct = None

    def __init__(self, digests: Iterable[str]) -> None:
        self._digests = set(digests)

    def digests(self) -> Iterator[str]:
        """Everything stored."""
        return iter(list(self._digests))

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Those that are not stored."""
        return [digest for digest in digests if digest not in self._digests]

    def delete(self, *digests: str) -> None:
        """Forget some."""
        self._digests.difference_update(digests)


def measure_sweep(catalog: Catalog) -> Iterator[dict[str, Any]]:
    """Time a sweep that has something to delete, and one that has not."""
    unneeded, unknown = (
        [f"sha256:{hashlib.sha256(f'{word} {index}'.encode()).hexdigest()}" for index in range(count)]
        for word, count in (("unneeded", _UNNEEDED), ("unknown", _UNKNOWN))
    )
    with catalog.begin() as tx:
        tx.note_stored(dict.fromkeys(unneeded, 1))
    blobs: Any = SetOfBlobs([*_stored(catalog), *unknown])
    sweeps = Sweeps(catalog, blobs, grace_s=0.0, push_life_s=_WEEK_S)
    for what in ("a sweep with work", "one without"):
        begun = time.monotonic()
        report = sweeps.run()
        yield {
            "what": what,
            "seconds": round(time.monotonic() - begun, 2),
            "blobs": sum(1 for _ in blobs.digests()),
            "deleted": report.deleted,
            "lost": len(report.lost),
        }


def _stored(catalog: Catalog) -> Iterator[str]:
    after = ""
    while True:
        with catalog.read() as tx:
            page = tx.blob_page(after)
        if not page:
            return
        yield from page
        after = page[-1]
