"""Curves over HTTP: put, listed, drawn, taken along as CSV, and refused where they are not what they should be."""

import csv
import io
from typing import Any

import pytest

from hub.domain.access import Scope
from hub.domain.curves import MAX_POINTS_IN_ALL
from hub.protocol import paths
from tests.support.curves import BEGAN, put_curves

CURVES = {
    ("train", "loss"): [(0, 1.0), (10, float("nan")), (20, 0.25)],
    ("validation", "loss"): [(0, 1.5), (20, float("inf"))],
    (".", "a/rate, %"): [(5, 0.1)],
}


@pytest.fixture
def version(shared_hub: Any, saved_model: Any, request: pytest.FixtureRequest) -> Any:
    """A version of a model of the test's own."""
    name = "acme/" + "".join(char for char in request.node.name.lower() if char.isalnum())[:80]
    return shared_hub.admin.push(name, {"saved_model.pb": saved_model()}).version


def put(hub: Any, version: Any, body: Any, status: int = 200) -> Any:
    answer = hub.admin.http.put(paths.curves(version.model, version.number), json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def get(hub: Any, path: str, **query: Any) -> Any:
    answer = hub.admin.http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_curves_are_listed_with_their_facts_and_drawn_by_tag(shared_hub: Any, version: Any) -> None:
    path = paths.curves(version.model, version.number)
    assert get(shared_hub, path) == {"summaries": None, "items": [], "next": None}
    told = put(shared_hub, version, put_curves(CURVES).model_dump(mode="json"))
    assert (told["curves"], told["runs"], told["put_by"]) == (3, [".", "train", "validation"], "admin")
    page = get(shared_hub, path)
    assert page["summaries"] == told
    assert [(each["tag"], each["run"]) for each in page["items"]] == [
        ("a/rate, %", "."),
        ("loss", "train"),
        ("loss", "validation"),
    ]
    loss = page["items"][1]
    assert (loss["count"], loss["not_finite"]) == (3, 1)
    assert (loss["last"], loss["max"]) == ({"step": 20, "value": 0.25}, {"step": 0, "value": 1.0})
    assert page["items"][2]["last"] is None
    first = get(shared_hub, path, limit=1)
    assert get(shared_hub, path, after=first["next"], search="LOSS")["items"] == page["items"][1:]
    drawn = get(shared_hub, paths.curve_points(version.model, version.number), tag="loss")["items"]
    assert [each["curve"] for each in drawn] == page["items"][1:]
    assert (drawn[0]["steps"], drawn[0]["values"]) == ([0, 10, 20], [1.0, None, 0.25])
    assert drawn[0]["walls"] == [BEGAN, BEGAN + 1, BEGAN + 2]
    one = get(shared_hub, paths.curve_points(version.model, version.number), tag="loss", limit=1)
    rest = get(shared_hub, paths.curve_points(version.model, version.number), tag="loss", after=one["next"])
    assert one["items"] + rest["items"] == drawn
    assert get(shared_hub, paths.curve_points(version.model, version.number), tag="none") == {"items": [], "next": None}


def test_everything_is_taken_along_as_csv(shared_hub: Any, version: Any) -> None:
    put(shared_hub, version, put_curves(CURVES).model_dump(mode="json"))
    answer = shared_hub.admin.http.get(paths.curves_csv(version.model, version.number))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment")
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["run", "tag", "step", "wall_time", "value"]
    assert rows[1][:3] == [".", "a/rate, %", "5"]
    assert float(rows[1][4]) == 0.1
    assert [row[2:] for row in rows[2:5]] == [
        ["0", str(BEGAN), "1"],
        ["10", str(BEGAN + 1), "nan"],
        ["20", str(BEGAN + 2), "0.25"],
    ]
    assert len(rows) == 7


def test_many_points_travel_packed(shared_hub: Any, version: Any) -> None:
    put(shared_hub, version, put_curves({("r", "loss"): [(n, n / 7) for n in range(1_000)]}).model_dump(mode="json"))
    answer = shared_hub.admin.http.get(
        paths.curve_points(version.model, version.number), params={"tag": "loss"}, headers={"Accept-Encoding": "gzip"}
    )
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.json()["items"][0]["steps"]) == 1_000


