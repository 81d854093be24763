"""Every change is in the audit with who made it and from where; what changed nothing is not."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from sqlalchemy import insert
from typer.testing import CliRunner, Result

from hub.cli.main import app
from hub.domain.access import Scope
from hub.domain.digests import digest_of
from hub.protocol import paths
from hub.services import changes
from hub.storage.catalog import tables

NAME = "acme/half"


def entries(hub, **wanted):
    answer = hub.admin.http.get(paths.AUDIT, params={"limit": 200, **wanted})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def told(hub, **wanted):
    """What was done, oldest first, but for the tokens that the test itself has made."""
    listed = reversed(entries(hub, **wanted))
    return [(entry["action"], entry["object"], entry["actor"]) for entry in listed if "token." not in entry["action"]]


def test_the_life_of_a_model_is_told(hub, saved_model):
    admin = hub.admin
    admin.push(NAME, {"saved_model.pb": saved_model()}, alias="stable", card="A card.", is_private=True)
    admin.push(NAME, {"saved_model.pb": saved_model(producer="b")}, alias="stable", is_private=False)
    for number in (1, 1, 2):
        admin.http.put(paths.alias(NAME, "stable"), json={"number": number})
    for _ in range(2):
        admin.http.post(paths.yank(NAME, 1), json={"reason": "wrong labels"})
    admin.http.delete(paths.version(NAME, 2))
    admin.http.delete(paths.model(NAME))
    assert told(hub) == [
        ("model.create", NAME, "admin"),
        ("version.push", f"{NAME}@1", "admin"),
        ("model.card", NAME, "admin"),
        ("version.ready", f"{NAME}@1", "hub"),
        ("alias.set", f"{NAME}:stable", "hub"),
        ("version.push", f"{NAME}@2", "admin"),
        ("model.visibility", NAME, "admin"),
        ("version.ready", f"{NAME}@2", "hub"),
        ("alias.set", f"{NAME}:stable", "hub"),
        ("alias.set", f"{NAME}:stable", "admin"),
        ("alias.set", f"{NAME}:stable", "admin"),
        ("version.yank", f"{NAME}@1", "admin"),
        ("version.delete", f"{NAME}@2", "admin"),
        ("model.delete", NAME, "admin"),
    ]
    facts = {entry["action"]: entry["facts"] for entry in entries(hub)}
    assert facts["model.visibility"] == {"is_private": False, "previous": True}
    assert facts["version.yank"] == {"reason": "wrong labels"}
    assert facts["version.delete"]["aliases"] == ["stable"]
    moves = [(entry["facts"]["number"], entry["facts"]["previous"]) for entry in entries(hub, object=f"{NAME}:stable")]
    assert moves == [(2, 1), (1, 2), (2, 1), (1, None)]
    assert entries(hub, object=f"{NAME}:stable")[-1]["facts"]["decided_by"] == "admin"


def test_a_push_of_what_is_there_tells_only_what_it_changed(hub, saved_model):
    files = {"saved_model.pb": saved_model()}
    hub.admin.push(NAME, files, card="A card.")
    before = len(told(hub))
    hub.admin.push(NAME, files, card="A card.", is_private=False)
    assert len(told(hub)) == before
    hub.admin.push(NAME, files, card="Another.", is_private=True, alias="stable")
    assert [action for action, _, _ in told(hub)[before:]] == ["model.card", "model.visibility", "alias.set"]


def test_a_rejection_says_by_which_rules(hub, saved_model):
    hub.admin.push(NAME, {"saved_model.pb": saved_model(op="WriteFile")})
    assert [action for action, _, _ in told(hub)] == ["model.create", "version.push", "version.reject"]
    assert entries(hub, object=f"{NAME}@1")[0]["facts"]["rules"]


def test_an_entry_says_who_asked_from_where(hub, saved_model):
    hub.admin.push(NAME, {"saved_model.pb": saved_model()})
    answer = hub.admin.http.delete(paths.model(NAME), headers={"X-Request-Id": "r-17"})
    assert answer.status_code == 204
    entry = entries(hub)[0]
    assert (entry["action"], entry["request_id"], entry["address"]) == ("model.delete", "r-17", "127.0.0.1")
    ids = {token["id"] for token in hub.admin.http.get(paths.TOKENS).json()["items"]}
    assert entry["token_id"] in ids
    ready = entries(hub, actor="hub")[0]
    assert (ready["token_id"], ready["request_id"], ready["address"]) == (None, None, None)


def test_behind_a_proxy_on_this_machine_the_address_is_the_one_it_tells(hub):
    hub.caller(Scope.READ).problem("DELETE", paths.model(NAME), 403, headers={"X-Forwarded-For": "203.0.113.7"})
    denied = [entry for entry in entries(hub) if entry["result"] == "denied"]
    assert [entry["address"] for entry in denied] == ["203.0.113.7"]


def test_where_anybody_may_write_their_changes_are_told_with_the_address(start_hub, saved_model):
    hub = start_hub(anonymous="all")
    hub.nobody.push(NAME, {"saved_model.pb": saved_model()})
    pushed = entries(hub, object=f"{NAME}@1", actor="anonymous")[0]
    assert (pushed["action"], pushed["token_id"], pushed["address"]) == ("version.push", None, "127.0.0.1")


def test_tokens_are_told_without_their_secrets(hub):
    admin = hub.admin
    made = admin.http.post(paths.TOKENS, json={"name": "ci", "scope": "write"}).json()
    for _ in range(2):
        admin.http.delete(paths.token(made["token"]["id"]))
    found = entries(hub, object=made["token"]["id"])
    assert [entry["action"] for entry in found] == ["token.revoke", "token.create"]
    assert found[0]["facts"] == {"name": "ci", "scope": "write", "user": None}
    assert made["secret"] not in admin.http.get(paths.AUDIT).text


def test_what_is_denied_is_told_but_not_without_end(hub):
    reader = hub.caller(Scope.READ)
    for _ in range(changes.MAX_DENIALS + 5):
        reader.problem("DELETE", paths.model(NAME), 403)
        hub.nobody.problem("DELETE", paths.model(NAME), 401)
    denied = [entry for entry in entries(hub) if entry["result"] == "denied"]
    assert len(denied) == changes.MAX_DENIALS
    assert {(entry["action"], entry["object"], entry["actor"]) for entry in denied} == {("model.delete", NAME, "read")}
    hub.caller(Scope.READ).problem("POST", paths.TOKENS, 403, json={"name": "x", "scope": "admin"})
    newest = next(entry for entry in entries(hub) if entry["result"] == "denied")
    assert (newest["action"], newest["facts"]) == ("token.create", {"needed": "admin"})


def test_reading_is_not_told(hub, saved_model):
    hub.admin.push(NAME, {"saved_model.pb": saved_model()})
    before = told(hub)
    for path in (paths.MODELS, paths.model(NAME), paths.manifest(NAME, 1), paths.TOKENS, paths.AUDIT):
        hub.admin.http.get(path)
    assert told(hub) == before


def test_the_audit_comes_in_pages_and_from_a_moment_on(hub):
    admin = hub.admin
    made = [admin.http.post(paths.TOKENS, json={"name": f"t{n}", "scope": "read"}).json() for n in range(5)]
    seen, before = [], None
    while True:
        page = admin.http.get(paths.AUDIT, params={"limit": 2} | ({"before": before} if before else {})).json()
        seen += [entry["object"] for entry in page["items"]]
        before = page["next"]
        if before is None:
            break
    assert seen[:5] == [token["token"]["id"] for token in reversed(made)]
    assert len(seen) == len(set(seen)) == 6
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert admin.http.get(paths.AUDIT, params={"since": later}).json() == {"items": [], "next": None}
    assert admin.http.get(paths.AUDIT, params={"since": "2020-01-01T00:00:00"}).json()["items"]
    for wrong in ({"since": "yesterday"}, {"limit": 0}, {"before": 0}, {"actor": "a\0"}, {"object": "a\0"}):
        admin.problem("GET", paths.AUDIT, 422, params=wrong)


@pytest.mark.parametrize(("scope", "status"), [(None, 401), (Scope.READ, 403), (Scope.WRITE, 403)])
def test_only_administrators_read_the_audit(hub, scope, status):
    hub.caller(scope).problem("GET", paths.AUDIT, status)


def test_the_audit_is_read_from_a_shell(hub, saved_model):
    hub.admin.push(NAME, {"saved_model.pb": saved_model()})

    def audit(*options: str) -> subprocess.CompletedProcess[str]:
        data = str(hub.house.settings.data_path)
        command = [sys.executable, "-m", "hub.cli.main", "admin", "audit", "--data-dir", data, *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    listed = audit("--json", "--object", NAME)
    assert [entry["action"] for entry in orjson.loads(listed.stdout)] == [
        "version.ready",
        "version.push",
        "model.create",
    ]
    rows = audit("--actor", "hub", "--since", "2020-01-01", "--limit", "1").stdout.splitlines()
    assert len(rows) == 1
    assert rows[0].split("\t")[1:5] == ["version.ready", f"{NAME}@1", "done", "hub"]
    assert audit("--since", "yesterday").returncode == 2


def test_what_is_old_goes_to_a_file_from_a_shell(hub, tmp_path):
    row = {"action": "model.delete", "actor": "ada", "object": "=old()", "result": "done", "facts": {}}
    with hub.house.audits.catalog._writers.begin() as connection:
        connection.execute(insert(tables.audit), row | {"at": datetime(2020, 1, 1, tzinfo=UTC)})
    file = tmp_path / "2020.csv"

    def audit(*options: str) -> Result:
        command = ["admin", "audit", "--data-dir", str(hub.house.settings.data_path), *options]
        return CliRunner().invoke(app, command)

    old = ("--before", "2021-01-01")
    assert audit("--prune", str(file)).exit_code == 2
    assert audit("--prune", str(file), *old, "--actor", "ada").exit_code == 2
    assert not file.exists()
    shown = audit("--csv", "--limit", "1", *old).stdout_bytes
    assert audit("--prune", str(file), *old).exit_code == 0
    assert file.read_bytes() == shown
    assert file.stat().st_mode & 0o777 == 0o600
    assert ",model.delete,'=old(),done,ada," in file.read_text()
    newest, *others = entries(hub, object="audit")
    assert (newest["action"], newest["actor"], newest["facts"]["entries"]) == ("audit.prune", "hub", 1)
    assert newest["facts"]["export"] == digest_of(file.read_bytes())
    assert others == entries(hub, actor="ada") == []
    assert audit("--prune", str(file), *old).exit_code == 1, "a file that is there is not written over"
