"""Lineage is found in both directions and protects what others hang on."""

from typing import Any

import pytest

from hub.domain.errors import HasDependents, ModelNotFound
from hub.domain.lineage import Edge, EdgeKind
from hub.domain.names import ModelName
from hub.domain.versions import State
from hub.storage.catalog.catalog import Catalog


def test_lineage_is_found_in_both_directions(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        trunk = make.ready(tx, make.TRUNK, "trunk")
        tuned = Edge(kind=EdgeKind.FINETUNED_FROM, model="zoo/x", number=3, digest=make.GOLDEN)
        head = make.ready(tx, make.HEAD, "head", make.edge_to(trunk), tuned)
        again = make.add(tx, make.HEAD, "again", make.edge_to(trunk))
        assert [link.edge for link in tx.links([head])] == [make.edge_to(trunk), tuned]
        assert [link.child for link in tx.links([trunk])] == [(again.model, again.number), (head.model, head.number)]
        assert tx.children(trunk) == [again, head]
        assert tx.children(head) == []


def test_the_same_bytes_under_another_name_have_their_own_children(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        trunk = make.ready(tx, make.TRUNK, "trunk")
        twin = make.ready(tx, ModelName("acme", "twin"), "trunk")
        assert twin.digest == trunk.digest
        head = make.ready(tx, make.HEAD, "head", make.edge_to(trunk))
        assert (tx.children(trunk), tx.children(twin)) == ([head], [])
        tx.delete_version(ModelName("acme", "twin"), 1)
        tx.delete_model(ModelName("acme", "twin"))


def test_what_heads_hang_on_is_not_deleted(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        trunk = make.ready(tx, make.TRUNK, "trunk")
        head = make.ready(tx, make.HEAD, "head", make.edge_to(trunk))
        for delete in (lambda: tx.delete_version(make.TRUNK, 1), lambda: tx.delete_model(make.TRUNK)):
            with pytest.raises(HasDependents, match="acme/head"):
                delete()
        tx.delete_version(make.HEAD, head.number)
        tx.delete_model(make.TRUNK)
        with pytest.raises(ModelNotFound):
            tx.delete_model(make.TRUNK)


def test_a_rejected_head_holds_nothing(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        trunk = make.ready(tx, make.TRUNK, "trunk")
        make.add(tx, make.HEAD, "head", make.edge_to(trunk), state=State.REJECTED)
        tx.delete_version(make.TRUNK, 1)
        tx.delete_model(make.TRUNK)
        with pytest.raises(ModelNotFound):
            tx.model(make.TRUNK)


def test_a_blob_belongs_to_the_versions_that_have_it(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        one = make.add(tx, make.TRUNK, "one")
        tx.finish_version(make.TRUNK, 1, state=State.READY, report=make.REPORT, interface=1, golden_digest=make.GOLDEN)
        make.add(tx, make.TRUNK, "two")
        mine = {make.digest("one"), one.digest, make.GOLDEN}
        tx.note_stored(dict.fromkeys((*mine, make.digest("two")), 7))
        assert tx.blobs_of_version(make.TRUNK, 1) == dict.fromkeys(mine, 7)
        assert tx.blobs_of_version(make.TRUNK, 2) == {make.digest("two"): 7}
        assert tx.blobs_of_version(make.HEAD, 1) == {}
