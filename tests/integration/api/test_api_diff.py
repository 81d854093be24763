"""The diff of two versions over HTTP: what it tells, to whom, and how much of it."""

from typing import Any

import pytest

from hub.domain.access import HUB
from hub.domain.interface_rules import Effect
from hub.domain.lineage import Edge, EdgeKind
from hub.protocol import paths
from hub.protocol.diffs import MAX_ROWS, VersionDiff
from hub.services.validate import BREAKS
from tests.support.curves import put_curves


def ask(caller: Any, before: str, after: str, **more: object) -> VersionDiff:
    answer = caller.http.get(paths.DIFF, params={"from": before, "to": after, **more})
    assert answer.status_code == 200, answer.text
    return VersionDiff.model_validate(answer.json())


@pytest.fixture
def trunk(hub: Any, saved_model: Any) -> Edge:
    """The edge to a trunk whose second version is wider."""
    first = hub.admin.push("acme/trunk", {"saved_model.pb": saved_model()}).version
    hub.admin.push("acme/trunk", {"saved_model.pb": saved_model(3)})
    return Edge(kind=EdgeKind.HEAD_OF, model=first.model, number=1, digest=first.digest)


def test_heads_that_would_break_are_named_and_private_ones_only_counted(hub: Any, saved_model: Any, trunk: Edge):
    hub.admin.push("acme/head", {"saved_model.pb": saved_model(producer="1")}, trunk)
    hub.admin.push("acme/hidden", {"saved_model.pb": saved_model(producer="2")}, trunk, is_private=True)
    seen = ask(hub.nobody, "acme/trunk@1", "acme/trunk").heads
    assert seen is not None
    assert (seen.total, seen.breaking, seen.hidden) == (1, 1, 1)
    assert [(row.head.reference, row.fits) for row in seen.rows] == [("acme/head@1", False)]
    assert "hidden@" not in hub.nobody.http.get(paths.DIFF, params={"from": "acme/trunk@1", "to": "acme/trunk"}).text
    everything = ask(hub.admin, "acme/trunk@1", "acme/trunk").heads
    assert everything is not None
    assert (everything.total, everything.hidden) == (2, 0)
    assert ask(hub.admin, "acme/head", "acme/hidden").heads is None


def test_a_private_model_on_either_side_is_like_an_absent_one(hub: Any, saved_model: Any, trunk: Edge):
    hub.admin.push("acme/hidden", {"saved_model.pb": saved_model(producer="2")}, is_private=True)
    for query in ({"from": "acme/trunk", "to": "acme/{}"}, {"from": "acme/{}", "to": "acme/trunk"}):
        hidden, absent = (
            hub.nobody.problem("GET", paths.DIFF, 404, params={key: text.format(name) for key, text in query.items()})
            for name in ("hidden", "absent")
        )
        assert str(hidden["detail"]).replace("hidden", "absent") == absent["detail"]


def test_what_is_no_reference_is_said_to_be_none(hub: Any, trunk: Edge):
    for wrong in ("", "acme", "acme/trunk@0", "x" * 401):
        hub.admin.problem("GET", paths.DIFF, 422, params={"from": wrong, "to": "acme/trunk"})
    hub.admin.problem("GET", paths.DIFF, 422, params={"from": "acme/trunk"})


def test_rows_are_bounded_and_counted(hub: Any, saved_model: Any):
    files = {f"assets.extra/{number:03}": str(number).encode() for number in range(MAX_ROWS + 5)}
    hub.admin.push("acme/many", {"saved_model.pb": saved_model()})
    hub.admin.push("acme/many", {"saved_model.pb": saved_model(), **files})
    found = ask(hub.admin, "acme/many@1", "acme/many@2")
    assert (found.verdict, found.changes, found.signatures) == ("compatible", (), ())
    assert (len(found.files.rows), found.files.total) == (MAX_ROWS, MAX_ROWS + 5)
    assert ask(hub.admin, "acme/many@1", "acme/many@2", all=True).files.total == MAX_ROWS + 6


def test_ops_and_facts_are_compared(hub: Any, saved_model: Any):
    hub.admin.push("acme/echo", {"saved_model.pb": saved_model()})
    hub.admin.push("acme/echo", {"saved_model.pb": saved_model(op="Relu")})
    found = ask(hub.admin, "acme/echo@1", "acme/echo@2")
    assert [(row.name, row.status, row.before, row.after) for row in found.ops.rows] == [
        ("Identity", "removed", 1, None),
        ("Relu", "added", None, 1),
    ]
    assert all(row.effect is Effect.COMPATIBLE for row in found.changes)


def test_metrics_are_compared(hub: Any, saved_model: Any):
    for number, losses in enumerate(([2.0, 0.3, 0.4], [2.0, 0.2]), start=1):
        hub.admin.push("acme/echo", {"saved_model.pb": saved_model(producer=str(number))})
        sent = put_curves({("train", "loss"): list(enumerate(losses)), ("train", "lr"): [(0, 0.1)]})
        hub.house.curves.put(HUB, "acme/echo", number, sent)
    [loss] = ask(hub.admin, "acme/echo@1", "acme/echo@2").metrics.rows
    assert (loss.tag, loss.run, loss.status, loss.improved) == ("loss", "train", "changed", True)
    assert [side.best.value for side in (loss.before, loss.after) if side and side.best] == [0.3, 0.2]
    assert ask(hub.admin, "acme/echo@1", "acme/echo@2", all=True).metrics.total == 2
    page = hub.admin.http.get(paths.versions("acme/echo")).json()
    assert (page["metric"]["tag"], page["metric"]["better"]) == ("loss", "lower")
    assert {number: one["last"]["value"] for number, one in page["metric"]["values"].items()} == {"1": 0.4, "2": 0.2}


def test_a_version_pushed_on_condition_is_rejected_where_it_breaks(hub: Any, saved_model: Any, draft_of: Any):
    hub.admin.push("acme/echo", {"saved_model.pb": saved_model()})
    files = {"saved_model.pb": saved_model(3)}
    draft = draft_of(files).model_copy(update={"keeps_interface": True})
    ticket = hub.admin.begin("acme/echo", draft)
    hub.admin.http.put(hub.admin.places(ticket)[0], content=files["saved_model.pb"])
    done = hub.admin.http.post(paths.push_complete(str(ticket.push_id)))
    detail = hub.admin.settled("acme/echo", done.json()["number"])
    assert (detail.version.state.value, detail.version.interface) == ("rejected", None)
    assert [finding.rule for finding in detail.report.errors()] == [BREAKS]
    entries = hub.admin.http.get(paths.AUDIT, params={"object": "acme/echo@2"}).json()["items"]
    assert {"rules": [BREAKS]} in [entry["facts"] for entry in entries]
