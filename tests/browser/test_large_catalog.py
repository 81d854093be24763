"""A hub with ten thousand models, and one with a thousand versions: pages stay small and ask the database little."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import event, insert

from hub.domain.access import HUB, View
from hub.domain.digests import digest_of
from hub.domain.manifest import Kind, Manifest
from hub.domain.names import ModelName
from hub.storage.catalog.tables import edges, facets, models, numbers, versions
from tests.browser.conftest import FEATURES, PICTURE, Hub, accepted, add, head_of, signature
from tests.support.curves import put_curves

MODELS, VERSIONS, TAGS = 10_000, 1_000, 400
MOST_BYTES = 12_000  # of a page alone; script, style and mark are counted in test_quality
MOST_QUERIES = 15  # the same however many models, versions and heads there are
MOST_OF_LINEAGE = 24  # a handful for each step away
FEW, MANY = 3, 30
TABS = ["", "/versions", "/versions/3", "/signatures", "/files", "/training", "/try", "/diff/2..3"]
TABS += ["/lineage?depth=1", "/lineage?impact=3"]
MEANWHILE = ("blobs", "pushes", "WHERE versions.state")
TASKS = ("image-embedding", "text-embedding", "audio-tagging")
AT = datetime(2026, 11, 1, tzinfo=UTC)


def of_model(number: int) -> str:
    return f"team{number % 37}/model-{number:05}"


def fill(connection: Any) -> None:
    """Ten thousand models with a version and a card each; the first has a thousand versions, and heads on the last."""
    serving = signature("serving_default", [PICTURE], [FEATURES])
    names = [of_model(number) for number in range(MODELS)]
    several = [(name, 1, AT + timedelta(minutes=at)) for at, name in enumerate(names)]
    several += [(names[0], number, AT) for number in range(2, VERSIONS + 1)]
    named = {"created_at": AT, "created_by": "ada", "is_private": False}
    rows = [
        {"name": name, "owner": name.split("/")[0], "kind": "trunk" if at % 4 else "head", "updated_at": when}
        | {"card": f"# {name}\n\nOne of many models, the {at}th of them all.", **named}
        for at, (name, _, when) in enumerate(several[:MODELS])
    ]
    connection.execute(insert(models), rows)
    connection.execute(insert(numbers), [{"model": names[0], "last": VERSIONS}])
    facts = {"content_digest": "", "kind": "trunk", "state": "ready", "interface": 1, "size": 1_000, "message": "again"}
    facts |= {"created_by": "ada", "yanked_reason": "", "report": accepted()}
    manifest = Manifest(
        kind=Kind.TRUNK, files=(), signatures={"serving_default": serving}, tuning_face=None, tensors=(), lineage=()
    ).canonical()
    connection.execute(
        insert(versions),
        [
            {"model": name, "number": number, "digest": digest_of(f"{name} {number}".encode()), "created_at": when}
            | {"manifest": manifest, **facts}
            for name, number, when in several
        ],
    )
    connection.execute(
        insert(facets),
        [
            {"model": name, "facet": facet, "value": value}
            for at, name in enumerate(names)
            for facet, value in (("task", TASKS[at % 3]), ("tag", f"tag-{at % TAGS}"), ("input", "16×16×1"))
        ],
    )
    to_first = {"position": 0, "kind": "head_of", "parent_model": names[0], "parent_number": VERSIONS}
    to_first |= {"parent_digest": digest_of(f"{names[0]} {VERSIONS}".encode()), "signature": "serving_default"}
    connection.execute(insert(edges), [{"model": name, "number": 1, **to_first} for name in names[4:400:4]])


@pytest.fixture(scope="module")
def large(open_hub: Any) -> Hub:
    hub: Hub = open_hub()
    with hub.house.browse.catalog.begin() as tx:
        fill(tx.connection)
    return hub


@pytest.fixture
def queries(large: Hub) -> Iterator[list[str]]:
    """What the database is asked."""
    with noted(large) as asked:
        yield asked


@contextmanager
def noted(hub: Hub) -> Iterator[list[str]]:
    """What the database is asked, but for what the sweep and the validations ask meanwhile."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT") and not any(words in statement for words in MEANWHILE):
            asked.append(statement)

    engine = hub.house.browse.catalog._readers
    event.listen(engine, "before_cursor_execute", note)
    yield asked
    event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?sort=name",
        "/?q=the+77",
        "/?task=image-embedding&tag=tag-7",
        "/team7",
        "/team0/model-00000",
        "/team0/model-00000/versions",
        "/team0/model-00000/versions/500",
        "/team0/model-00000/signatures",
        "/team0/model-00000/files",
    ],
)
def test_a_page_stays_small_and_asks_little(large: Hub, queries: list[str], path: str) -> None:
    with httpx2.Client(base_url=large.url) as client, client.stream("GET", path) as answer:
        size = sum(len(piece) for piece in answer.iter_raw())
    assert answer.status_code == 200
    assert size <= MOST_BYTES
    assert 0 < len(queries) <= MOST_QUERIES, queries


