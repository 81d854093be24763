"""Reading and changing what was pushed: models, versions, aliases, bytes, tokens, and who may see what."""

import hashlib

import pytest

from hub.domain.access import Scope
from hub.domain.lineage import Edge, EdgeKind
from hub.protocol import paths
from hub.runtime import sandbox

NAME = "acme/half"


@pytest.fixture
def pushed(hub, saved_model):
    """A model with one ready version; gives its detail."""
    return hub.admin.push(NAME, {"saved_model.pb": saved_model()}, alias="stable")


def test_models_come_in_pages_that_neither_repeat_nor_skip(hub, saved_model):
    admin, data = hub.admin, saved_model()
    names = [f"acme/m{index}" for index in range(5)]
    for name in names:
        admin.push(name, {"saved_model.pb": data})
    seen, after = [], None
    while True:
        page = admin.http.get(paths.MODELS, params={"limit": 2} | ({"after": after} if after else {})).json()
        seen += [model["name"] for model in page["items"]]
        after = page["next"]
        if after is None:
            break
        assert len(page["items"]) == 2
    assert seen == names


def test_models_are_found_by_owner_kind_and_text(hub, saved_model):
    admin, data = hub.admin, saved_model()
    admin.push("acme/cats", {"saved_model.pb": data}, card="whiskers")
    admin.push("beta/dogs", {"saved_model.pb": data})

    def names(**query):
        return [model["name"] for model in admin.http.get(paths.MODELS, params=query).json()["items"]]

    assert names(owner="beta") == ["beta/dogs"]
    assert names(search="WHISK") == ["acme/cats"]
    assert names(kind="head") == []
    assert names(kind="trunk") == ["acme/cats", "beta/dogs"]


def test_versions_come_newest_first_in_pages(hub, saved_model):
    for producer in "abc":
        hub.admin.push(NAME, {"saved_model.pb": saved_model(producer=producer)})
    first = hub.admin.http.get(paths.versions(NAME), params={"limit": 2}).json()
    rest = hub.admin.http.get(paths.versions(NAME), params={"limit": 2, "before": first["next"]}).json()
    assert [version["number"] for version in first["items"] + rest["items"]] == [3, 2, 1]
    assert rest["next"] is None


@pytest.mark.parametrize(
    "form", ["{name}", "{name}@1", "{name}:stable", "{name}:latest", "{name}~1", "{name}@{digest}"]
)
def test_every_form_of_reference_leads_to_the_version(hub, pushed, form):
    ref = form.format(name=NAME, digest=pushed.version.digest)
    assert hub.nobody.http.get(paths.RESOLVE, params={"ref": ref}).json()["digest"] == pushed.version.digest


@pytest.mark.parametrize(
    ("ref", "code"),
    [
        (f"{NAME}@2", "version-not-found"),
        (f"{NAME}:beta", "version-not-found"),
        (f"{NAME}~7", "version-not-found"),
        ("acme/nothing", "model-not-found"),
        ("no name", "invalid-name"),
        (f"{NAME}@0", "invalid-name"),
    ],
)
def test_a_reference_to_nothing_says_what_is_not_there(hub, pushed, ref, code):
    status = 422 if code == "invalid-name" else 404
    assert hub.nobody.problem("GET", paths.RESOLVE, status, params={"ref": ref})["code"] == code


def test_a_private_model_is_absent_for_those_without_a_token(hub, saved_model):
    admin, nobody, data = hub.admin, hub.nobody, saved_model()
    digest = admin.push("acme/secret", {"saved_model.pb": data}, is_private=True).version.digest
    blob = "sha256:" + hashlib.sha256(data).hexdigest()
    for path in (
        paths.model("acme/secret"),
        paths.versions("acme/secret"),
        paths.version("acme/secret", 1),
        paths.manifest("acme/secret", 1),
        paths.version_blob("acme/secret", 1, blob),
        paths.golden("acme/secret", 1),
        paths.lineage("acme/secret", 1),
        paths.aliases("acme/secret"),
        f"{paths.RESOLVE}?ref=acme/secret@{digest}",
    ):
        hidden = nobody.problem("GET", path, 404)
        absent = nobody.problem("GET", path.replace("secret", "absent"), 404)
        assert {**hidden, "request_id": ""} == {
            key: value.replace("absent", "secret") if key == "detail" else value
            for key, value in {**absent, "request_id": ""}.items()
        }
        assert admin.http.get(path).status_code == 200
    assert nobody.http.get(paths.MODELS).json()["items"] == []
    assert len(hub.caller(Scope.READ).http.get(paths.MODELS).json()["items"]) == 1


