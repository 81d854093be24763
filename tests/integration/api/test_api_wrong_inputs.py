"""Wrong inputs are told what is wrong with them; none of them is the hub's fault (no 5xx)."""

import json
import logging
import shutil
import socket
import sqlite3
import time

import pytest

from hub.protocol import paths
from hub.storage.catalog import Catalog

JSON = {"content-type": "application/json"}
DIGEST = "sha256:" + "0" * 64
FILE = {"path": "saved_model.pb", "size": 1, "digest": DIGEST, "blobs": [{"digest": DIGEST, "size": 1}]}

EDGE = {"kind": "finetuned_from", "model": "acme/trunk", "number": 1, "digest": DIGEST}


def push_of(**changes):
    return {"model": "acme/m", "draft": {"kind": "trunk", "files": [FILE]}} | changes


def with_edges(kind, *edges):
    return push_of(draft={"kind": kind, "files": [FILE], "lineage": edges})


def file_with(**changes):
    return push_of(draft={"kind": "trunk", "files": [FILE | changes]})


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b'{"model": "acme/m"', "body"),
        (b"\xff\xfe\x00", ""),
        (b"[" * 100_000, ""),
        (b"null", "body"),
        (b'"text"', "body"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(shared_hub, body, place):
    problem = shared_hub.admin.problem("POST", paths.PUSHES, 422, content=body, headers=JSON)
    assert problem["code"] == "invalid-request"
    assert place in problem["detail"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (push_of(model="Acme/M"), "body.model"),
        (push_of(model="api/m"), "body.model"),
        (push_of(surprise=1), "body.surprise"),
        (push_of(alias="9"), "body.alias"),
        (push_of(message="x" * 3_000), "body.message"),
        (push_of(message="\ud800"), "body.message"),
        (push_of(message="a\0b"), "body.message"),
        (push_of(card="a\0b"), "body.card"),
        (with_edges("trunk", EDGE | {"number": 10**30}), "body.draft.lineage.0.number"),
        (with_edges("trunk", EDGE | {"number": True}), "body.draft.lineage.0.number"),
        (with_edges("trunk", EDGE | {"signature": "a\0b"}), "body.draft.lineage.0.signature"),
        (with_edges("trunk", *[EDGE] * 101), "body.draft.lineage"),
        (with_edges("head", EDGE | {"kind": "head_of"}, EDGE | {"kind": "head_of"}), "body.draft"),
        (push_of(draft={"kind": "tree", "files": [FILE]}), "body.draft.kind"),
        (push_of(draft={"kind": "trunk", "files": []}), "body.draft.files"),
        (push_of(draft={"kind": "head", "files": [FILE]}), "body.draft"),
        (file_with(path="../../etc/passwd"), "body.draft.files.0.path"),
        (file_with(path="/etc/passwd"), "body.draft.files.0.path"),
        (file_with(path="a\x00b"), "body.draft.files.0.path"),
        (push_of(draft={"kind": "trunk", "files": [FILE, FILE | {"path": "saved_model.pb/x"}]}), "body.draft"),
        (push_of(draft={"kind": "trunk", "files": [FILE, FILE | {"path": "Saved_model.PB"}]}), "body.draft"),
        (file_with(size=-1), "body.draft.files.0.size"),
        (file_with(size=2), "body.draft.files.0"),
        (file_with(digest="md5:1"), "body.draft.files.0.digest"),
        (file_with(blobs=[{"digest": DIGEST, "size": 1 << 40}]), "body.draft.files.0.blobs.0.size"),
    ],
)
def test_a_push_that_is_not_well_formed_names_the_field(shared_hub, body, place):
    problem = shared_hub.admin.problem("POST", paths.PUSHES, 422, content=json.dumps(body), headers=JSON)
    assert problem["facts"]["fields"][0]["field"].startswith(place)
    assert problem["detail"].startswith(place)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{paths.API}/nothing", 404),
        ("GET", "/api", 404),
        ("PATCH", paths.MODELS, 405),
        ("GET", paths.PUSHES, 405),
        ("GET", paths.model("UPPER/case"), 422),
        ("GET", paths.model("a%00b/c"), 422),
        ("GET", paths.model("a/b%2Fc"), 404),
        ("GET", paths.version("a/b", "x"), 422),
        ("GET", paths.version("a/b", 0), 422),
        ("GET", paths.version("a/b", 10**30), 422),
        ("GET", paths.version("a/b", 1) + "?wait_s=1e9", 422),
        ("GET", paths.version("a/b", 1) + "?wait_s=nan", 422),
        ("GET", paths.MODELS + "?limit=100000", 422),
        ("GET", paths.MODELS + "?kind=tree", 422),
        ("GET", paths.MODELS + "?search=%00", 422),
        ("GET", paths.MODELS + "?after=%00", 422),
        ("GET", paths.MODELS + "?owner=%00", 422),
        ("GET", paths.MODELS + "?after=%ff", 200),
        ("GET", paths.RESOLVE, 422),
        ("GET", paths.RESOLVE + "?ref=%ff", 422),
        ("POST", paths.push_complete("not-a-uuid"), 422),
        ("POST", paths.push_complete("00000000-0000-0000-0000-000000000000"), 404),
        ("PUT", paths.push_blob("00000000-0000-0000-0000-000000000000", "sha256:zz"), 404),
        ("DELETE", paths.token("%00"), 422),
        ("DELETE", paths.token("none"), 404),
        ("DELETE", paths.model("acme/none"), 404),
    ],
)
def test_a_path_that_leads_nowhere_is_a_problem_of_the_asker(shared_hub, method, path, status):
    if status == 200:
        assert shared_hub.admin.http.request(method, path).status_code == 200
        return
    content = b"x" if method == "PUT" else None
    assert shared_hub.admin.problem(method, path, status, content=content)["detail"]


