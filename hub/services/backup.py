"""Backup and restore: a hub's facts as one dump, and, where asked, the bytes that its versions need.

A backup is a folder: ``backup.json`` says what is in it and is written last; the dump has every row of one moment; the
list has digest and size of every blob that versions need; ``blobs/`` has their bytes, as a directory store.

1. A backup into a folder that has one already goes on from it: only blobs that are not there are copied, and the one
   before stays whole until the new ``backup.json`` takes its place. While bytes are copied, nobody sweeps.
2. A restore claims an empty database, copies the bytes, and then fills the database in one transaction. Until that is
   done, the database is nobody's hub and says so; the restore can be run again and goes on.

Laws: a hub may be running while it is backed up; what is copied is verified in both directions; bytes first, rows last.
"""

import gzip
import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from hub import __version__
from hub.domain.access import HUB
from hub.domain.audit import Action
from hub.domain.digests import read_chunks
from hub.domain.errors import BlobNotFound, Conflict, DigestMismatch, InvalidRequest
from hub.protocol.upkeep import BackupFacts, RestoreReport
from hub.storage.blobs import BlobStore, open_store
from hub.storage.catalog import Catalog, Transaction
from hub.storage.disk import disk_errors, sync_file, sync_folder

FACTS = "backup.json"
_AT_ONCE = 8
_PAGE = 1_000
_SWEEP_S = 600.0
_PAUSE_S = 1.0
_Item = TypeVar("_Item")
ShowBytes = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Backups:
    """The backup use cases."""

    catalog: Catalog
    blobs: BlobStore

    def take(self, folder: Path, *, with_blobs: bool, show: ShowBytes) -> BackupFacts:
        """Back up into a folder, which is made where it is absent.

        Args:
            folder: Where to; a backup that is there already is gone on from.
            with_blobs: Whether to copy the bytes as well.
            show: Is told how many bytes were copied, and of how many.

        Raises:
            Conflict: A sweep takes too long.
            NotAvailable: The database, the store or the folder cannot be used.
        """
        with disk_errors(folder), self._unswept() if with_blobs else nullcontext(_nothing) as still_mine:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            facts = self._write_down(folder, has_blobs=with_blobs)
            if with_blobs:
                copy = _Copy(self.blobs, open_store((folder / "blobs").absolute().as_uri()), facts.blob_bytes, show)
                lost = copy.run(_listed(folder / facts.list), still_mine)
                facts = facts.model_copy(update={"lost": tuple(lost)})
            _replace(folder / FACTS, facts.model_dump_json(indent=2).encode())
            for old in (*folder.glob("catalog-*"), *folder.glob("blobs-*")):
                if old.name not in (facts.dump, facts.list):
                    old.unlink()
        return facts

    def restore(self, folder: Path, *, show: ShowBytes) -> RestoreReport:
        """Make an empty database, and a store, what was backed up.

        Args:
            folder: The backup.
            show: Is told how many bytes were copied, and of how many.

        Raises:
            InvalidRequest: The folder holds no whole backup, or one of a newer hub.
            Conflict: The database is not empty.
            NotAvailable: The database, the store or the folder cannot be used.
        """
        facts = _facts(folder)
        self.catalog.claim_for_restore(facts.revision)
        copied, lost = 0, []
        if facts.has_blobs:
            source = open_store((folder / "blobs").absolute().as_uri())
            copy = _Copy(source, self.blobs, facts.blob_bytes, show)
            lost = copy.run(_listed(folder / facts.list), _nothing)
            copied = copy.done
        else:
            for page in _pages(digest for digest, _ in _listed(folder / facts.list)):
                lost += self.blobs.missing(page)

        def settle(tx: Transaction) -> None:
            tx.settle(lost)
            told = {"made_at": facts.made_at.isoformat(), "blobs": facts.blobs, "lost": len(lost)}
            tx.note(HUB, Action.HUB_RESTORE, str(folder.name), told)

        with disk_errors(folder), gzip.open(folder / facts.dump) as lines:
            self.catalog.restore(facts.revision, lines, settle)
        return RestoreReport(made_at=facts.made_at, blobs=facts.blobs, copied_bytes=copied, lost=tuple(lost))

    def _write_down(self, folder: Path, *, has_blobs: bool) -> BackupFacts:
        """Dump and list of one moment."""
        at = datetime.now(UTC)
        names = [f"{kind}-{at:%Y%m%dT%H%M%S%f}{end}" for kind, end in (("catalog", ".jsonl.gz"), ("blobs", ".txt"))]
        count = size = 0
        with self.catalog.at_one_moment() as tx:
            revision = tx.revision()
            with gzip.open(folder / names[0], "wb", compresslevel=4) as dump:
                for line in tx.dump():
                    dump.write(line + b"\n")
            with (folder / names[1]).open("w") as listed:
                for digest, known in tx.kept_blobs():
                    listed.write(f"{digest} {known or 0}\n")
                    count, size = count + 1, size + (known or 0)
        for name in names:
            sync_file(folder / name)
        return BackupFacts(
            made_at=at,
            hub_version=__version__,
            revision=revision,
            dump=names[0],
            dump_digest=_digest_of_file(folder / names[0]),
            list=names[1],
            list_digest=_digest_of_file(folder / names[1]),
            blobs=count,
            blob_bytes=size,
            has_blobs=has_blobs,
        )

    @contextmanager
    def _unswept(self) -> Iterator[Callable[[], None]]:
        """Nobody sweeps meanwhile; a sweep that goes on is waited for."""
        until = time.monotonic() + _SWEEP_S
        with ExitStack() as held:
            while True:
                try:
                    still_mine = held.enter_context(self.catalog.sweeping())
                    break
                except Conflict:
                    if time.monotonic() > until:
                        raise
                    time.sleep(_PAUSE_S)
            yield still_mine


