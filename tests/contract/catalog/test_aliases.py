"""An alias moves when its version is ready, and the last decision about it wins."""

from typing import Any

import pytest

from hub.domain.errors import (
    ModelNotFound,
    VersionNotFound,
    VersionNotReady,
    VersionYanked,
)
from hub.domain.names import parse_reference
from hub.domain.versions import State
from hub.storage.catalog.catalog import Catalog


def test_an_alias_moves_only_when_its_version_is_ready(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        make.ready(tx, make.TRUNK, "one", alias="stable")
        two, three = make.add(tx, make.TRUNK, "two", alias="stable"), make.add(tx, make.TRUNK, "three", alias="stable")
        assert tx.aliases(make.TRUNK) == {"stable": 1}
        make.finish(tx, two, State.REJECTED)
        assert tx.aliases(make.TRUNK) == {"stable": 1}
        make.finish(tx, three)
        assert tx.aliases(make.TRUNK) == {"stable": 3}
        assert [(move.number, move.previous, move.moved_by) for move in tx.alias_history(make.TRUNK)] == [
            (3, 1, "ada"),
            (1, None, "ada"),
        ]


def test_the_last_decision_about_an_alias_wins_however_long_validations_take(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        one, two = make.add(tx, make.TRUNK, "one", alias="stable"), make.add(tx, make.TRUNK, "two", alias="stable")
        three, four = make.add(tx, make.TRUNK, "three", alias="stable"), make.add(tx, make.TRUNK, "four")
        make.finish(tx, two)
        make.finish(tx, one)
        assert tx.aliases(make.TRUNK) == {"stable": 2}
        make.finish(tx, four)
        tx.set_alias(make.TRUNK, "stable", 4, "bob")
        make.finish(tx, three)
        assert tx.aliases(make.TRUNK) == {"stable": 4}
        assert [(move.number, move.moved_by) for move in tx.alias_history(make.TRUNK)] == [(4, "bob"), (2, "ada")]


def test_every_alias_asked_for_while_a_version_validates_moves_when_it_is_ready(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        one, two = make.add(tx, make.TRUNK, "one", alias="stable"), make.add(tx, make.TRUNK, "two", alias="beta")
        make.finish(tx, two)
        tx.want_alias(make.TRUNK, 1, "beta", "bob")
        tx.want_alias(make.TRUNK, 1, "beta", "bob")
        assert tx.aliases(make.TRUNK) == {"beta": 2}
        make.finish(tx, one)
        assert tx.aliases(make.TRUNK) == {"beta": 1, "stable": 1}
        assert [(move.alias, move.moved_by) for move in tx.alias_history(make.TRUNK)] == [
            ("stable", "ada"),
            ("beta", "bob"),
            ("beta", "ada"),
        ]


def test_an_alias_names_only_a_ready_version(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        make.add(tx, make.TRUNK, "one")
        make.add(tx, make.TRUNK, "two", state=State.REJECTED)
        make.ready(tx, make.TRUNK, "three")
        tx.yank(make.TRUNK, 3, "why")
        for number, error in ((1, VersionNotReady), (2, VersionNotReady), (3, VersionYanked), (4, VersionNotFound)):
            with pytest.raises(error):
                tx.set_alias(make.TRUNK, "stable", number, "ada")
        assert tx.aliases(make.TRUNK) == {}


def test_an_alias_of_a_withdrawn_version_says_why(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        make.ready(tx, make.TRUNK, "one", alias="stable")
        tx.yank(make.TRUNK, 1, "broken weights")
        with pytest.raises(VersionYanked, match="broken weights"):
            tx.resolve(parse_reference("acme/trunk:stable"))
        assert tx.resolve(parse_reference("acme/trunk@1")).state is State.YANKED


def test_moving_an_alias_to_where_it_is_leaves_no_history(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        make.ready(tx, make.TRUNK, "one", alias="stable")
        tx.set_alias(make.TRUNK, "stable", 1, "bob")
        assert len(tx.alias_history(make.TRUNK)) == 1
        for ask in (tx.aliases, tx.alias_history):
            with pytest.raises(ModelNotFound):
                ask(make.HEAD)
