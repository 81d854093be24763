"""Deep check: hold everything that the hub says it has against what is there, byte by byte.

1. Every row that names another one names one that is there.
2. Every version's manifest has the version's digest and content digest, and the version keeps every blob in it.
3. Every blob that a version or a push needs is in the store and is read and hashed.
4. What nobody needs any more is on its way out: counted, and wrong only where no sweep took it long after its time.
5. What quotas say that owners keep is what they keep.
6. What is in the store and in no row is counted: a crash or a push under way leaves it, and a sweep finds it.

Laws: nothing is changed; a hub may be running, so what looks wrong is looked at once more before it is told; one
damaged blob hides no other.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice

import orjson
from pydantic import ValidationError

from hub.domain.digests import digest_of
from hub.domain.errors import BlobNotFound, NotAvailable
from hub.domain.manifest import Draft, Manifest
from hub.protocol.upkeep import DeepReport, Flaw
from hub.storage.blobs import BlobStore
from hub.storage.catalog import Catalog, StoredBlob, StoredVersion

MAX_FLAWS = 1_000
_AT_ONCE = 4
_PAGE = 1_000
_MOST_AWAY = 20
_PUSH_AGAIN = "Restore it from a backup, or push the version again: only what is missing is sent."
_RESTORE = "Restore the database from a backup; 'hub admin restore' does it."
ShowBytes = Callable[[int, int], None]


@dataclass(slots=True)
class _Findings:
    """What was found so far, from several threads."""

    show: ShowBytes
    total: int
    flaws: list[Flaw] = field(default_factory=list)
    flaw_count: int = 0
    versions: int = 0
    blobs: int = 0
    read_bytes: int = 0
    away: int = 0
    unneeded: int = 0
    unneeded_bytes: int = 0
    unknown: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, code: str, thing: str, detail: str, remedy: str) -> None:
        with self._lock:
            self.flaw_count += 1
            if self.flaw_count <= MAX_FLAWS:
                self.flaws.append(Flaw(code=code, thing=thing, detail=detail, remedy=remedy))

    def count(self, size: int) -> None:
        with self._lock:
            self.read_bytes += size
            self.show(self.read_bytes, max(self.total, self.read_bytes))

    def report(self) -> DeepReport:
        return DeepReport(
            ok=not self.flaw_count,
            versions=self.versions,
            blobs=self.blobs,
            read_bytes=self.read_bytes,
            unneeded=self.unneeded,
            unneeded_bytes=self.unneeded_bytes,
            unknown=self.unknown,
            flaw_count=self.flaw_count,
            flaws=tuple(sorted(self.flaws, key=lambda flaw: (flaw.code, flaw.thing))),
        )


@dataclass(frozen=True, slots=True)
class DeepChecks:
    """The deep check use case.

    Attributes:
        catalog: The facts.
        blobs: The bytes.
        overdue_s: How long after it was marked a blob that nobody needs must be gone.
    """

    catalog: Catalog
    blobs: BlobStore
    overdue_s: float

    def run(self, show: ShowBytes) -> DeepReport:
        """Check everything.

        Args:
            show: Is told how many bytes were read, and of how many.

        Raises:
            NotAvailable: The database or the store is away.
        """
        with self.catalog.read() as tx:
            found = _Findings(show, tx.needed_bytes())
            for thing, table in tx.dangling():
                found.add("reference.dangling", thing, f"It points into {table}, where there is no such row.", _RESTORE)
            for model in tx.reused_numbers():
                found.add("number.behind", model, "Its next version would get a number that is taken.", _RESTORE)
        self._check_quotas(found)
        for version in self._versions():
            self._check_version(found, version)
        self._check_blobs(found)
        self._compare_store(found)
        return found.report()

    def _check_quotas(self, found: _Findings) -> None:
        with self.catalog.at_one_moment() as tx:
            for quota in tx.all_quotas():
                counted = tx.used_bytes(quota.owner)
                if counted != quota.used_bytes:
                    detail = f"The owner keeps {counted} bytes, and its quota says {quota.used_bytes}."
                    found.add("quota.off", quota.owner, detail, "Set the quota again: that counts anew.")

    def _versions(self) -> Iterator[StoredVersion]:
        after = ("", 0)
        while True:
            with self.catalog.read() as tx:
                page = tx.stored_versions(after)
            if not page:
                return
            yield from page
            after = (str(page[-1].model), page[-1].number)

    def _check_version(self, found: _Findings, version: StoredVersion) -> None:
        found.versions += 1
        manifest = _manifest(version)
        if manifest is None:
            detail = f"The database's copy of its manifest does not make up {version.digest}."
            found.add("manifest.damaged", version.reference, detail, _RESTORE)
            return
        facts = Draft.model_construct(kind=manifest.kind, files=manifest.files, lineage=manifest.lineage)
        if facts.content_digest() != version.content_digest or manifest.size != version.size:
            detail = "Its content digest or size is not that of its manifest."
            found.add("manifest.differs", version.reference, detail, _RESTORE)
        golden = {version.golden_digest} if version.golden_digest else set()
        needed = {version.digest, *manifest.blobs(), *golden}
        with self.catalog.read() as tx:
            kept, unlisted = tx.claimed_blobs(version.model, version.number), tx.unlisted(version.model, version.number)
        if not kept:
            return  # removed meanwhile
        for digest in sorted(needed - kept):
            detail = f"{version.reference} does not keep it from being swept."
            found.add("blob.unkept", digest, detail, _RESTORE)
        for digest in sorted(needed & unlisted):
            detail = f"{version.reference} needs it, and no row says that it is stored."
            found.add("blob.unlisted", digest, detail, _RESTORE)

    def _check_blobs(self, found: _Findings) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for page in self._blob_pages():
                for _ in pool.map(lambda blob: self._check_blob(found, blob), page):
                    pass  # what a thread raised is raised here

    def _blob_pages(self) -> Iterator[list[StoredBlob]]:
        after = ""
        while True:
            with self.catalog.read() as tx:
                page = tx.stored_blobs(after)
            if not page:
                return
            yield page
            after = page[-1].digest

    def _check_blob(self, found: _Findings, blob: StoredBlob) -> None:
        if not blob.is_needed:
            found.unneeded += 1
            found.unneeded_bytes += blob.size or 0
            if blob.condemned_at is not None and blob.condemned_at < _ago(self.overdue_s):
                detail = f"Nobody needs it since {blob.condemned_at:%Y-%m-%d %H:%M}, and no sweep took it."
                found.add("blob.overdue", blob.digest, detail, "Run 'hub admin sweep', and see why no sweep runs.")
            return
        wrong = self._wrong(found, blob)
        if wrong is not None and self._is_still_needed(blob.digest):
            code, detail = wrong
            found.add(code, blob.digest, f"{detail} {self._holders(blob.digest)}", _PUSH_AGAIN)

    def _wrong(self, found: _Findings, blob: StoredBlob) -> tuple[str, str] | None:
        hashed, size = hashlib.sha256(), 0
        try:
            for chunk in self.blobs.open(blob.digest):
                hashed.update(chunk)
                size += len(chunk)
                found.count(len(chunk))
        except BlobNotFound:
            return "blob.absent", "It is not in the store."
        except NotAvailable as error:
            found.away += 1
            if found.away > _MOST_AWAY:
                raise
            return "blob.unreadable", f"It cannot be read: {error.inside or error.detail}"
        found.blobs += 1
        if f"sha256:{hashed.hexdigest()}" != blob.digest or blob.size not in (None, size):
            return "blob.damaged", f"The {size} bytes in the store are not those."
        if blob.state not in ("stored", "condemned"):
            return "blob.state", f"It is there and needed, and its row calls it {blob.state}."
        return None

    def _is_still_needed(self, digest: str) -> bool:
        with self.catalog.read() as tx:
            now = tx.stored_blob(digest)
            if now is None or not now.is_needed:
                return False
            # What a push under way lacks it is asked for: only what a version lacks is gone.
            return bool(tx.holders(digest)) or now.state == "stored"

    def _holders(self, digest: str) -> str:
        with self.catalog.read() as tx:
            holders = tx.holders(digest)
        return f"{', '.join(holders)} need it." if holders else "A push under way needs it."

    def _compare_store(self, found: _Findings) -> None:
        digests = self.blobs.digests()
        while page := list(islice(digests, _PAGE)):
            with self.catalog.read() as tx:
                found.unknown += len(set(page) - tx.known_blobs(page))


def _manifest(version: StoredVersion) -> Manifest | None:
    """A version's manifest; None where its bytes are not those that its digest names."""
    try:
        manifest = Manifest.parse(version.manifest)
    except (ValidationError, orjson.JSONDecodeError):
        return None
    return manifest if digest_of(version.manifest) == version.digest == manifest.digest() else None


def _ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)
