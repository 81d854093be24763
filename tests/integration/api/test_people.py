"""People over the API: whose is what, who sees it, and that knowing a digest gives nobody the bytes."""

from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest

from hub.domain.access import HUB, Scope
from hub.domain.digests import digest_of
from hub.protocol import paths, people
from hub.protocol.schemas import CreateToken

WRITE, READ, ADMIN = Scope.WRITE, Scope.READ, Scope.ADMIN
FILE = "saved_model.pb"


@dataclass(frozen=True)
class Town:
    """A hub with users, and what they come with."""

    hub: Any

    def add(self, name: str, **roles: Scope) -> Any:
        self.hub.house.people.add_user(HUB, name, is_admin=False, email=None, password=None)
        for organisation, role in roles.items():
            self.hub.house.people.set_member(HUB, organisation, name, role)
        return self.come(name)

    def come(self, name: str | None, scope: Scope = ADMIN, limit: str | None = None) -> Any:
        """Somebody with a new token: a user's, or one of the hub's own where there is no name."""
        user = replace(HUB, name=name, user=name, roles={name: ADMIN}) if name else HUB
        made = self.hub.house.access.create(user, CreateToken(name=name or "ci", scope=scope, limit=limit))
        caller = self.hub.caller(None)
        caller.http.headers["Authorization"] = f"Bearer {made.secret}"
        return caller


@pytest.fixture
def town(hub: Any) -> Town:
    for name in ("acme", "zoo"):
        hub.house.people.add_organisation(HUB, name)
    return Town(hub)


def send(caller: Any, ticket: Any, data: bytes) -> httpx2.Response:
    return caller.http.put(paths.push_blob(ticket.push_id, digest_of(data)), content=data)


def complete(caller: Any, ticket: Any) -> httpx2.Response:
    return caller.http.post(paths.push_complete(ticket.push_id))


def test_a_user_owns_what_has_their_name_and_reads_what_is_public(town: Town, saved_model: Any) -> None:
    ada, bob = town.add("ada"), town.add("bob")
    ada.push("ada/hidden", {FILE: saved_model(producer="a")}, is_private=True)
    ada.push("ada/shown", {FILE: saved_model(producer="b")})
    assert bob.http.get(paths.model("ada/shown")).status_code == 200
    bob.problem("GET", paths.model("ada/hidden"), 404)
    assert [model["name"] for model in bob.http.get(paths.MODELS).json()["items"]] == ["ada/shown"]
    assert len(ada.http.get(paths.MODELS).json()["items"]) == 2
    refused = bob.problem("DELETE", paths.model("ada/shown"), 403)
    assert "role none with ada" in str(refused["detail"])
    assert ada.http.delete(paths.model("ada/shown")).status_code == 204


def test_nobody_makes_models_under_a_name_that_is_not_theirs(town: Town, saved_model: Any, draft_of: Any) -> None:
    ada = town.add("ada", acme=READ)
    draft = draft_of({FILE: saved_model()}).model_dump(mode="json")
    for owner in ("bob", "acme", "zoo", "nobodys"):
        ada.problem("POST", paths.PUSHES, 403, json={"model": f"{owner}/x", "draft": draft})
    town.hub.admin.push("nobodys/x", {FILE: saved_model()})
    ada.problem("POST", paths.PUSHES, 403, json={"model": "nobodys/x", "draft": draft})


def test_what_somebody_may_do_changes_with_their_role_at_once(town: Town, saved_model: Any, draft_of: Any) -> None:
    ada, root = town.add("ada"), town.hub.admin
    root.push("acme/x", {FILE: saved_model()}, is_private=True)
    ada.problem("GET", paths.model("acme/x"), 404)
    root.http.put(people.member("acme", "ada"), json={"role": "read"}).raise_for_status()
    assert ada.http.get(paths.model("acme/x")).status_code == 200
    ada.problem("PUT", people.member("acme", "ada"), 403, json={"role": "admin"})
    root.http.put(people.member("acme", "ada"), json={"role": "admin"}).raise_for_status()
    town.add("bob")
    listed = ada.http.put(people.member("acme", "bob"), json={"role": "write"}).json()
    assert [(each["user"], each["role"]) for each in listed["items"]] == [("ada", "admin"), ("bob", "write")]
    ada.problem("PUT", people.member("acme", "nobody"), 404, json={"role": "read"})
    ticket = ada.begin("acme/y", draft_of({FILE: saved_model(producer="y")}))
    for method, body in (("DELETE", None), ("PUT", {"role": "write"})):
        refused = ada.problem(method, people.member("acme", "ada"), 409, json=body)
        assert refused["code"] == "last-administrator"
    root.http.put(people.member("acme", "bob"), json={"role": "admin"}).raise_for_status()
    assert ada.http.delete(people.member("acme", "ada")).status_code == 204
    ada.problem("GET", paths.model("acme/x"), 404)
    ada.problem("POST", paths.push_places(ticket.push_id), 403, json={"digests": list(ticket.missing)})
    ada.problem("POST", paths.push_complete(ticket.push_id), 403)
    ada.problem("GET", people.members("acme"), 404)


