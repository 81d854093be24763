"""Curves of versions: replaced as a whole, listed by tag and run, gone with their version; on every database."""

from datetime import UTC, datetime
from typing import Any

from hub.domain.curves import Curve, Damage, Reading, SummariesFacts
from hub.storage.catalog.catalog import Catalog

AT = datetime(2026, 11, 1, tzinfo=UTC)


def facts(**more: Any) -> SummariesFacts:
    return SummariesFacts(put_at=AT, put_by="ada", curves=3, runs=("train",), damages=(), **more)


def curve(tag: str, run: str = "train") -> Curve:
    return Curve(run=run, tag=tag, count=3, not_finite=1, last=None, min=Reading(step=-1, value=1e-300))


def test_curves_come_back_by_tag_and_run_and_in_pages(catalog: Catalog, make: Any) -> None:
    damage = Damage(file="train/events", byte=17, reason="torn")
    told = SummariesFacts(put_at=AT, put_by="ada", curves=4, runs=("a", "b"), damages=(damage,))
    sent = [(curve("loss", "b"), b"2"), (curve("loss", "a"), b"1"), (curve("Acc%_"), b"0"), (curve("é/loss"), b"3")]
    with catalog.begin() as tx:
        make.add(tx, make.TRUNK, "one")
        tx.put_curves(make.TRUNK, 1, told, sent)
    with catalog.read() as tx:
        assert tx.summaries(make.TRUNK, 1) == told
        assert tx.summaries(make.TRUNK, 2) is None
        assert tx.versions_with_curves(make.TRUNK, 5) == [1]
        first = tx.curves(make.TRUNK, 1, limit=3)
        assert [(each.tag, each.run) for _, each in first] == [("Acc%_", "train"), ("loss", "a"), ("loss", "b")]
        assert first[0][1] == sent[2][0]
        assert [each.tag for _, each in tx.curves(make.TRUNK, 1, after=first[-1][0], limit=3)] == ["é/loss"]
        assert [each.tag for _, each in tx.curves(make.TRUNK, 1, search="LOSS", limit=9)] == ["loss", "loss", "é/loss"]
        assert [each.tag for _, each in tx.curves(make.TRUNK, 1, search="%_", limit=9)] == ["Acc%_"]
        assert [points for _, _, points in tx.drawn_curves(make.TRUNK, 1, limit=9)] == [b"0", b"1", b"2", b"3"]
        assert [points for _, _, points in tx.drawn_curves(make.TRUNK, 1, tag="loss", after=2, limit=9)] == [b"2"]


def test_putting_curves_again_replaces_all_of_them(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        make.add(tx, make.TRUNK, "one")
        tx.put_curves(make.TRUNK, 1, facts(), [(curve(f"tag{number}"), b"old") for number in range(450)])
    with catalog.begin() as tx:
        tx.put_curves(make.TRUNK, 1, facts(), [(curve("loss"), b"new")])
    with catalog.read() as tx:
        assert [(each.tag, points) for _, each, points in tx.drawn_curves(make.TRUNK, 1, limit=999)] == [
            ("loss", b"new")
        ]


def test_curves_go_with_their_version(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        make.add(tx, make.TRUNK, "one")
        make.add(tx, make.TRUNK, "two")
        for number in (1, 2):
            tx.put_curves(make.TRUNK, number, facts(), [(curve("loss"), b"x")])
        tx.delete_version(make.TRUNK, 1)
    with catalog.read() as tx:
        assert tx.versions_with_curves(make.TRUNK, 5) == [2]
        assert tx.curves(make.TRUNK, 1, limit=9) == []