class _Copy:
    """Blobs on their way from one store to another; those that are there already are not read again."""

    def __init__(self, source: BlobStore, target: BlobStore, total: int, show: ShowBytes) -> None:
        self.source, self.target, self.total, self.show = source, target, total, show
        self.done = 0
        self._lock = threading.Lock()

    def run(self, blobs: Iterable[tuple[str, int]], still_mine: Callable[[], None]) -> list[str]:
        """Copy them; gives those that the source has not, or not whole."""
        lost: list[str] = []
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for page in _pages(blobs):
                still_mine()
                lost += [digest for digest in pool.map(self._copy, page) if digest is not None]
        return lost

    def _copy(self, blob: tuple[str, int]) -> str | None:
        digest, size = blob
        try:
            # The source is asked even where the size was never measured, as in a database of the first schema.
            self.target.put(digest, self._counted(digest), size or self.source.size(digest))
        except (BlobNotFound, DigestMismatch):
            return digest
        return None

    def _counted(self, digest: str) -> Iterator[bytes]:
        for chunk in self.source.open(digest):
            with self._lock:
                self.done += len(chunk)
                self.show(self.done, max(self.total, self.done))
            yield chunk


def _facts(folder: Path) -> BackupFacts:
    """What a whole backup says of itself.

    Raises:
        InvalidRequest: There is none, or its files are not what it says.
    """
    again = "Back up again, or name another folder."
    try:
        facts = BackupFacts.model_validate_json((folder / FACTS).read_bytes())
    except FileNotFoundError as error:
        detail = f"{folder} holds no backup, or one that was never finished."
        raise InvalidRequest(detail, remedy=again) from error
    except ValidationError as error:
        raise InvalidRequest(f"{folder / FACTS} is not of a backup that this hub can read.", remedy=again) from error
    for name, digest in ((facts.dump, facts.dump_digest), (facts.list, facts.list_digest)):
        path = folder / Path(name).name
        if not path.is_file() or _digest_of_file(path) != digest:
            raise InvalidRequest(f"{path} is damaged.", remedy=again)
    return facts


def _listed(path: Path) -> Iterator[tuple[str, int]]:
    """Digest and size of every blob in a list."""
    with path.open() as lines:
        for line in lines:
            digest, _, size = line.strip().partition(" ")
            yield digest, int(size)


def _pages(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    iterator = iter(items)
    while page := list(islice(iterator, _PAGE)):
        yield page


def _digest_of_file(path: Path) -> str:
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in read_chunks(file):
            hashed.update(chunk)
    return f"sha256:{hashed.hexdigest()}"


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole, or not at all."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    sync_file(fresh)
    fresh.replace(path)
    sync_folder(path.parent)


def _nothing() -> None:
    """Nobody has to be asked."""
