"""A whole level of lineage is found at once, on every database."""

from typing import Any

from sqlalchemy import event

from hub.domain.access import HUB, View
from hub.domain.manifest import Kind
from hub.domain.names import ModelName
from hub.domain.versions import State
from hub.services.families import Families
from hub.storage.catalog.catalog import Catalog

NOBODYS = View(frozenset(), None)


def test_links_go_both_ways_and_leave_out_what_was_rejected(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        trunk = make.ready(tx, make.TRUNK, "trunk")
        head = make.ready(tx, make.HEAD, "head", make.edge_to(trunk))
        make.add(tx, make.HEAD, "bad", make.edge_to(trunk), state=State.REJECTED)
        again = make.add(tx, make.HEAD, "again", make.edge_to(trunk))
        around = tx.links([trunk])
        assert [link.child for link in around] == [(again.model, again.number), (head.model, head.number)]
        assert {link.edge for link in around} == {make.edge_to(trunk)}
        assert [link.parent for link in tx.links([head])] == [(trunk.model, trunk.number)]
        assert len(tx.links([trunk, head])) == 2
        assert len(tx.links([trunk], 1)) == 1


def test_versions_follow_each_other_but_for_rejected_ones(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        first = make.ready(tx, make.TRUNK, "one")
        make.add(tx, make.TRUNK, "two", state=State.REJECTED)
        third = make.ready(tx, make.TRUNK, "three")
        pair = ((make.TRUNK.owner + "/trunk", 3), ("acme/trunk", 1))
        assert tx.successions([first]) == tx.successions([third]) == [pair]
        assert tx.successions([]) == []
        assert tx.ready_numbers(make.TRUNK) == [(3, 1), (1, 1)]


def test_versions_and_private_models_are_found_together(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        trunk = make.ready(tx, make.TRUNK, "trunk")
        head = make.ready(tx, make.HEAD, "head", make.edge_to(trunk))
        tx.set_private(make.HEAD, True)
        keys = {("acme/trunk", 1), ("acme/head", 1), ("acme/gone", 1)}
        assert tx.versions_at(keys) == {("acme/trunk", 1): trunk, ("acme/head", 1): head}
        assert tx.versions_at(set()) == {}
        assert tx.hidden_among({"acme/trunk", "acme/head", "acme/gone"}, NOBODYS) == {"acme/head": Kind.HEAD}
        assert tx.hidden_among({"acme/head"}, HUB.view) == {}
        assert tx.ready_numbers(ModelName("acme", "gone")) == []


def test_a_level_costs_the_same_number_of_queries_however_wide_it_is(catalog: Catalog, make: Any) -> None:
    counted: list[int] = []
    for heads in (1, 12):
        name = ModelName("wide", f"trunk{heads}")
        with catalog.begin() as tx:
            trunk = make.ready(tx, name, f"trunk of {heads}")
            for number in range(heads):
                make.ready(tx, ModelName("wide", f"head{heads}x{number}"), f"{heads} {number}", make.edge_to(trunk))
        statements: list[str] = []

        def count(*told: Any, into: list[str] = statements) -> None:
            into.append(told[2])

        event.listen(catalog._readers, "before_cursor_execute", count)
        family = Families(catalog).around(HUB, str(name), 1, 2)
        event.remove(catalog._readers, "before_cursor_execute", count)
        assert len(family.ties) == heads
        counted.append(len(statements))
    assert counted[0] == counted[1] < 25