def test_private_heads_are_only_counted_for_those_without_a_token(hub, pushed, saved_model):
    version = pushed.version
    edge = Edge(kind=EdgeKind.HEAD_OF, model=NAME, number=1, digest=version.digest)
    hub.admin.push("acme/head", {"saved_model.pb": saved_model(producer="h")}, edge, is_private=True)
    seen = hub.nobody.http.get(paths.lineage(NAME, 1)).json()
    assert (seen["children"], seen["hidden_children"]) == ([], 1)


def test_a_model_stays_private_when_the_next_push_does_not_say(hub, saved_model):
    hub.admin.push(NAME, {"saved_model.pb": saved_model()}, is_private=True)
    hub.admin.push(NAME, {"saved_model.pb": saved_model(producer="b")})
    hub.nobody.problem("GET", paths.model(NAME), 404)
    hub.admin.push(NAME, {"saved_model.pb": saved_model(producer="c")}, is_private=False)
    assert hub.nobody.http.get(paths.model(NAME)).status_code == 200


def test_without_anonymous_reading_everything_needs_a_token(start_hub):
    hub = start_hub(anonymous="none")
    for path in (paths.MODELS, paths.model(NAME), paths.RESOLVE + "?ref=a/b", paths.WORKERS):
        hub.nobody.problem("GET", path, 401)
    for path in ("/healthz", "/readyz", "/metrics", paths.OPENAPI):
        assert hub.nobody.http.get(path).status_code == 200


def test_where_anybody_may_write_anybody_sees_private_models_but_makes_no_tokens(start_hub, saved_model):
    hub = start_hub(anonymous="all")
    hub.nobody.push(NAME, {"saved_model.pb": saved_model()}, is_private=True)
    assert hub.nobody.http.get(paths.model(NAME)).json()["is_private"] is True
    hub.nobody.problem("POST", paths.TOKENS, 401, json={"name": "x", "scope": "admin"})


def test_a_blob_comes_whole_or_in_part(hub, pushed, saved_model):
    data = saved_model()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    url = paths.version_blob(NAME, 1, digest)
    whole = hub.nobody.http.get(url)
    assert (whole.content, whole.headers["etag"], whole.headers["content-length"]) == (
        data,
        f'"{digest}"',
        str(len(data)),
    )
    part = hub.nobody.http.get(url, headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, data[5:10])
    assert part.headers["content-range"] == f"bytes 5-9/{len(data)}"
    past = hub.nobody.http.get(url, headers={"Range": f"bytes={len(data)}-"})
    assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{len(data)}")


def test_a_blob_of_another_model_is_not_given_out(hub, pushed, saved_model):
    other = saved_model(9)
    hub.admin.push("acme/other", {"saved_model.pb": other})
    url = paths.version_blob(NAME, 1, "sha256:" + hashlib.sha256(other).hexdigest())
    assert hub.admin.problem("GET", url, 404)["code"] == "blob-not-found"


def test_golden_samples_are_given_out_where_there_are_any(hub, pushed):
    assert hub.nobody.http.get(paths.golden(NAME, 1)).content == b"golden samples"


def test_an_alias_is_moved_and_keeps_its_history(hub, pushed, saved_model):
    admin = hub.admin
    admin.push(NAME, {"saved_model.pb": saved_model(producer="b")})
    moved = admin.http.put(paths.alias(NAME, "stable"), json={"number": 2}).json()
    assert moved["aliases"] == {"stable": 2}
    assert [move["number"] for move in moved["history"]] == [2, 1]
    assert hub.nobody.http.get(paths.aliases(NAME)).json() == moved


@pytest.mark.parametrize(
    ("alias", "number", "status", "code"),
    [
        ("stable", 5, 404, "version-not-found"),
        ("latest", 1, 422, "invalid-name"),
        ("9lives", 1, 422, "invalid-name"),
        ("stable", 0, 422, "invalid-request"),
    ],
)
def test_an_alias_that_cannot_be_is_refused(hub, pushed, alias, number, status, code):
    assert hub.admin.problem("PUT", paths.alias(NAME, alias), status, json={"number": number})["code"] == code


def test_a_withdrawn_version_is_found_only_by_its_number(hub, pushed):
    admin = hub.admin
    for _ in range(2):
        answer = admin.http.post(paths.yank(NAME, 1), json={"reason": "wrong labels"})
        assert answer.json()["yanked_reason"] == "wrong labels"
    admin.problem("GET", paths.RESOLVE, 404, params={"ref": NAME})
    admin.problem("GET", paths.RESOLVE, 409, params={"ref": f"{NAME}:stable"})
    assert admin.http.get(paths.RESOLVE, params={"ref": f"{NAME}@1"}).json()["state"] == "yanked"
    assert admin.http.get(paths.manifest(NAME, 1)).status_code == 200


