"""Sweeping a real catalog and a real folder."""

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from hub.domain.digests import digest_of
from hub.domain.errors import Conflict, NotAvailable
from hub.domain.manifest import BlobRef, Draft, File, Kind
from hub.domain.names import ModelName
from hub.services.sweep import Sweeps
from hub.storage.blobs.filesystem import FilesystemBlobStore
from hub.storage.blobs.layout import path_of
from hub.storage.catalog import Catalog, PushRecord

DAY_S = 86_400.0


@pytest.fixture
def blobs(tmp_path: Path) -> FilesystemBlobStore:
    return FilesystemBlobStore(tmp_path / "blobs")


def sweeps(catalog: Catalog, blobs: FilesystemBlobStore, *, grace_s: float = 0.0) -> Sweeps:
    return Sweeps(catalog, blobs, grace_s=grace_s, push_life_s=DAY_S)


def put(blobs: FilesystemBlobStore, data: bytes) -> str:
    blobs.put(digest_of(data), [data], len(data))
    return digest_of(data)


def store(catalog: Catalog, blobs: FilesystemBlobStore, data: bytes) -> str:
    with catalog.begin() as tx:
        tx.note_stored({put(blobs, data): len(data)})
    return digest_of(data)


def begin_push(catalog: Catalog, *contents: bytes, age_s: float = 0.0) -> PushRecord:
    refs = [BlobRef(digest=digest_of(data), size=len(data)) for data in contents]
    files = tuple(File(path=ref.digest[7:], size=ref.size, digest=ref.digest, blobs=(ref,)) for ref in refs)
    push = PushRecord(
        id=uuid4(),
        model=ModelName("acme", "trunk"),
        draft=Draft(kind=Kind.TRUNK, files=files),
        alias=None,
        message="",
        card=None,
        is_private=None,
        principal="ada",
        created_at=datetime.now(UTC) - timedelta(seconds=age_s),
    )
    with catalog.begin() as tx:
        tx.add_push(push)
        tx.lease_blobs(push.id, push.draft.blobs())
    return push


def test_what_nobody_needs_is_marked_and_deleted_after_the_grace_time(catalog: Catalog, blobs: FilesystemBlobStore):
    name = store(catalog, blobs, b"unneeded")
    first = sweeps(catalog, blobs, grace_s=DAY_S).run()
    assert (first.condemned, first.deleted, blobs.has(name)) == (1, 0, True)
    second = sweeps(catalog, blobs).run()
    assert (second.condemned, second.deleted, second.freed_bytes, blobs.has(name)) == (0, 1, 8, False)
    third = sweeps(catalog, blobs).run()
    assert (third.condemned, third.found, third.deleted, third.lost) == (0, 0, 0, ())


def test_a_look_tells_and_does_nothing(catalog: Catalog, blobs: FilesystemBlobStore):
    name = store(catalog, blobs, b"unneeded")
    seen = sweeps(catalog, blobs).look()
    assert (seen.is_dry, seen.condemned, seen.freed_bytes) == (True, 1, 8)
    assert sweeps(catalog, blobs).look() == seen
    assert blobs.has(name)


def test_what_a_crash_left_in_the_store_is_found_and_deleted(catalog: Catalog, blobs: FilesystemBlobStore):
    name = put(blobs, b"nobody wrote this down")
    assert sweeps(catalog, blobs, grace_s=DAY_S).run().found == 1
    assert blobs.has(name)
    assert sweeps(catalog, blobs).run().deleted == 1
    assert not blobs.has(name)


def test_a_push_keeps_its_bytes_until_it_is_given_up(catalog: Catalog, blobs: FilesystemBlobStore):
    known, unknown = store(catalog, blobs, b"known"), put(blobs, b"just arrived")
    begin_push(catalog, b"known", b"just arrived", age_s=DAY_S / 2)
    for _ in range(2):
        assert sweeps(catalog, blobs).run().deleted == 0
    assert blobs.has(known)
    assert blobs.has(unknown)
    old = Sweeps(catalog, blobs, grace_s=0.0, push_life_s=60.0)
    assert old.run().pushes == 1
    old.run()
    assert list(blobs.digests()) == []


