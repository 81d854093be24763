"""Pulls are added up day by day, forgotten after a month, and order the list of models."""

from typing import Any

from hub.domain.access import WHOLE
from hub.domain.names import ModelName
from hub.protocol.search import Cursor, Sort
from hub.services.tallies import Tallies
from hub.storage.catalog.catalog import Catalog
from hub.storage.catalog.pulls import DAYS, today

NAMES = [ModelName("acme", name) for name in ("a", "b", "c", "d")]


def test_pulls_of_the_last_days_are_shown_and_sorted_by(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        for name in NAMES:
            make.ready(tx, name, str(name))
        make.ready(tx, NAMES[1], "again")
        tx.add_pulls({("acme/b", 1): 5, ("acme/c", 1): 1, ("acme/gone", 1): 7, ("acme/c", 9): 7}, today() - DAYS + 1)
        tx.add_pulls({("acme/b", 1): 5, ("acme/b", 2): 1, ("acme/c", 1): 3}, today())
        tx.add_pulls({("acme/c", 1): 7}, today())
    with catalog.read() as tx:
        assert [tx.model(name).pulls for name in NAMES] == [0, 11, 11, 0]
        found = tx.models(sort=Sort.PULLS, view=WHOLE, limit=9)
        assert [model.name for model in found] == ["acme/b", "acme/c", "acme/a", "acme/d"]
        pages = [tx.models(sort=Sort.PULLS, view=WHOLE, limit=9, after=Cursor.of(one, Sort.PULLS)) for one in found]
        assert [[model.name[-1] for model in page] for page in pages] == [["c", "a", "d"], ["a", "d"], ["d"], []]
    with catalog.begin() as tx:
        tx.add_pulls({("acme/a", 1): 1}, today() + 1)
        assert tx.model(NAMES[1]).pulls == 6
        tx.delete_model(NAMES[2])
        assert [model.pulls for model in tx.models(view=WHOLE, limit=9)] == [1, 6, 0]


def test_what_was_counted_is_written_once(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        make.ready(tx, make.TRUNK, "one")
    tallies = Tallies(catalog)
    for _ in range(3):
        tallies.count("acme/trunk", 1)
    tallies.write()
    tallies.write()
    with catalog.read() as tx:
        assert tx.model(make.TRUNK).pulls == 3