def test_what_heads_hang_on_is_not_removed_and_numbers_never_come_back(hub, pushed, saved_model):
    admin = hub.admin
    edge = Edge(kind=EdgeKind.HEAD_OF, model=NAME, number=1, digest=pushed.version.digest)
    admin.push("acme/head", {"saved_model.pb": saved_model(producer="h")}, edge)
    assert admin.problem("DELETE", paths.version(NAME, 1), 409)["code"] == "has-dependents"
    assert admin.problem("DELETE", paths.model(NAME), 409)["code"] == "has-dependents"
    assert admin.http.delete(paths.model("acme/head")).status_code == 204
    assert admin.http.delete(paths.version(NAME, 1)).status_code == 204
    admin.problem("GET", paths.version(NAME, 1), 404)
    assert admin.push(NAME, {"saved_model.pb": saved_model()}).version.number == 2


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", paths.model(NAME), None),
        ("DELETE", paths.version(NAME, 1), None),
        ("POST", paths.yank(NAME, 1), {"reason": "x"}),
        ("PUT", paths.alias(NAME, "a"), {"number": 1}),
    ],
)
def test_a_reader_changes_nothing(hub, pushed, method, path, body):
    hub.caller(Scope.READ).problem(method, path, 403, json=body)
    hub.nobody.problem(method, path, 401, json=body)


def test_tokens_are_made_listed_and_revoked(hub):
    admin = hub.admin
    made = admin.http.post(paths.TOKENS, json={"name": "ci", "scope": "write", "expires_in_s": 3600}).json()
    who = hub.nobody.http.get(paths.WHOAMI, headers={"Authorization": f"Bearer {made['secret']}"}).json()
    assert (who["name"], who["scope"], who["is_anonymous"]) == ("ci", "write", False)
    listed = admin.http.get(paths.TOKENS)
    assert made["secret"] not in listed.text
    assert admin.http.delete(paths.token(made["token"]["id"])).status_code == 204
    hub.nobody.problem("GET", paths.WHOAMI, 401, headers={"Authorization": f"Bearer {made['secret']}"})


def test_readiness_follows_the_engine(hub, monkeypatch):
    monkeypatch.setattr("hub.services.health.FRESH_S", -1.0)
    assert hub.nobody.http.get("/readyz").json()["ok"] is True
    hub.engine.state = "restarting"
    answer = hub.nobody.http.get("/readyz")
    checks = {check["name"]: check for check in answer.json()["checks"]}
    assert (answer.status_code, checks["engine"]["ok"], checks["database"]["ok"]) == (503, False, True)
    assert "restarting" in checks["engine"]["detail"]
    assert checks["sandbox"] == {"name": "sandbox", "ok": True, "detail": str(sandbox.tried()), "remedy": ""}
    assert hub.nobody.http.get("/healthz").status_code == 200


def test_metrics_count_routes_not_paths(hub, pushed):
    hub.nobody.http.get(paths.model(NAME))
    text = hub.nobody.http.get("/metrics").text
    assert 'route="/api/v1/models/{owner}/{name}",status="200"' in text
    assert NAME not in text
    assert 'hub_validations_finished_total{state="ready"}' in text
    assert 'hub_workers_present_count{state="ready"} 1.0' in text


def test_the_description_names_every_documented_path_and_the_problem(hub):
    described = hub.nobody.http.get(paths.OPENAPI).json()
    model, number = "{owner}/{name}", "{number}"
    documented = {
        *(
            paths.MODELS,
            paths.RESOLVE,
            paths.TOKENS,
            paths.AUDIT,
            paths.WORKERS,
            paths.STATUS,
            paths.WHOAMI,
            paths.PUSHES,
        ),
        *(paths.model(model), paths.versions(model), paths.version(model, number), paths.manifest(model, number)),
        *(paths.golden(model, number), paths.yank(model, number), paths.lineage(model, number)),
        *(paths.aliases(model), paths.alias(model, "{alias}"), paths.token("{token_id}")),
        *(paths.version_blob(model, number, "{digest}"), paths.push_blob("{push_id}", "{digest}")),
        paths.push_complete("{push_id}"),
    }
    assert documented <= set(described["paths"])
    for methods in described["paths"].values():
        for operation in methods.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert "422" not in operation["responses"]
