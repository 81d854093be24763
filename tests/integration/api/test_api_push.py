"""Pushing through the API: what becomes of good, repeated, wrong and half pushes."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hub.domain.access import Scope
from hub.domain.digests import digest_of
from hub.domain.errors import ModelFailed, NotAvailable, WorkerLost
from hub.domain.lineage import Edge, EdgeKind
from hub.domain.manifest import Manifest
from hub.domain.reports import ProbeResult, SignatureProbe
from hub.domain.versions import State
from hub.protocol import paths
from hub.protocol.schemas import BeginPush

NAME = "acme/half"


def head_of(version, signature="serving_default"):
    return Edge(
        kind=EdgeKind.HEAD_OF, model=version.model, number=version.number, digest=version.digest, signature=signature
    )


def test_a_good_trunk_becomes_ready_with_what_the_hub_itself_found_in_it(hub, saved_model):
    admin = hub.admin
    detail = admin.push(NAME, {"saved_model.pb": saved_model()}, card="# Half", message="first")
    version = detail.version
    assert (version.reference, version.state, version.interface) == ("acme/half@1", State.READY, 1)
    assert (version.created_by, version.message) == ("admin", "first")
    assert str(detail.signatures["serving_default"].inputs["x"]) == "x: float32[?, 2]"
    assert detail.report.probe is not None
    assert admin.http.get(paths.model(NAME)).json()["card"] == "# Half"


def test_the_manifest_s_bytes_hash_to_the_version_s_digest(hub, saved_model):
    version = hub.admin.push(NAME, {"saved_model.pb": saved_model()}).version
    data = hub.admin.http.get(paths.manifest(NAME, version.number)).content
    assert digest_of(data) == version.digest
    assert Manifest.parse(data).files[0].path == "saved_model.pb"


def test_the_same_content_again_is_recognised_and_still_moves_the_alias(hub, saved_model, draft_of):
    admin, files = hub.admin, {"saved_model.pb": saved_model()}
    admin.push(NAME, files, alias="stable")
    again = admin.begin(NAME, draft_of(files), alias="canary", card="new words")
    assert (again.push_id, again.missing) == (None, ())
    assert again.existing.number == 1
    assert set(again.existing.aliases) == {"stable", "canary"}
    assert admin.http.get(paths.model(NAME)).json()["card"] == "new words"


def test_the_same_content_again_while_it_validates_gets_its_alias_when_it_is_ready(hub, saved_model, draft_of):
    admin, files = hub.admin, {"saved_model.pb": saved_model()}
    hub.engine.gate.clear()
    ticket = admin.begin(NAME, draft_of(files))
    admin.http.put(admin.places(ticket)[0], content=files["saved_model.pb"])
    admin.http.post(paths.push_complete(str(ticket.push_id)))
    again = admin.begin(NAME, draft_of(files), alias="canary")
    assert again.existing.state is State.VALIDATING
    hub.engine.gate.set()
    assert admin.settled(NAME, 1).version.aliases == ("canary",)


def test_an_alias_moves_only_when_the_version_is_ready(hub, saved_model):
    admin = hub.admin
    admin.push(NAME, {"saved_model.pb": saved_model()}, alias="stable")
    hub.engine.outcomes.append(ProbeResult(loader=None))
    second = admin.push(NAME, {"saved_model.pb": saved_model(producer="other")}, alias="stable").version
    assert second.state is State.REJECTED
    assert admin.http.get(paths.RESOLVE, params={"ref": f"{NAME}:stable"}).json()["number"] == 1
    assert admin.http.get(paths.RESOLVE, params={"ref": NAME}).json()["number"] == 1


def test_completing_twice_even_at_once_gives_one_version(hub, saved_model, draft_of):
    admin, files = hub.admin, {"saved_model.pb": saved_model()}
    ticket = admin.begin(NAME, draft_of(files))
    admin.http.put(admin.places(ticket)[0], content=files["saved_model.pb"])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(admin.http.post, [paths.push_complete(str(ticket.push_id))] * 8))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["number"] for answer in answers} == {1}
    assert len(admin.http.get(paths.versions(NAME)).json()["items"]) == 1


def test_two_pushes_of_the_same_content_at_once_make_one_version(hub, saved_model, draft_of):
    admin, files = hub.admin, {"saved_model.pb": saved_model()}
    tickets = [admin.begin(NAME, draft_of(files)) for _ in range(4)]
    admin.http.put(admin.places(tickets[0])[0], content=files["saved_model.pb"])
    with ThreadPoolExecutor(4) as pool:
        done = pool.map(admin.http.post, [paths.push_complete(str(ticket.push_id)) for ticket in tickets])
    assert {answer.json()["number"] for answer in done} == {1}


def test_completing_before_all_bytes_are_there_names_what_is_missing(hub, saved_model, draft_of):
    admin, data = hub.admin, saved_model()
    ticket = admin.begin(NAME, draft_of({"saved_model.pb": data}))
    problem = admin.problem("POST", paths.push_complete(str(ticket.push_id)), 409)
    assert problem["code"] == "blobs-missing"
    assert problem["facts"]["digests"] == [digest_of(data)]
    admin.problem("GET", paths.model(NAME), 404)


@pytest.mark.parametrize("missing_is_asked_again", [False, True])
def test_bytes_that_are_stored_are_not_asked_for_and_may_be_sent_all_the_same(
    hub, saved_model, draft_of, missing_is_asked_again
):
    admin, data = hub.admin, saved_model()
    ticket = admin.begin(NAME, draft_of({"saved_model.pb": data}))
    assert admin.http.put(admin.places(ticket)[0], content=data).status_code == 204
    if missing_is_asked_again:
        assert admin.begin("acme/other", draft_of({"saved_model.pb": data})).missing == ()
    else:
        assert admin.http.put(admin.places(ticket)[0], content=data).status_code == 204


def test_wrong_bytes_are_refused_and_leave_nothing(hub, saved_model, draft_of):
    admin, data = hub.admin, saved_model()
    ticket = admin.begin(NAME, draft_of({"saved_model.pb": data}))
    url = admin.places(ticket)[0]
    assert admin.problem("PUT", url, 422, content=b"x" * len(data))["code"] == "digest-mismatch"
    assert admin.problem("PUT", url, 422, content=data[:-1])["code"] == "invalid-request"
    assert admin.problem("PUT", url, 422, content=iter([data]))["code"] == "invalid-request"
    elsewhere = paths.push_blob(str(ticket.push_id), digest_of(b"other"))
    assert admin.problem("PUT", elsewhere, 404, content=b"other")["code"] == "blob-not-found"
    assert admin.begin(NAME, draft_of({"saved_model.pb": data})).missing


def test_a_blob_beyond_the_limit_is_refused_before_it_is_read(hub, draft_of, saved_model):
    ticket = hub.admin.begin(NAME, draft_of({"saved_model.pb": saved_model()}))
    problem = hub.admin.problem("PUT", hub.admin.places(ticket)[0], 413, content=bytes((64 << 20) + 1))
    assert problem["code"] == "too-large"


def test_files_whose_blobs_are_not_what_they_say_are_refused_at_the_end(hub, saved_model, draft_of):
    admin, data = hub.admin, saved_model()
    draft = draft_of({"saved_model.pb": data})
    lying = draft.files[0].model_copy(update={"digest": digest_of(b"another file")})
    ticket = admin.begin(NAME, draft.model_copy(update={"files": (lying,)}))
    admin.http.put(admin.places(ticket)[0], content=data)
    problem = admin.problem("POST", paths.push_complete(str(ticket.push_id)), 422)
    assert problem["code"] == "digest-mismatch"
    admin.problem("GET", paths.model(NAME), 404)


def test_what_is_no_saved_model_is_rejected_with_the_reasons(hub):
    detail = hub.admin.push(NAME, {"saved_model.pb": b"\xff\xff\xff nothing"})
    assert detail.version.state is State.REJECTED
    assert detail.report.servable.answer == "no"
    assert detail.report.errors()
    assert hub.engine.probed == []


def test_a_rejected_version_gives_no_bytes(hub):
    hub.admin.push(NAME, {"saved_model.pb": b"nothing"})
    problem = hub.admin.problem("GET", paths.manifest(NAME, 1), 409)
    assert problem["code"] == "version-not-ready"
    blob = paths.version_blob(NAME, 1, digest_of(b"nothing"))
    assert hub.admin.problem("GET", blob, 409)["code"] == "version-not-ready"


def test_somebody_else_s_push_is_not_to_be_seen(hub, saved_model, draft_of):
    ticket = hub.admin.begin(NAME, draft_of({"saved_model.pb": saved_model()}))
    writer = hub.caller(Scope.WRITE)
    assert writer.problem("POST", paths.push_complete(str(ticket.push_id)), 404)["code"] == "push-not-found"
    assert writer.problem("PUT", hub.admin.places(ticket)[0], 404, content=b"x")["code"] == "push-not-found"


@pytest.mark.parametrize(("scope", "status"), [(None, 401), (Scope.READ, 403)])
def test_who_may_not_write_may_not_push(hub, saved_model, draft_of, scope, status):
    body = {"model": NAME, "draft": draft_of({"saved_model.pb": saved_model()}).model_dump(mode="json")}
    hub.caller(scope).problem("POST", paths.PUSHES, status, json=body)


def test_a_head_is_probed_on_its_trunk_and_answers_on_the_trunk_s_input(hub, saved_model):
    admin = hub.admin
    trunk = admin.push("acme/trunk", {"saved_model.pb": saved_model(3)}).version
    head = admin.push("acme/head", {"saved_model.pb": saved_model(3, producer="head")}, head_of(trunk))
    assert head.version.state is State.READY
    assert hub.engine.probed[-1] == (head.version.digest, trunk.digest)
    assert [edge.model for edge in head.lineage] == ["acme/trunk"]
    lineage = admin.http.get(paths.lineage("acme/trunk", 1)).json()
    assert [child["version"]["model"] for child in lineage["children"]] == ["acme/head"]


def test_a_head_that_does_not_fit_its_trunk_is_rejected_and_told_why(hub, saved_model):
    admin = hub.admin
    trunk = admin.push("acme/trunk", {"saved_model.pb": saved_model(3)}).version
    head = admin.push("acme/head", {"saved_model.pb": saved_model(4)}, head_of(trunk))
    assert head.version.state is State.REJECTED
    assert "head.does-not-fit" in {finding.rule for finding in head.report.errors()}


def test_a_head_of_a_trunk_that_is_not_here_is_refused(hub, saved_model, draft_of):
    admin = hub.admin
    trunk = admin.push("acme/trunk", {"saved_model.pb": saved_model(3)}).version
    rejected = admin.push("acme/trunk", {"saved_model.pb": b"no model"}).version
    wrong = [
        head_of(trunk.model_copy(update={"digest": digest_of(b"unknown")})),
        head_of(trunk.model_copy(update={"number": 9})),
        head_of(trunk, "no_such_signature"),
        head_of(rejected),
    ]
    for edge in wrong:
        draft = draft_of({"saved_model.pb": saved_model(3)}, edge).model_dump(mode="json")
        problem = admin.problem("POST", paths.PUSHES, 422, json={"model": "acme/head", "draft": draft})
        assert problem["code"] == "invalid-model"
        assert problem["remedy"]


def test_a_head_cannot_be_pushed_into_a_trunk_s_name(hub, saved_model, draft_of):
    trunk = hub.admin.push(NAME, {"saved_model.pb": saved_model()}).version
    draft = draft_of({"saved_model.pb": saved_model()}, head_of(trunk)).model_dump(mode="json")
    assert hub.admin.problem("POST", paths.PUSHES, 409, json={"model": NAME, "draft": draft})["code"] == "conflict"


def test_the_interface_grows_only_when_callers_would_break(hub, saved_model):
    admin = hub.admin
    widths = [(2, "a"), (2, "b"), (5, "a"), (5, "b")]
    versions = [admin.push(NAME, {"saved_model.pb": saved_model(w, producer=p)}).version for w, p in widths]
    assert [version.interface for version in versions] == [1, 1, 2, 2]
    assert admin.http.get(paths.RESOLVE, params={"ref": f"{NAME}~1"}).json()["number"] == 2
    admin.http.post(paths.yank(NAME, 3), json={"reason": "a mistake"})
    admin.http.post(paths.yank(NAME, 4), json={"reason": "a mistake"})
    back = admin.push(NAME, {"saved_model.pb": saved_model(2, producer="c")}).version
    other = admin.push(NAME, {"saved_model.pb": saved_model(7)}).version
    assert (back.interface, other.interface) == (1, 3)


def test_a_lost_worker_is_not_the_model_s_fault(hub, saved_model):
    hub.engine.outcomes += [WorkerLost("gone"), NotAvailable("not yet")]
    version = hub.admin.push(NAME, {"saved_model.pb": saved_model()}).version
    assert version.state is State.READY
    assert len(hub.engine.probed) == 3


def test_a_model_that_takes_every_prober_with_it_is_rejected_in_the_end(hub, saved_model, monkeypatch):
    monkeypatch.setattr("hub.services.validate.PAUSE_S", 0.01)
    hub.engine.outcomes += [WorkerLost("gone")] * 20
    detail = hub.admin.push(NAME, {"saved_model.pb": saved_model()})
    assert detail.version.state is State.REJECTED
    assert "probe.worker-lost" in {finding.rule for finding in detail.report.errors()}


def test_a_signature_that_fails_everywhere_rejects_the_version(hub, saved_model):
    failed = SignatureProbe(status="failed", detail="no kernel")
    hub.engine.outcomes.append(ProbeResult(loader="session", signatures={"serving_default": failed}))
    detail = hub.admin.push(NAME, {"saved_model.pb": saved_model()})
    assert detail.version.state is State.REJECTED
    assert detail.report.servable.answer == "no"


def test_an_error_nobody_foresaw_does_not_end_the_watch_for_others(hub, saved_model, monkeypatch):
    monkeypatch.setattr("hub.services.validate.PAUSE_S", 0.01)
    hub.engine.outcomes += [ModelFailed("unexpected"), RuntimeError("a bug")]
    assert hub.admin.push(NAME, {"saved_model.pb": saved_model()}).version.state is State.READY


def test_a_restart_takes_up_what_was_validating(start_hub, saved_model, draft_of):
    first = start_hub()
    secret = first.admin.http.headers["Authorization"]
    files = {"saved_model.pb": saved_model()}
    first.engine.outcomes += [NotAvailable("no worker")] * 1_000
    admin = first.admin
    ticket = admin.begin(NAME, draft_of(files), alias="stable")
    admin.http.put(admin.places(ticket)[0], content=files["saved_model.pb"])
    assert admin.http.post(paths.push_complete(str(ticket.push_id))).json()["state"] == "validating"
    second = start_hub()
    caller = second.nobody
    caller.http.headers["Authorization"] = secret
    settled = caller.settled(NAME, 1).version
    assert (settled.state, settled.aliases) == (State.READY, ("stable",))


def test_a_wait_ends_while_the_version_still_validates(hub, saved_model, draft_of):
    admin, files = hub.admin, {"saved_model.pb": saved_model()}
    hub.engine.gate.clear()
    ticket = admin.begin(NAME, draft_of(files))
    admin.http.put(admin.places(ticket)[0], content=files["saved_model.pb"])
    admin.http.post(paths.push_complete(str(ticket.push_id)))
    answer = admin.http.get(paths.version(NAME, 1), params={"wait_s": 0.3})
    assert answer.json()["version"]["state"] == "validating"
    threading.Timer(0.1, hub.engine.gate.set).start()
    assert admin.settled(NAME, 1).version.state is State.READY


def test_the_same_key_begins_the_same_push(hub, saved_model, draft_of):
    data = {"saved_model.pb": saved_model()}
    headers = {"Idempotency-Key": "k-1"}

    def begin(**changes):
        body = BeginPush(model="acme/m", draft=draft_of(data)).model_dump(mode="json") | changes
        return hub.admin.http.post(paths.PUSHES, json=body, headers=headers)

    first, second = begin(), begin()
    assert first.status_code == second.status_code == 201
    assert first.json()["push_id"] == second.json()["push_id"]
    assert begin(message="another").status_code == 409
    hub.admin.push("acme/m", data)
    assert begin().json()["existing"]["number"] == 1


def test_the_same_key_makes_one_token(hub):
    body, headers = {"name": "ci", "scope": "read"}, {"Idempotency-Key": "k-1"}
    made = hub.admin.http.post(paths.TOKENS, json=body, headers=headers).json()["token"]
    problem = hub.admin.problem("POST", paths.TOKENS, 409, json=body, headers=headers)
    assert made["id"] in problem["detail"]
    assert [token["name"] for token in hub.admin.http.get(paths.TOKENS).json()["items"]].count("ci") == 1


def test_versions_that_are_postponed_again_and_again_hold_up_nobody_else(hub, saved_model, draft_of):
    hub.engine.gate.clear()
    hub.engine.outcomes = [NotAvailable("Not now."), NotAvailable("Not now.")]
    digests = []
    for position, name in enumerate(("acme/a", "acme/b", "acme/c")):
        data = saved_model(2 + position)
        ticket = hub.admin.begin(name, draft_of({"saved_model.pb": data}))
        hub.admin.http.put(hub.admin.places(ticket)[0], content=data).raise_for_status()
        digests.append(hub.admin.http.post(paths.push_complete(str(ticket.push_id))).json()["digest"])
    hub.engine.gate.set()
    assert [hub.admin.settled(name, 1).version.state for name in ("acme/a", "acme/b", "acme/c")] == [State.READY] * 3
    assert digests[2] in [digest for digest, _ in hub.engine.probed[:4]]
