"""The pages of the settings over HTTP: a new password, the last administrator, the audit as CSV."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from hub.domain.access import HUB, Scope
from hub.domain.audit import Action
from hub.services import sign_in as sign_in_module
from hub.services.passwords import password_hash
from hub.web import pages
from tests.integration.api.conftest import Hub, Landlord

OLD, NEW = "correct horse battery", "another long one"
HASHED = password_hash(OLD)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    landlord = Landlord(tmp_path_factory.mktemp("settings"), pages.routes)
    hub = landlord.start(anonymous="none")
    with hub.house.people.catalog.begin() as tx:  # hashed once: that is slow on purpose
        for name in ("ada", "bob", "eve", "mia"):
            tx.add_user(name, is_admin=False, email=None, password_hash=HASHED)
        tx.add_user("otto", is_admin=False, email=None, password_hash=None)
    yield hub
    landlord.stop()


@contextmanager
def signed_in(hub: Hub, name: str, password: str = OLD) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=hub.url, headers={"Origin": hub.url}, timeout=30) as client:
        assert client.post("/login", data={"name": name, "password": password}).status_code == 303
        yield client


def change(client: httpx2.Client, old: str, new: str = NEW, again: str | None = None) -> httpx2.Response:
    return client.post("/settings/password", data={"old": old, "new": new, "again": new if again is None else again})


def is_in(client: httpx2.Client) -> bool:
    return client.get("/settings/password").status_code == 200


def test_a_new_password_ends_every_session_but_the_one_that_it_begins(hub: Hub) -> None:
    with signed_in(hub, "ada") as here, signed_in(hub, "ada") as elsewhere, signed_in(hub, "bob") as another:
        before = here.cookies["hub_session"]
        done = change(here, OLD)
        assert (done.status_code, done.headers["location"]) == (303, "/settings/password?done")
        assert "Your password is replaced" in here.get(done.headers["location"]).text
        assert here.cookies["hub_session"] != before
        assert (is_in(here), is_in(elsewhere), is_in(another)) == (True, False, True)
        assert here.get("/", headers={"Cookie": f"hub_session={before}"}).status_code == 303
    with signed_in(hub, "ada", NEW) as again:
        assert again.post("/login", data={"name": "ada", "password": OLD}).status_code == 401
    [entry] = [each for each in hub.house.audits.entries(HUB, thing="ada").items if each.action == "user.password"]
    assert (entry.actor, entry.address, entry.facts) == ("ada", "127.0.0.1", {})


def test_what_is_wrong_with_a_new_password_is_said_and_nothing_changes(hub: Hub) -> None:
    with signed_in(hub, "bob") as bob:
        for wrong, said in (
            (change(bob, "not this"), "The old password is wrong"),
            (change(bob, OLD, "short"), "from 10 to 200 characters"),
            (change(bob, OLD, again="typed wrongly"), "typed in two ways"),
        ):
            assert wrong.status_code == 422
            assert said in wrong.text
            assert OLD not in wrong.text
        assert is_in(bob)
        foreign = bob.post("/settings/password", data={"old": OLD}, headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403
    with signed_in(hub, "bob"):
        pass


def test_old_passwords_are_not_tried_without_end_and_count_with_those_of_signing_in(hub: Hub) -> None:
    with signed_in(hub, "eve") as eve:
        for _ in range(sign_in_module.MOST_OF_USER):
            hub.house.sign_ins._of_user.count("eve 127.0.0.1")
        refused = change(eve, OLD)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert "Wait 5 minutes" in refused.text
        assert eve.post("/login", data={"name": "eve", "password": OLD}).status_code == 429


def test_who_has_no_password_is_told_who_sets_one(hub: Hub) -> None:
    made = hub.admin.http.headers["authorization"]
    with httpx2.Client(base_url=hub.url, headers={"Origin": hub.url, "Authorization": made}) as service:
        assert "has no password" in service.get("/settings/password").text
        assert "has no password here" in change(service, OLD).text
    with httpx2.Client(base_url=hub.url) as nobody:
        assert nobody.get("/settings/password").headers["location"] == "/login?next=%2Fsettings%2Fpassword"


def test_the_last_administrator_stays_and_the_page_says_why(hub: Hub) -> None:
    people = hub.house.people
    people.add_organisation(HUB, "acme")
    people.set_member(HUB, "acme", "mia", Scope.ADMIN)
    with signed_in(hub, "mia") as mia:
        for path, form in (("remove", {"user": "mia"}), ("set", {"user": "mia", "role": "write"})):
            refused = mia.post(f"/settings/access/acme/{path}", data=form)
            assert refused.status_code == 409
            assert "mia is the last administrator of acme." in refused.text
        mia.post("/settings/access/acme/set", data={"user": "otto", "role": "admin"})
        assert mia.post("/settings/access/acme/remove", data={"user": "mia"}).status_code == 303


def rows(hub: Hub, **wanted: str) -> list[dict[str, str]]:
    answer = hub.admin.http.get("/settings/audit.csv", params=wanted)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_the_audit_is_downloaded_as_far_as_the_page_shows_it_and_beyond_its_first_rows(hub: Hub) -> None:
    with hub.house.people.catalog.begin() as tx:
        for number in range(60):
            tx.note(HUB, Action.VERSION_PUSH, f"zoo/x@{number}", {"n": number})
    found = rows(hub, object="zoo/x")
    assert [row["object"] for row in found] == [f"zoo/x@{number}" for number in reversed(range(60))]
    assert (found[0]["action"], found[0]["actor"], found[0]["facts"]) == ("version.push", "hub", '{"n": 59}')
    assert rows(hub, object="zoo/x", since="2999-01-01") == rows(hub, actor="nobody") == []
    page = hub.admin.http.get("/settings/audit?object=zoo/x").text
    assert 'href="/settings/audit.csv?object=zoo%2Fx"' in page
