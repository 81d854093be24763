"""Models are made once, listed by name and found by what they are."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.domain.access import HUB, View
from hub.domain.errors import (
    Conflict,
    ModelNotFound,
)
from hub.domain.manifest import Kind
from hub.domain.names import ModelName
from hub.domain.versions import State
from hub.protocol.search import Cursor, ModelQuery
from hub.storage.catalog.catalog import Catalog

NOBODYS = View(frozenset(), None)


def test_a_model_comes_back_as_it_was_made(catalog: Catalog, make: Any) -> None:
    before = datetime.now(UTC)
    with catalog.begin() as tx:
        tx.ensure_model(make.TRUNK, Kind.TRUNK, is_private=True, created_by="ada")
        tx.ensure_model(make.TRUNK, Kind.TRUNK, is_private=False, created_by="bob")
    with catalog.read() as tx:
        model = tx.model(make.TRUNK)
    assert (model.name, model.kind, model.is_private, model.card) == ("acme/trunk", Kind.TRUNK, True, "")
    assert (model.latest, model.aliases) == (None, {})
    assert before <= model.created_at <= datetime.now(UTC)
    assert model.created_at.utcoffset() == timedelta(0)


def test_a_model_keeps_its_kind(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        tx.ensure_model(make.TRUNK, Kind.TRUNK, is_private=False, created_by="ada")
        with pytest.raises(Conflict, match="acme/trunk is a trunk, not a head"):
            tx.ensure_model(make.TRUNK, Kind.HEAD, is_private=False, created_by="ada")


def test_a_version_of_another_kind_is_refused(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        trunk = make.add(tx, make.TRUNK, "one")
        wrong = make.manifest("two", make.edge_to(trunk))
        facts = {
            "digest": wrong.digest(),
            "content_digest": make.GOLDEN,
            "report": make.REPORT,
            "state": State.VALIDATING,
        }
        with pytest.raises(Conflict, match="acme/trunk is a trunk, not a head"):
            tx.add_version(make.TRUNK, wrong, **facts, created_by="ada", message="", alias=None)
        with pytest.raises(ModelNotFound):
            tx.add_version(make.HEAD, wrong, **facts, created_by="ada", message="", alias=None)


def test_a_model_shows_its_newest_ready_version_and_its_aliases(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        make.ready(tx, make.TRUNK, "one", alias="stable")
        make.ready(tx, make.TRUNK, "two", alias="beta")
        make.add(tx, make.TRUNK, "three", alias="beta")
        make.add(tx, make.TRUNK, "four", state=State.REJECTED)
        model = tx.model(make.TRUNK)
    assert model.latest == 2
    assert model.aliases == {"beta": 2, "stable": 1}


def test_models_are_listed_by_name_in_pages(catalog: Catalog) -> None:
    names = ["acme/a", "acme/a-b", "acme/a.b", "acme/a0", "acme/a_b", "acme/b", "zoo/a"]
    with catalog.begin() as tx:
        for name in reversed(names):
            tx.ensure_model(ModelName.parse(name), Kind.TRUNK, is_private=False, created_by="ada")
    with catalog.read() as tx:
        listed: list[str] = []
        while page := tx.models(view=NOBODYS, after=Cursor(listed[-1]) if listed else None, limit=3):
            assert len(page) <= 3
            listed += [model.name for model in page]
    assert listed == sorted(names)


def test_models_are_found_by_owner_kind_and_text(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        trunk = make.ready(tx, make.TRUNK, "one")
        make.ready(tx, make.HEAD, "two", make.edge_to(trunk))
        hidden = ModelName("zoo", "hidden_one")
        tx.ensure_model(hidden, Kind.TRUNK, is_private=True, created_by="ada")
        tx.set_card(make.HEAD, "Tells 100% of the Lions apart.")

        def names(*, view: View = HUB.view, **wanted: object) -> list[str]:
            asked = ModelQuery(**wanted)
            return [model.name for model in tx.models(asked, limit=10, view=view)]

        assert names() == ["acme/head", "acme/trunk", "zoo/hidden_one"]
        assert names(view=NOBODYS) == ["acme/head", "acme/trunk"]
        assert names(owner="zoo") == ["zoo/hidden_one"]
        assert names(kind=Kind.HEAD) == ["acme/head"]
        assert names(search="lIONS") == ["acme/head"]
        assert names(search="TRUNK") == ["acme/trunk"]
        assert names(search="n_o") == ["zoo/hidden_one"]
        assert names(search="0%") == ["acme/head"]
        assert names(search="%o%") == []


def test_a_card_and_the_privacy_of_a_model_can_change(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        make.add(tx, make.TRUNK, "one")
        tx.set_card(make.TRUNK, "# Ünïcödé 🌳")
        tx.set_private(make.TRUNK, True)
        model = tx.model(make.TRUNK)
        assert (model.card, model.is_private) == ("# Ünïcödé 🌳", True)
        assert model.updated_at > model.created_at
        for change in (lambda: tx.set_card(make.HEAD, ""), lambda: tx.set_private(make.HEAD, True)):
            with pytest.raises(ModelNotFound, match="acme/head"):
                change()
