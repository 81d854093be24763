"""Which bytes there are and who needs them: the catalog's side of the sweep, on both databases."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from hub.domain.errors import Conflict, NotAvailable
from hub.domain.versions import State
from hub.storage.catalog.blobs import Announced
from hub.storage.catalog.catalog import Catalog

LATER = timedelta(seconds=1)


def future() -> datetime:
    return datetime.now(UTC) + LATER


def names(make: Any, *words: str) -> list[str]:
    return [make.digest(word) for word in words]


def stored(catalog: Catalog, digests: list[str]) -> set[str]:
    with catalog.read() as tx:
        return set(tx.stored(digests))


def condemn(catalog: Catalog, digests: list[str]) -> int:
    with catalog.begin() as tx:
        return tx.condemn(digests)


def claim(catalog: Catalog) -> set[str]:
    with catalog.begin() as tx:
        return {digest for digest, _ in tx.claim_condemned(future())}


@pytest.fixture
def blobs(catalog: Catalog, make: Any) -> list[str]:
    """Three stored blobs that nobody needs."""
    found = names(make, "a", "b", "c")
    with catalog.begin() as tx:
        tx.note_stored(dict.fromkeys(found, 10))
    return found


def test_what_was_noted_is_stored_with_its_size(catalog: Catalog, make: Any, blobs: list[str]) -> None:
    with catalog.read() as tx:
        assert tx.stored([*blobs, make.digest("unknown")]) == dict.fromkeys(blobs, 10)
    with catalog.begin() as tx:
        tx.note_stored({blobs[0]: 10})
    assert stored(catalog, blobs) == set(blobs)


def test_what_nobody_needs_is_condemned_then_claimed_then_gone(catalog: Catalog, blobs: list[str]) -> None:
    assert claim(catalog) == set()
    assert condemn(catalog, blobs) == 3
    assert condemn(catalog, blobs) == 0
    assert stored(catalog, blobs) == set(blobs)
    with catalog.begin() as tx:
        assert tx.claim_condemned(datetime.now(UTC) - timedelta(hours=1)) == []
    with catalog.begin() as tx:
        assert sorted(tx.claim_condemned(future(), limit=2)) == [(digest, 10) for digest in sorted(blobs)[:2]]
    assert claim(catalog) == {max(blobs)}
    assert stored(catalog, blobs) == set()
    with catalog.read() as tx:
        assert {digest for digest, _ in tx.deleting()} == set(blobs)
    with catalog.begin() as tx:
        tx.drop_blobs(blobs)
    with catalog.read() as tx:
        assert tx.deleting() == []


def test_what_a_version_needs_stays_until_the_version_goes(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        version = make.ready(tx, make.TRUNK, "one")
        tx.note_stored({make.digest("one"): 3, version.digest: 5})
    mine = [make.digest("one"), version.digest]
    assert condemn(catalog, mine) == 0
    with catalog.begin() as tx:
        tx.delete_version(make.TRUNK, 1)
    assert condemn(catalog, mine) == 2


def test_what_a_push_needs_stays_until_the_push_is_given_up(catalog: Catalog, make: Any, blobs: list[str]) -> None:
    push = make.push()
    with catalog.begin() as tx:
        tx.add_push(push)
        assert tx.lease_blobs(push.id, {blobs[0]: 10, make.digest("missing"): 4}) == {blobs[0]}
    assert condemn(catalog, blobs) == 2
    with catalog.begin() as tx:
        assert tx.drop_pushes(push.created_at - LATER) == 0
        assert tx.open_pushes([push.id, uuid4()]) == {push.id}
    assert condemn(catalog, [blobs[0]]) == 0
    with catalog.begin() as tx:
        assert tx.drop_pushes(push.created_at + LATER) == 1
    assert condemn(catalog, [blobs[0]]) == 1


def test_whoever_takes_a_condemned_blob_saves_it(catalog: Catalog, make: Any, blobs: list[str]) -> None:
    push = make.push()
    condemn(catalog, blobs)
    with catalog.begin() as tx:
        tx.add_push(push)
        assert tx.lease_blobs(push.id, {blobs[0]: 10}) == {blobs[0]}
    with catalog.begin() as tx:
        tx.note_stored({blobs[1]: 10})
    assert claim(catalog) == {blobs[2]}
    assert stored(catalog, blobs) == set(blobs[:2])


def test_a_condemned_blob_that_is_needed_after_all_is_stored_again(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        tx.note_stored({make.digest("one"): 3})
    condemn(catalog, [make.digest("one")])
    with catalog.begin() as tx:
        make.ready(tx, make.TRUNK, "one")
    assert claim(catalog) == set()
    with catalog.begin() as tx:
        tx.delete_version(make.TRUNK, 1)
    assert claim(catalog) == set()  # its time begins anew
    assert condemn(catalog, [make.digest("one")]) == 1


def test_what_is_being_deleted_is_there_for_nobody(catalog: Catalog, make: Any, blobs: list[str]) -> None:
    push = make.push()
    condemn(catalog, blobs)
    claim(catalog)
    with catalog.begin() as tx:
        tx.add_push(push)
        assert tx.lease_blobs(push.id, {blobs[0]: 10}) == set()
    with catalog.read() as tx, pytest.raises(NotAvailable, match="swept"):
        tx.require_not_deleting(blobs)
    with pytest.raises(NotAvailable), catalog.begin() as tx:
        tx.note_stored({blobs[0]: 10})
    with catalog.begin() as tx:
        make.ready(tx, make.TRUNK, "one")
    with pytest.raises(NotAvailable), catalog.begin() as tx:
        tx.lease_for_version(make.TRUNK, 1, blobs[0])
    with catalog.begin() as tx:
        tx.drop_blobs(blobs)
        tx.note_stored({blobs[0]: 10})
    assert stored(catalog, blobs) == {blobs[0]}


def test_a_completed_push_leases_nothing_more(catalog: Catalog, make: Any, blobs: list[str]) -> None:
    push = make.push()
    with catalog.begin() as tx:
        tx.add_push(push)
        tx.lease_blobs(push.id, {blobs[0]: 10})
        tx.complete_push(push.id, make.add(tx, make.TRUNK, "one").number)
        assert tx.announced(push.id, blobs) == {}
    assert condemn(catalog, blobs) == 3


def test_what_was_lost_and_is_needed_is_named_until_it_is_back(catalog: Catalog, make: Any, blobs: list[str]) -> None:
    push = make.push()
    with catalog.begin() as tx:
        tx.add_push(push)
        tx.lease_blobs(push.id, {blobs[0]: 10})
        assert [tx.note_lost(digest) for digest in (blobs[0], blobs[1], blobs[0])] == [True, True, False]
        assert tx.lost() == [blobs[0]]
        assert tx.restore_lost(blobs) == 2
        assert tx.lost() == []
    assert stored(catalog, blobs) == set(blobs)


def test_a_lost_blob_is_not_stored_until_it_is_noted_again(catalog: Catalog, make: Any, blobs: list[str]) -> None:
    with catalog.begin() as tx:
        tx.note_lost(blobs[0])
    assert stored(catalog, blobs) == set(blobs[1:])
    push = make.push()
    with catalog.begin() as tx:
        tx.add_push(push)
        assert tx.lease_blobs(push.id, {blobs[0]: 10}) == set()
        tx.note_stored({blobs[0]: 10})
    assert stored(catalog, blobs) == set(blobs)


def test_what_the_catalog_does_not_know_is_condemned_at_once(catalog: Catalog, make: Any, blobs: list[str]) -> None:
    unknown = names(make, "x", "y")
    with catalog.begin() as tx:
        assert tx.condemn_unknown([*blobs, *unknown]) == 2
        assert tx.condemn_unknown([*blobs, *unknown]) == 0
    assert claim(catalog) == set(unknown)


def test_a_versions_blob_is_leased_before_it_is_stored(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        make.add(tx, make.TRUNK, "one")
        tx.lease_for_version(make.TRUNK, 1, make.GOLDEN)
        tx.note_stored({make.GOLDEN: 9})
    assert condemn(catalog, [make.GOLDEN]) == 0
    with catalog.begin() as tx:
        done = tx.finish_version(
            make.TRUNK, 1, state=State.READY, report=make.REPORT, interface=1, golden_digest=make.GOLDEN
        )
    assert done.state is State.READY


def test_what_nobody_needs_is_counted(catalog: Catalog, make: Any, blobs: list[str]) -> None:
    push = make.push()
    with catalog.begin() as tx:
        tx.add_push(push)
        tx.lease_blobs(push.id, {blobs[0]: 10})
    condemn(catalog, blobs[:2])
    with catalog.read() as tx:
        assert tx.unneeded() == (2, 20)


def test_a_push_says_what_it_announced(catalog: Catalog, make: Any) -> None:
    push = make.push()
    with catalog.begin() as tx:
        tx.add_push(push)
        tx.lease_blobs(push.id, {make.digest("one"): 3})
        asked = [make.digest("one"), make.digest("two")]
        assert tx.announced(push.id, asked) == {make.digest("one"): Announced("ada", "acme/trunk", size=3)}
        assert tx.announced(uuid4(), asked) == {}


def test_a_push_of_the_same_content_is_gone_on_with(catalog: Catalog, make: Any) -> None:
    first, second = make.push(), make.push()
    with catalog.begin() as tx:
        assert tx.resume_push(first) is None
        tx.add_push(first)
        assert tx.resume_push(second) == first.id
        assert tx.push(first.id).created_at == second.created_at
        version = make.add(tx, make.TRUNK, "one")
        tx.complete_push(first.id, version.number)
        assert tx.resume_push(second) is None


def test_blobs_come_in_pages_in_order(catalog: Catalog, make: Any, blobs: list[str]) -> None:
    with catalog.begin() as tx:
        tx.note_lost(blobs[0])
        assert tx.blob_page("") == sorted(blobs[1:])
        assert tx.blob_page(min(blobs[1:])) == [max(blobs[1:])]
        assert tx.blob_page(max(blobs)) == []


def test_thousands_of_blobs_are_one_lease(catalog: Catalog, make: Any) -> None:
    many = {make.digest(str(number)): number for number in range(2_500)}
    push = make.push()
    with catalog.begin() as tx:
        tx.note_stored(many)
        tx.add_push(push)
        assert tx.lease_blobs(push.id, many) == many.keys()
        assert tx.lease_blobs(push.id, many) == many.keys()
    assert condemn(catalog, list(many)[:500]) == 0


def test_one_sweeps_at_a_time(catalog: Catalog) -> None:
    refused: list[str] = []

    def sweep_too() -> None:
        other = Catalog(catalog.url.render_as_string(hide_password=False))
        try:
            with other.sweeping():
                refused.append("both sweep")
        except Conflict as error:
            refused.append(error.detail)
        finally:
            other.close()

    with catalog.sweeping():
        thread = threading.Thread(target=sweep_too)
        thread.start()
        thread.join()
    assert refused == ["Another process is sweeping."]
    with catalog.sweeping():
        pass


def test_a_claim_waits_for_a_push_that_is_just_taking_the_blob(catalog: Catalog, make: Any, blobs: list[str]) -> None:
    """The one that comes second finds what the first one did, on either database."""
    push = make.push()
    condemn(catalog, blobs)
    claimed: list[set[str]] = []
    sweeper = threading.Thread(target=lambda: claimed.append(claim(catalog)))
    with catalog.begin() as tx:
        tx.add_push(push)
        tx.lease_blobs(push.id, {blobs[0]: 10})
        sweeper.start()
        sweeper.join(0.5)
    sweeper.join()
    assert claimed == [set(blobs[1:])]
    assert stored(catalog, blobs) == {blobs[0]}


def test_a_push_waits_for_a_claim_and_finds_nothing(catalog: Catalog, make: Any, blobs: list[str]) -> None:
    push = make.push()
    condemn(catalog, blobs)
    found: list[set[str]] = []

    def take() -> None:
        with catalog.begin() as tx:
            tx.add_push(push)
            found.append(tx.lease_blobs(push.id, {blobs[0]: 10}))

    pusher = threading.Thread(target=take)
    with catalog.begin() as tx:
        assert len(tx.claim_condemned(future())) == 3
        pusher.start()
        pusher.join(0.5)
    pusher.join()
    assert found == [set()]