def test_a_disabled_user_is_kept_out_with_all_tokens(town: Town) -> None:
    ada = town.add("ada")
    assert ada.http.get(paths.MODELS).status_code == 200
    town.hub.house.people.set_disabled(HUB, "ada", is_disabled=True)
    ada.problem("GET", paths.MODELS, 401)
    town.hub.house.people.set_disabled(HUB, "ada", is_disabled=False)
    assert ada.http.get(paths.MODELS).status_code == 200


def test_tokens_are_ones_own_and_never_do_more_than_their_maker(town: Town) -> None:
    ada, bob = town.add("ada"), town.add("bob")
    made = ada.http.post(paths.TOKENS, json={"name": "ci", "scope": "write", "limit": "ada/x"}).json()
    assert (made["token"]["user"], made["token"]["limit"]) == ("ada", "ada/x")
    assert [token["name"] for token in ada.http.get(paths.TOKENS).json()["items"]] == ["ada", "ci"]
    assert [token["name"] for token in bob.http.get(paths.TOKENS).json()["items"]] == ["bob"]
    bob.problem("DELETE", paths.token(made["token"]["id"]), 404)
    for caller in (town.come("ada", WRITE), town.come("ada", ADMIN, "ada"), town.come(None, ADMIN, "ada")):
        caller.problem("POST", paths.TOKENS, 403, json={"name": "x", "scope": "read"})
        caller.problem("GET", paths.TOKENS, 403)
    ada.problem("POST", paths.TOKENS, 403, json={"name": "x", "scope": "read", "is_service": True})
    ada.problem("GET", paths.AUDIT, 403)
    me = town.come("ada", WRITE, "ada/x").http.get(paths.WHOAMI).json()
    assert (me["user"], me["scope"], me["limit"], me["roles"]) == ("ada", "write", "ada/x", {"ada": "admin"})
    assert ada.http.delete(paths.token(made["token"]["id"])).status_code == 204


def test_a_leaked_token_ends_when_anybody_reports_it_and_the_answer_does_not_tell(town: Town) -> None:
    ada = town.add("ada")
    made = [ada.http.post(paths.TOKENS, json={"name": "leak", "scope": "read"}) for _ in range(2)]
    secrets = [answer.json()["secret"] for answer in made]
    unknown = [secrets[0][:-1] + ("0" if secrets[0][-1] != "0" else "1"), "nothing", "trunkhub_" + "A" * 43]
    answers = [
        town.hub.nobody.http.post(people.REPORT, json={"secrets": sent}) for sent in ([secrets[0], *unknown], unknown)
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, b"")}
    alive = [ada.http.get(paths.WHOAMI, headers={"Authorization": f"Bearer {each}"}).status_code for each in secrets]
    assert alive == [401, 200]
    [entry] = [
        each for each in town.hub.admin.http.get(paths.AUDIT).json()["items"] if each["action"] == "token.report"
    ]
    assert (entry["actor"], entry["facts"]["user"]) == ("anybody", "ada")
    assert secrets[0] not in str(entry)
    town.hub.nobody.problem("POST", people.REPORT, 422, json={"secrets": ["x"] * 101})
    town.hub.nobody.problem("POST", people.REPORT, 422, json={"secrets": ["x" * 201]})


def test_who_may_not_read_bytes_is_asked_for_them_and_they_are_kept_once(
    town: Town, saved_model: Any, draft_of: Any
) -> None:
    ada, bob, data = town.add("ada"), town.add("bob"), saved_model(producer="secret")
    ada.push("ada/x", {FILE: data}, is_private=True)
    assert ada.begin("ada/again", draft_of({FILE: data})).missing == ()
    ticket = bob.begin("bob/x", draft_of({FILE: data}))
    assert ticket.missing == (digest_of(data),)
    refused = bob.problem("POST", paths.push_complete(ticket.push_id), 409)
    assert refused["code"] == "blobs-missing"
    wrong = bob.http.put(paths.push_blob(ticket.push_id, digest_of(data)), content=b"?" * len(data))
    assert (wrong.status_code, wrong.json()["code"]) == (422, "digest-mismatch")
    assert bob.begin("bob/x", draft_of({FILE: data})).missing == (digest_of(data),)
    assert send(bob, ticket, data).status_code == 204
    assert bob.begin("bob/x", draft_of({FILE: data})).missing == ()
    assert complete(bob, ticket).status_code == 200
    assert bob.settled("bob/x", 1).version.state == "ready"
    assert len(list(town.hub.house.pushes.blobs.digests())) == len({*town.hub.house.pushes.blobs.digests()})


