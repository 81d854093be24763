"""Families and impacts over HTTP: what is around a version, what withdrawing it would do, and what nobody may know."""

from typing import Any

import pytest

from hub.domain.access import Scope
from hub.domain.lineage import Edge, EdgeKind
from hub.protocol import paths
from hub.protocol.schemas import VersionDetail


def edge(to: VersionDetail, kind: EdgeKind = EdgeKind.HEAD_OF) -> Edge:
    version = to.version
    return Edge(kind=kind, model=version.model, number=version.number, digest=version.digest)


@pytest.fixture(scope="module")
def tree(shared_hub: Any, saved_model: Any) -> Any:
    """A trunk of two versions, a head on each, a private head on the second, and a public head on a private trunk."""
    admin = shared_hub.admin

    def push(model: str, producer: str, *edges: Edge, **more: Any) -> VersionDetail:
        return admin.push(model, {"saved_model.pb": saved_model(producer=producer)}, *edges, **more)

    first = push("acme/trunk", "one")
    second = push("acme/trunk", "two", edge(first, EdgeKind.FINETUNED_FROM), alias="stable")
    push("shop/head", "on one", edge(first))
    push("shop/head", "on two", edge(second))
    push("lab/secret", "hidden", edge(second), is_private=True)
    secret = push("lab/trunk", "hidden trunk", is_private=True)
    push("shop/odd", "on hidden", edge(secret))
    push("acme/leaving", "three")
    push("acme/leaving", "four", alias="stable")
    return shared_hub


def family(caller: Any, model: str, number: int, depth: int) -> Any:
    answer = caller.http.get(paths.family(model, number), params={"depth": depth})
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(found: Any) -> set[str]:
    return {relative["reference"] for relative in found["relatives"]}


def ties(found: Any) -> set[tuple[str, str, str]]:
    return {(tie["child"], tie["kind"], tie["parent"]) for tie in found["ties"]}


def test_a_family_grows_with_its_depth(tree: Any) -> None:
    near = family(tree.admin, "acme/trunk", 2, 1)
    assert names(near) == {"acme/trunk@1", "acme/trunk@2", "shop/head@2", "lab/secret@1"}
    assert near["relatives"][0]["reference"] == near["centre"] == "acme/trunk@2"
    assert ties(near) == {
        ("acme/trunk@2", "finetuned_from", "acme/trunk@1"),
        ("acme/trunk@2", "follows", "acme/trunk@1"),
        ("shop/head@2", "head_of", "acme/trunk@2"),
        ("lab/secret@1", "head_of", "acme/trunk@2"),
    }
    far = family(tree.admin, "acme/trunk", 2, 2)
    assert names(far) - names(near) == {"shop/head@1"}
    assert ("shop/head@2", "follows", "shop/head@1") in ties(far)
    assert names(family(tree.admin, "shop/head", 1, 4)) == names(far)


def test_private_relatives_are_counted_for_who_may_not_see_them(tree: Any) -> None:
    found = family(tree.nobody, "acme/trunk", 2, 4)
    assert names(found) == {"acme/trunk@1", "acme/trunk@2", "shop/head@1", "shop/head@2"}
    assert "secret" not in str(found)
    assert found["relatives"][0]["hidden"] == {"trunks_before": 0, "trunks_after": 0, "heads_after": 1}


@pytest.mark.parametrize("path", [paths.family, paths.lineage, paths.version, paths.impact])
def test_a_public_head_does_not_name_its_private_trunk(tree: Any, path: Any) -> None:
    answer = tree.nobody.http.get(path("shop/odd", 1))
    assert answer.status_code == 200
    assert "lab/trunk" not in answer.text
    seen = tree.caller(Scope.READ).http.get(path("shop/odd", 1))
    assert path is paths.impact or "lab/trunk" in seen.text


def test_a_hidden_trunk_is_counted(tree: Any) -> None:
    assert tree.nobody.http.get(paths.lineage("shop/odd", 1)).json()["hidden_parents"] == 1
    assert tree.nobody.http.get(paths.version("shop/odd", 1)).json()["hidden_parents"] == 1
    assert family(tree.nobody, "shop/odd", 1, 1)["relatives"][0]["hidden"]["trunks_before"] == 1


def test_depth_has_limits(tree: Any) -> None:
    for depth in (0, 5, "x"):
        tree.nobody.problem("GET", f"{paths.family('acme/trunk', 2)}?depth={depth}", 422)


def test_an_impact_says_what_moves_and_what_stands_on_it(tree: Any) -> None:
    found = tree.nobody.http.get(paths.impact("acme/trunk", 2)).json()
    assert {move["reference"]: move["after"] for move in found["moves"]} == {
        "acme/trunk": 1,
        "acme/trunk:latest": 1,
        "acme/trunk~1": 1,
        "acme/trunk:stable": None,
    }
    assert [head["model"] for head in found["heads"]] == ["shop/head"]
    assert (found["derived"], found["hidden"], found["is_cut"]) == ([], 1, False)
    first = tree.admin.http.get(paths.impact("acme/trunk", 1)).json()
    assert first["moves"] == []
    assert [child["number"] for child in first["derived"]] == [2]


def test_what_an_impact_foretells_is_what_happens(tree: Any) -> None:
    admin = tree.admin
    foretold = admin.http.get(paths.impact("acme/leaving", 2)).json()["moves"]
    assert len(foretold) == 4
    assert admin.http.post(paths.yank("acme/leaving", 2), json={"reason": "a test"}).status_code == 200
    for move in foretold:
        answer = admin.http.get(paths.RESOLVE, params={"ref": move["reference"]})
        assert (answer.json()["number"] if answer.status_code == 200 else None) == move["after"], move
    assert admin.http.get(paths.impact("acme/leaving", 2)).json()["moves"] == []