def test_a_sweep_that_died_after_its_claim_is_finished(catalog: Catalog, blobs: FilesystemBlobStore):
    gone, there = store(catalog, blobs, b"object deleted"), store(catalog, blobs, b"object still there")
    with catalog.begin() as tx:
        tx.condemn([gone, there])
    with catalog.begin() as tx:
        assert len(tx.claim_condemned(datetime.now(UTC) + timedelta(seconds=1))) == 2
    blobs.delete(gone)
    sweeps(catalog, blobs, grace_s=DAY_S).run()
    assert not blobs.has(there)
    with catalog.read() as tx:
        assert tx.deleting() == []


def test_bytes_that_vanished_are_named_and_asked_for_by_the_next_push(catalog: Catalog, blobs: FilesystemBlobStore):
    name = store(catalog, blobs, b"needed")
    begin_push(catalog, b"needed")
    (blobs.root / path_of(name)).unlink()
    for _ in range(2):
        assert sweeps(catalog, blobs).run().lost == (name,)
    put(blobs, b"needed")
    assert sweeps(catalog, blobs).run().lost == ()
    (blobs.root / path_of(name)).unlink()
    assert sweeps(catalog, blobs).run().lost == (name,)
    push = begin_push(catalog, b"needed")
    with catalog.begin() as tx:
        assert tx.lease_blobs(push.id, push.draft.blobs()) == set()


def test_two_do_not_sweep_at_once(catalog: Catalog, blobs: FilesystemBlobStore):
    with catalog.sweeping(), pytest.raises(Conflict):
        sweeps(catalog, blobs).run()


def test_a_sweep_that_shall_stop_ends_with_what_it_has_done(catalog: Catalog, blobs: FilesystemBlobStore):
    name = store(catalog, blobs, b"unneeded")
    sweep = sweeps(catalog, blobs)
    sweep.stop()
    with pytest.raises(NotAvailable, match="stopping"):
        sweep.run()
    assert blobs.has(name)
    assert sweeps(catalog, blobs).run().deleted == 1


def test_sweeping_beside_pushes_takes_nothing_that_is_needed(catalog: Catalog, blobs: FilesystemBlobStore):
    """Pushes of the same few contents come, take what is there, store what is not and go, while sweeps run."""
    contents = [os.urandom(100) for _ in range(8)]
    stop = threading.Event()
    wrong: list[str] = []

    def sweep() -> None:
        while not stop.is_set():
            sweeps(catalog, blobs).run()

    def push(mine: Callable[[int], bytes]) -> None:
        for turn in range(60):
            wanted = {mine(turn), mine(turn + 3)}
            record = begin_push(catalog, *wanted)
            sizes = record.draft.blobs()
            with catalog.begin() as tx:
                stored = tx.lease_blobs(record.id, sizes)
            for data in wanted:
                if digest_of(data) not in stored:
                    _upload(catalog, blobs, data)
            with catalog.begin() as tx:
                tx.note_stored(sizes)
            wrong.extend(digest for digest in sizes if not blobs.has(digest))
            with catalog.begin() as tx:
                tx.drop_pushes(datetime.now(UTC) - timedelta(seconds=1))

    sweeper = threading.Thread(target=sweep)
    pushers = [
        threading.Thread(target=push, args=(lambda turn, shift=shift: contents[(turn + shift) % len(contents)],))
        for shift in range(3)
    ]
    for thread in (sweeper, *pushers):
        thread.start()
    for thread in pushers:
        thread.join()
    stop.set()
    sweeper.join()
    assert wrong == []


def _upload(catalog: Catalog, blobs: FilesystemBlobStore, data: bytes) -> None:
    """As the push service does: bytes that are just being deleted are waited for."""
    for _ in _while_deleting(catalog, digest_of(data)):
        threading.Event().wait(0.01)
    put(blobs, data)


def _while_deleting(catalog: Catalog, digest: str) -> Iterator[None]:
    while True:
        with catalog.read() as tx:
            if digest not in {name for name, _ in tx.deleting()}:
                return
        yield