def test_a_foreign_blob_is_like_one_that_is_not_there(town: Town, saved_model: Any, draft_of: Any) -> None:
    ada, bob, data = town.add("ada"), town.add("bob"), saved_model(producer="secret")
    other = saved_model(producer="absent")
    ada.push("ada/x", {FILE: data}, is_private=True)
    answers = []
    for each, name in ((data, "bob/one"), (other, "bob/two")):
        draft = draft_of({FILE: each})
        shorter = draft_of({FILE: each[:-1]}).model_dump(mode="json")
        lie = str(shorter).replace(digest_of(each[:-1]), digest_of(each))
        begun = bob.http.post(
            paths.PUSHES, json={"model": f"{name}lie", "draft": eval(lie)}
        )  # the true digest, a wrong size
        ticket = bob.begin(name, draft)
        first = send(bob, ticket, each)
        asked = bob.http.post(paths.push_places(ticket.push_id), json={"digests": [digest_of(each)]})
        answers.append((begun.status_code, len(ticket.missing), first.status_code, asked.status_code))
    assert answers[0] == answers[1] == (201, 1, 204, 200)


@pytest.mark.slow
def test_an_object_store_is_sent_foreign_bytes_too_and_what_is_sent_is_checked(
    start_hub: Any, s3_url: str, saved_model: Any, draft_of: Any
) -> None:
    town = Town(start_hub(storage_url=s3_url, anonymous="none"))
    ada, bob, data = town.add("ada"), town.add("bob"), saved_model(producer="secret")

    def put(caller: Any, ticket: Any, content: bytes) -> None:
        asked = {"digests": [digest_of(data)]}
        [place] = caller.http.post(paths.push_places(ticket.push_id), json=asked).json()["items"]
        assert place["url"].startswith("http")
        httpx2.put(place["url"], content=content).raise_for_status()

    first = ada.begin("ada/x", draft_of({FILE: data}), is_private=True)
    put(ada, first, data)
    assert complete(ada, first).status_code == 200
    ticket = bob.begin("bob/x", draft_of({FILE: data}))
    assert ticket.missing == (digest_of(data),)
    assert complete(bob, ticket).json()["code"] == "blobs-missing"
    put(bob, ticket, b"?" * len(data))
    assert complete(bob, ticket).json()["code"] == "digest-mismatch"
    put(bob, ticket, data)
    assert bob.begin("bob/x", draft_of({FILE: data})).missing == ()
    assert complete(bob, ticket).status_code == 200


def test_a_token_limited_to_one_model_proves_what_it_has_too(town: Town, saved_model: Any, draft_of: Any) -> None:
    data = saved_model(producer="secret")
    town.hub.admin.push("acme/hidden", {FILE: data}, is_private=True)
    limited = town.come(None, WRITE, "acme/shown")
    assert limited.begin("acme/shown", draft_of({FILE: data})).missing == (digest_of(data),)
    limited.problem("GET", paths.model("acme/hidden"), 404)


def test_a_head_is_not_put_on_a_trunk_that_its_pusher_may_not_see(town: Town, saved_model: Any, draft_of: Any) -> None:
    from hub.domain.lineage import Edge, EdgeKind

    ada, bob = town.add("ada"), town.add("bob")
    trunk = ada.push("ada/trunk", {FILE: saved_model()}, is_private=True).version
    said = []
    for name, digest in (("ada/trunk", trunk.digest), ("ada/blank", digest_of(b"none"))):
        edge = Edge(kind=EdgeKind.HEAD_OF, model=name, number=1, digest=digest, signature="no_such")
        draft = draft_of({FILE: saved_model(producer="head")}, edge).model_dump(mode="json")
        detail = str(bob.problem("POST", paths.PUSHES, 422, json={"model": "bob/head", "draft": draft})["detail"])
        said.append(detail.replace(name, "…").replace(digest, "…"))
    assert said[0] == said[1]


def test_tokens_of_one_user_share_pushes_and_services_of_one_name_do_not(
    town: Town, saved_model: Any, draft_of: Any
) -> None:
    town.add("ada")
    draft, data = draft_of({FILE: saved_model()}), saved_model()
    first, second = town.come("ada", WRITE), town.come("ada", WRITE)
    ticket = first.begin("ada/x", draft)
    assert second.begin("ada/x", draft).push_id == ticket.push_id
    assert send(second, ticket, data).status_code == 204
    one, two = town.come(None, WRITE), town.come(None, WRITE)
    ticket = one.begin("zoo/x", draft)
    assert two.begin("zoo/x", draft).push_id != ticket.push_id
    two.problem("PUT", paths.push_blob(ticket.push_id, digest_of(data)), 404, content=data)


def test_what_hangs_on_a_model_is_named_only_as_far_as_it_may_be_seen(town: Town, saved_model: Any) -> None:
    from hub.domain.lineage import Edge, EdgeKind

    ada, bob = town.add("ada"), town.add("bob")
    trunk = ada.push("ada/trunk", {FILE: saved_model()}).version
    edge = Edge(kind=EdgeKind.HEAD_OF, model=trunk.model, number=1, digest=trunk.digest)
    bob.push("bob/private", {FILE: saved_model(producer="head")}, edge, is_private=True)
    for path in (paths.model("ada/trunk"), paths.version("ada/trunk", 1)):
        refused = ada.problem("DELETE", path, 409)
        assert "bob" not in str(refused)
        assert "1 that you may not see" in str(refused["detail"])
        assert "bob/private" in str(town.hub.admin.problem("DELETE", path, 409)["detail"])