def test_fewer_points_keep_what_stands_out(shared_hub: Any, version: Any) -> None:
    values = [(n, n / 7) for n in range(300)] + [(n, 0.0) for n in range(300, 1_000)]
    put(shared_hub, version, put_curves({("r", "loss"): values, ("s", "loss"): [(0, 1 / 3)]}).model_dump(mode="json"))
    path = paths.curve_points(version.model, version.number)
    few, one = get(shared_hub, path, tag="loss", most=100)["items"]
    assert len(few["steps"]) == len(few["walls"]) == len(few["values"]) <= 100
    assert (few["is_thinned"], one["is_thinned"]) == (True, False)
    assert (few["steps"][0], few["steps"][-1], max(few["values"])) == (0, 999, 42.71)
    assert one["values"] == [1 / 3]
    (whole, _) = get(shared_hub, path, tag="loss")["items"]
    assert (len(whole["steps"]), whole["is_thinned"]) == (1_000, False)
    for wrong in (4, 1_001):
        assert shared_hub.admin.http.get(path, params={"tag": "loss", "most": wrong}).status_code == 422


def test_what_is_no_curve_is_refused_and_changes_nothing(shared_hub: Any, version: Any) -> None:
    put(shared_hub, version, put_curves(CURVES).model_dump(mode="json"))
    path = paths.curves(version.model, version.number)
    before = get(shared_hub, path)
    body = put_curves({("train", "loss"): [(0, 1.0)]}).model_dump(mode="json")
    (good,) = body["items"]
    wrong: list[dict[str, Any]] = [
        {"items": []},
        {"items": [good, good]},
        {"items": [good | {"points": "bm90aGluZw=="}]},
        {"items": [good | {"points": "not base64"}]},
        {"items": [good | {"curve": good["curve"] | {"tag": "x" * 301}}]},
        {"items": [good | {"curve": good["curve"] | {"run": ""}}]},
        {"items": [good | {"curve": good["curve"] | {"tag": "a\0b"}}]},
        {"items": [good | {"curve": good["curve"] | {"count": 0}}]},
        {"items": [good | {"curve": good["curve"] | {"last": {"step": 1 << 70, "value": 1}}}]},
        {"items": [good], "damages": [{"file": "f", "byte": -1, "reason": "r"}]},
        {"items": [good], "more": 1},
    ]
    for each in wrong:
        put(shared_hub, version, each, 422)
    shared_hub.admin.problem("PUT", paths.curves(version.model, 99), 404, json=body)
    assert get(shared_hub, path) == before


def test_more_points_than_are_taken_are_refused(shared_hub: Any, version: Any) -> None:
    (item,) = put_curves({("r", "t"): [(n, 1.0) for n in range(1_000)]}).model_dump(mode="json")["items"]
    count = MAX_POINTS_IN_ALL // 1_000 + 1
    items = [item | {"curve": item["curve"] | {"tag": f"t{number}"}} for number in range(count)]
    body = shared_hub.admin.problem("PUT", paths.curves(version.model, 1), 413, json={"items": items})
    assert "points are more than" in body["detail"]


def test_putting_curves_is_noted_and_reading_them_is_not(shared_hub: Any, version: Any) -> None:
    put(shared_hub, version, put_curves(CURVES).model_dump(mode="json"))
    get(shared_hub, paths.curves(version.model, version.number))
    entries = get(shared_hub, paths.AUDIT, object=version.model)["items"]
    assert entries[0]["action"] == "version.summaries"
    assert entries[0]["object"] == version.reference
    assert entries[0]["facts"] == {"curves": 3, "runs": 3, "points": 6}
    assert shared_hub.caller(Scope.READ).http.get(paths.curves(version.model, version.number)).status_code == 200