def twin(hub: Hub, name: str, versions_: int) -> None:
    """A model with versions, each with curves, an alias, a head on it, and a fine-tuned sibling."""
    serving = {"signatures": [signature("serving_default", [PICTURE], [FEATURES])], "report": accepted()}
    head = [signature("serving_default", [FEATURES], [FEATURES])]
    for number in range(1, versions_ + 1):
        trunk = add(hub.house, name, kind=Kind.TRUNK, message=str(number), alias=f"v{number}", **serving)
        hub.house.curves.put(HUB, name, number, put_curves({("val", "loss"): [(0, 1.0)], ("val", "lr"): [(0, 1.0)]}))
        facts = {"signatures": head, "report": accepted(), "lineage": head_of(trunk)}
        for sibling in range(versions_ if number == versions_ else 1):
            add(hub.house, f"{name}-{number}-{sibling}", kind=Kind.HEAD, **facts)


@pytest.fixture(scope="module")
def twins(open_hub: Any) -> Hub:
    hub: Hub = open_hub()
    twin(hub, "twins/few", FEW)
    twin(hub, "twins/many", MANY)
    return hub


@pytest.mark.parametrize("tab", TABS)
def test_a_page_asks_the_same_however_much_there_is(twins: Hub, tab: str) -> None:
    asked = []
    for name in ("few", "many"):
        with noted(twins) as queries:
            assert httpx2.get(f"{twins.url}/twins/{name}{tab}").status_code == 200
        asked.append(len(queries))
    assert asked[0] == asked[1] <= (MOST_OF_LINEAGE if "lineage" in tab else MOST_QUERIES), queries


@pytest.mark.parametrize("sort", ["name", "updated"])
def test_a_list_goes_to_its_end_and_names_every_model_once(large: Hub, sort: str) -> None:
    with httpx2.Client(base_url=large.url) as client:
        names: list[str] = []
        query = {"sort": sort, "limit": 200, "tag": ["tag-1", "tag-1"], "kind": "trunk"}
        answer = client.get("/api/v1/models", params=query | {"limit": 7}).json()
        names += [model["name"] for model in answer["items"]]
        while answer["next"]:
            answer = client.get("/api/v1/models", params=query | {"limit": 7, "after": answer["next"]}).json()
            names += [model["name"] for model in answer["items"]]
    wanted = [of_model(number) for number in range(1, MODELS, TAGS) if number % 4]
    assert names == (sorted(wanted) if sort == "name" else wanted[::-1])


def test_the_counts_are_of_all_that_is_found(large: Hub) -> None:
    with httpx2.Client(base_url=large.url) as client:
        everything = client.get("/api/v1/facets").json()
        some = client.get("/api/v1/facets", params={"task": "Text-Embedding", "owner": "team7"}).json()
    assert everything["total"] == MODELS
    assert everything["facets"]["input"] == [{"value": "16×16×1", "models": MODELS}]
    assert len(everything["facets"]["tag"]) < TAGS
    expected = [number for number in range(MODELS) if number % 37 == 7 and number % 3 == 1]
    assert some["total"] == len(expected)
    assert some["facets"]["task"] == [{"value": "text-embedding", "models": len(expected)}]


def test_heads_are_counted_on_what_they_stand_on(large: Hub) -> None:
    with large.house.browse.catalog.read() as tx:
        first = tx.models(view=View(owners=frozenset(), limit=None), limit=1)[0]
        assert tx.model(ModelName.parse(first.name)).heads is None
    assert (first.name, first.latest, first.heads) == (of_model(0), VERSIONS, 99)