@pytest.mark.parametrize(
    "header",
    ["Bearer wrong", "Basic YTpi", "Bearer", "Bearer \xe9", "bearer trunkhub_" + "A" * 43, "Bearer " + "x" * 5000],
)
def test_a_wrong_token_is_refused_even_where_strangers_may_read(shared_hub, header):
    problem = shared_hub.nobody.problem("GET", paths.MODELS, 401, headers={"Authorization": header.encode("latin-1")})
    assert problem["code"] == "unauthorized"
    assert "wrong" not in str(problem)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {"name": "", "scope": "read"},
        {"name": "a\0b", "scope": "read"},
        {"name": "\ud800", "scope": "read"},
        {"name": "x", "scope": "god"},
        {"name": "x", "scope": "read", "expires_in_s": 1},
        {"name": "x", "scope": "read", "expires_in_s": 10**30},
    ],
)
def test_a_token_that_cannot_be_is_not_made(shared_hub, body):
    shared_hub.admin.problem("POST", paths.TOKENS, 422, content=json.dumps(body), headers=JSON)


@pytest.mark.parametrize("number", [0, -1, 10**30, True, "1", None])
def test_an_alias_names_a_number_that_can_be(shared_hub, number):
    shared_hub.admin.problem("PUT", paths.alias("acme/m", "stable"), 422, json={"number": number})


@pytest.mark.parametrize("path", ["/v1/models/acme/m:predict", "/v1/models/acme/m/versions/1:classify"])
def test_a_prediction_is_only_ever_posted(shared_hub, path):
    problem = shared_hub.nobody.problem("GET", path, 405)
    assert problem["code"] == "method-not-allowed"


def test_where_the_hub_keeps_things_is_told_to_nobody(start_hub, tmp_path):
    hub = start_hub()
    with sqlite3.connect(tmp_path / "data" / "hub.db") as database:
        database.execute("DROP TABLE models")
    database.close()
    shutil.rmtree(tmp_path / "data" / "blobs")
    refused = hub.nobody.problem("GET", paths.MODELS, 503)
    status = hub.nobody.http.get("/readyz")
    assert (status.status_code, refused["code"]) == (503, "not-available")
    for said in (json.dumps(refused), status.text, hub.nobody.http.get("/").text):
        assert str(tmp_path) not in said
        assert "no such table" not in said


def test_a_path_cannot_forge_a_line_of_the_log(shared_hub, capfd, caplog):
    caplog.set_level(logging.INFO)
    path, said, until = "/nothing%0aevent='forged'%00", "", time.monotonic() + 20
    shared_hub.nobody.http.get(path)
    while path not in said and time.monotonic() < until:  # the line is written after the answer is sent
        time.sleep(0.02)
        said += "".join(capfd.readouterr()) + caplog.text
    assert path in said
    assert "\nevent='forged'" not in said


def test_a_json_body_beyond_the_limit_is_refused_announced_or_not(shared_hub):
    big = b'{"model": "' + b"x" * (17 << 20) + b'"}'
    assert shared_hub.admin.problem("POST", paths.PUSHES, 413, content=big, headers=JSON)["code"] == "too-large"
    chunks = (big[at : at + (1 << 20)] for at in range(0, len(big), 1 << 20))
    assert shared_hub.admin.problem("POST", paths.PUSHES, 413, content=chunks, headers=JSON)["code"] == "too-large"


def test_bytes_that_break_off_leave_nothing_and_the_hub_goes_on(shared_hub, saved_model, draft_of):
    admin, data = shared_hub.admin, saved_model()
    ticket = admin.begin("acme/m", draft_of({"saved_model.pb": data}))
    host, port = shared_hub.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as line:
        head = f"PUT {admin.places(ticket)[0]} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n"
        head += f"Authorization: {admin.http.headers['Authorization']}\r\n\r\n"
        line.sendall(head.encode() + data[: len(data) // 2])
    assert admin.begin("acme/m", draft_of({"saved_model.pb": data})).missing
    assert admin.push("acme/m", {"saved_model.pb": data}).version.number == 1


def test_a_request_s_own_id_comes_back_unless_it_is_odd(shared_hub):
    assert shared_hub.nobody.http.get("/healthz", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    odd = shared_hub.nobody.http.get("/healthz", headers={"X-Request-Id": "a b\tc"}).headers["x-request-id"]
    assert odd.isalnum()


def test_what_nobody_foresaw_is_a_problem_without_a_traceback(hub, monkeypatch):
    def break_down(*_, **__):
        raise RuntimeError("the secret path /root/x")

    monkeypatch.setattr(Catalog, "read", break_down)
    problem = hub.nobody.problem("GET", paths.MODELS, 500)
    assert "secret path" not in str(problem)
    assert problem["remedy"]
