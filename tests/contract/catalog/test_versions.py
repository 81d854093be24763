"""Versions come back as they were made; numbers and states only move forward."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hub.domain.errors import (
    Conflict,
    ModelNotFound,
    VersionNotFound,
)
from hub.domain.manifest import Kind
from hub.domain.names import ModelName
from hub.domain.reports import Finding, ProbeResult, Severity, SignatureProbe
from hub.domain.versions import State
from hub.storage.catalog.catalog import Catalog


def test_a_version_comes_back_with_everything_that_was_said_of_it(catalog: Catalog, make: Any) -> None:
    made = make.manifest("one")
    finding = Finding(rule="r1", severity=Severity.NOTE, message="a \x00 odd ü", place="p", remedy="x")
    report = make.REPORT.model_copy(update={"findings": (finding,)})
    probe = ProbeResult(load_ms=1.5, signatures={"f": SignatureProbe(status="answered", call_ms=0.25)})
    with catalog.begin() as tx:
        tx.ensure_model(make.TRUNK, Kind.TRUNK, is_private=False, created_by="ada")
        added = tx.add_version(
            make.TRUNK,
            made,
            digest=made.digest(),
            content_digest=make.digest("content"),
            report=report,
            state=State.VALIDATING,
            created_by="ada",
            message="first",
            alias="stable",
        )
    assert (added.number, added.state, added.size, added.message) == (1, State.VALIDATING, 3, "first")
    assert (added.interface, added.aliases, added.created_by) == (None, (), "ada")
    with catalog.begin() as tx:
        record = tx.record(make.TRUNK, 1)
        assert (record.version, record.manifest, record.report) == (added, made, report)
        assert record.manifest.digest() == added.digest
        assert (record.content_digest, record.golden_digest) == (make.digest("content"), None)
        assert tx.golden_digest(added.digest) is None
        probed = report.model_copy(update={"probe": probe})
        finished = tx.finish_version(
            make.TRUNK, 1, state=State.READY, report=probed, interface=1, golden_digest=make.GOLDEN
        )
    assert (finished.state, finished.interface, finished.aliases) == (State.READY, 1, ("stable",))
    with catalog.read() as tx:
        assert tx.record(make.TRUNK, 1).report == probed
        assert tx.record(make.TRUNK, 1).golden_digest == make.GOLDEN
        assert tx.golden_digest(added.digest) == make.GOLDEN


def test_numbers_grow_by_one_and_are_never_reused(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        assert [make.add(tx, make.TRUNK, text).number for text in ("a", "b", "c")] == [1, 2, 3]
        tx.delete_version(make.TRUNK, 3)
        assert make.add(tx, make.TRUNK, "d").number == 4
        tx.delete_model(make.TRUNK)
        with pytest.raises(ModelNotFound):
            tx.version(make.TRUNK, 4)
        assert make.add(tx, make.TRUNK, "e").number == 5
        assert make.add(tx, ModelName("acme", "other"), "a").number == 1


def test_pushes_at_once_get_numbers_of_their_own(catalog: Catalog, make: Any) -> None:
    def push(content: int) -> int:
        with catalog.begin() as tx:
            return make.add(tx, make.TRUNK, str(content)).number

    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(push, range(24)))
    assert sorted(given) == list(range(1, 25))


def test_of_two_pushes_of_one_content_at_once_the_second_sees_the_first(catalog: Catalog, make: Any) -> None:
    def push(_: int) -> int:
        with catalog.begin() as tx:
            tx.ensure_model(make.TRUNK, Kind.TRUNK, is_private=False, created_by="ada")
            known = tx.version_by_content(make.TRUNK, make.digest("content same"))
            return known.number if known else make.add(tx, make.TRUNK, "same").number

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(push, range(16))) == {1}


def test_versions_are_listed_newest_first_in_pages(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        for number in range(5):
            make.ready(tx, make.TRUNK, str(number), alias="stable" if number == 2 else None)
        first = tx.versions(make.TRUNK, before=None, limit=2)
        rest = tx.versions(make.TRUNK, before=first[-1].number, limit=10)
        assert [version.number for version in first + rest] == [5, 4, 3, 2, 1]
        assert [version.aliases for version in first + rest] == [(), (), ("stable",), (), ()]
        with pytest.raises(ModelNotFound):
            tx.versions(make.HEAD, before=None, limit=2)


def test_a_state_only_moves_forward(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        one, two = make.add(tx, make.TRUNK, "one"), make.add(tx, make.TRUNK, "two")
        assert tx.validating() == [one, two]
        with pytest.raises(Conflict, match="validating and cannot become yanked"):
            tx.yank(make.TRUNK, 1, "why")
        make.finish(tx, one)
        assert make.finish(tx, two, State.REJECTED, interface=None).state is State.REJECTED
        assert tx.validating() == []
        for version in (one, two):
            with pytest.raises(Conflict, match=version.reference):
                make.finish(tx, version)
        yanked = tx.yank(make.TRUNK, 1, "broken weights")
        assert (yanked.state, yanked.yanked_reason) == (State.YANKED, "broken weights")
        with pytest.raises(Conflict):
            tx.yank(make.TRUNK, 1, "again")
        with pytest.raises(VersionNotFound):
            tx.yank(make.TRUNK, 7, "why")


def test_the_same_content_is_recognised_while_it_is_validating_or_ready(catalog: Catalog, make: Any) -> None:
    wanted = make.digest("content one")
    with catalog.begin() as tx:
        assert tx.version_by_content(make.TRUNK, wanted) is None
        one = make.add(tx, make.TRUNK, "one")
        assert tx.version_by_content(make.TRUNK, wanted) == one
        assert tx.version_by_content(make.HEAD, wanted) is None
        done = make.finish(tx, one)
        assert tx.version_by_content(make.TRUNK, wanted) == done
        tx.yank(make.TRUNK, 1, "why")
        assert tx.version_by_content(make.TRUNK, wanted) is None
        make.add(tx, make.TRUNK, "one", state=State.REJECTED)
        assert tx.version_by_content(make.TRUNK, wanted) is None


def test_a_deleted_version_is_gone_with_its_aliases(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        make.ready(tx, make.TRUNK, "one", alias="stable")
        tx.delete_version(make.TRUNK, 1)
        assert tx.aliases(make.TRUNK) == {}
        assert tx.blobs_of_version(make.TRUNK, 1) == {}
        with pytest.raises(VersionNotFound):
            tx.version(make.TRUNK, 1)
        with pytest.raises(VersionNotFound):
            tx.delete_version(make.TRUNK, 1)
