"""What a transfer is made of: the pace, the places, the journal."""

import logging
import threading
import time
from pathlib import Path

import pytest

from hub.client.journal import Journal
from hub.client.pace import Pace
from hub.client.places import BATCH, Places
from hub.protocol.schemas import BlobPlace, BlobPlaces

DIGESTS = [f"sha256:{number:064x}" for number in range(BATCH + 10)]


class Asked:
    """Answers where blobs are, and remembers the questions."""

    def __init__(self, expires_in_s: int | None = 300) -> None:
        self.questions: list[tuple[list[str], bool]] = []
        self.expires_in_s = expires_in_s

    def __call__(self, digests: list[str], is_relayed: bool) -> BlobPlaces:
        self.questions.append((digests, is_relayed))
        kind = "relayed" if is_relayed else "direct"
        items = tuple(BlobPlace(digest=digest, url=f"/{kind}/{digest}") for digest in digests)
        return BlobPlaces(items=items, expires_in_s=self.expires_in_s)


def test_places_are_asked_for_in_batches_in_the_order_they_are_needed():
    asked = Asked()
    places = Places(asked, DIGESTS)
    assert [places.of(digest) for digest in DIGESTS] == [f"/direct/{digest}" for digest in DIGESTS]
    # Few at first, so that bytes flow soon; then twice as many each time.
    assert [len(digests) for digests, _ in asked.questions] == [8, 16, 32, len(DIGESTS) - 56]
    assert [digest for digests, _ in asked.questions for digest in digests] == DIGESTS


def test_a_place_that_is_forgotten_or_has_expired_is_asked_for_anew():
    asked = Asked(expires_in_s=0)
    places = Places(asked, DIGESTS[:1])
    places.of(DIGESTS[0])
    places.of(DIGESTS[0])
    assert len(asked.questions) == 2
    asked.expires_in_s = None
    places.of(DIGESTS[0])
    places.of(DIGESTS[0])
    assert len(asked.questions) == 3
    places.forget(DIGESTS[0])
    places.of(DIGESTS[0])
    assert len(asked.questions) == 4


def test_once_the_store_is_out_of_reach_everything_goes_through_the_hub(caplog: pytest.LogCaptureFixture):
    places = Places(Asked(), DIGESTS)
    places.of(DIGESTS[0])
    with caplog.at_level(logging.WARNING):
        assert places.relay("No answer from the object store.")
        assert not places.relay("No answer from the object store.")
    assert caplog.text.count("go through the hub") == 1
    assert places.of(DIGESTS[0]) == f"/relayed/{DIGESTS[0]}"


def test_many_threads_ask_once():
    asked = Asked()
    places = Places(asked, DIGESTS[:8])
    threads = [threading.Thread(target=places.of, args=(digest,)) for digest in DIGESTS[:8]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked.questions) == 1


def test_all_that_passes_together_keeps_the_pace():
    pace = Pace(10_000.0)
    began = time.monotonic()
    threads = [threading.Thread(target=lambda: [pace.take(1_000) for _ in range(5)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # 15,000 bytes at 10,000 a second, less the second that the bucket may hold.
    assert time.monotonic() - began >= 0.45


def test_without_a_rate_nothing_waits():
    pace = Pace(None)
    pace.take(1 << 60)


def test_the_journal_is_read_back_up_to_a_line_that_was_cut_short(tmp_path: Path):
    path = tmp_path / "journal"
    journal = Journal(path)
    assert journal.done == frozenset()
    journal.note(DIGESTS[0])
    journal.note(DIGESTS[1])
    with path.open("ab") as file:
        file.write(DIGESTS[2].encode()[:30])
    again = Journal(path)
    assert again.done == frozenset(DIGESTS[:2])
    again.note(DIGESTS[3])
    assert Journal(path).done == frozenset([DIGESTS[0], DIGESTS[1], DIGESTS[3]])
