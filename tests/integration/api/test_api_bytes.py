"""Bytes through the hub itself: places, packed bodies, whole files, and a server in front that serves them."""

import gzip
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from hub.domain.access import Principal, Scope
from hub.domain.digests import digest_of
from hub.domain.manifest import BlobRef, Draft, File, Kind
from hub.protocol import paths
from hub.protocol.schemas import CreateToken
from hub.storage.blobs.layout import path_of
from tests.support.processes import free_ports, own_folder, running, wait_until

NAME = "acme/half"


@pytest.fixture
def files(saved_model) -> dict[str, bytes]:
    return {"saved_model.pb": saved_model(), "assets/words": b"word " * 1000, "assets/none": b""}


def in_blobs(files: dict[str, bytes], size: int) -> tuple[Draft, dict[str, bytes]]:
    """The draft of files that are cut into blobs of ``size``, and the blobs."""
    listed, blobs = [], {}
    for path, data in files.items():
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        blobs |= {digest_of(part): part for part in parts}
        refs = tuple(BlobRef(digest=digest_of(part), size=len(part)) for part in parts)
        listed.append(File(path=path, size=len(data), digest=digest_of(data), blobs=refs))
    return Draft(kind=Kind.TRUNK, files=tuple(listed)), blobs


def push_in_blobs(caller, files: dict[str, bytes], size: int) -> None:
    draft, blobs = in_blobs(files, size)
    ticket = caller.begin(NAME, draft)
    for digest in ticket.missing:
        caller.http.put(paths.push_blob(str(ticket.push_id), digest), content=blobs[digest]).raise_for_status()
    number = caller.http.post(paths.push_complete(str(ticket.push_id))).raise_for_status().json()["number"]
    assert caller.settled(NAME, number).version.state == "ready"


def test_places_are_paths_of_the_hub_where_it_keeps_the_bytes(hub, files, draft_of):
    admin = hub.admin
    ticket = admin.begin(NAME, draft_of(files))
    answer = admin.http.post(paths.push_places(str(ticket.push_id)), json={"digests": ticket.missing}).json()
    assert answer["expires_in_s"] is None
    assert [place["url"] for place in answer["items"]] == [
        paths.push_blob(str(ticket.push_id), digest) for digest in ticket.missing
    ]
    admin.push(NAME, files)
    words = digest_of(files["assets/words"])
    answer = admin.http.post(paths.version_places(NAME, 1), json={"digests": [words]}).json()
    assert [place["url"] for place in answer["items"]] == [paths.version_blob(NAME, 1, words)]
    assert admin.http.get(answer["items"][0]["url"]).content == files["assets/words"]


def test_places_are_told_only_of_what_one_may_have(hub, files, draft_of):
    admin, writer = hub.admin, hub.caller(Scope.WRITE)
    ticket = admin.begin(NAME, draft_of(files))
    unknown = {"digests": [digest_of(b"unknown")]}
    of_push = paths.push_places(str(ticket.push_id))
    assert admin.problem("POST", of_push, 404, json=unknown)["code"] == "blob-not-found"
    mine = {"digests": list(ticket.missing)}
    assert writer.problem("POST", of_push, 404, json=mine)["code"] == "push-not-found"
    nowhere = paths.push_places("00000000-0000-0000-0000-000000000000")
    assert admin.problem("POST", nowhere, 404, json=mine)["code"] == "push-not-found"
    admin.push(NAME, files, is_private=True)
    of_version = paths.version_places(NAME, 1)
    assert admin.problem("POST", of_version, 404, json=unknown)["code"] == "blob-not-found"
    assert hub.caller(None).problem("POST", of_version, 404, json=mine)["code"] == "model-not-found"
    for wrong in ({"digests": []}, {"digests": ["sha256:0"]}, {}, {"digests": ["sha256:" + "0" * 64] * 257}):
        assert admin.problem("POST", of_version, 422, json=wrong)["code"] == "invalid-request"


def test_a_packed_body_is_unpacked_and_checked(hub, files, draft_of):
    admin, words = hub.admin, files["assets/words"]
    ticket = admin.begin(NAME, draft_of(files))
    place = paths.push_blob(str(ticket.push_id), digest_of(words))
    packed = {"Content-Encoding": "gzip"}
    for wrong in (gzip.compress(words)[:-4], b"not packed", gzip.compress(words) + b"x"):
        assert admin.problem("PUT", place, 422, content=wrong, headers=packed)["code"] == "invalid-request"
    for wrong in (gzip.compress(words[:-1]), gzip.compress(words + b"x"), gzip.compress(bytes(100 << 20))):
        assert admin.problem("PUT", place, 422, content=wrong, headers=packed)["code"] == "digest-mismatch"
    unknown = {"Content-Encoding": "br"}
    assert admin.problem("PUT", place, 422, content=words, headers=unknown)["code"] == "invalid-request"
    assert admin.http.put(place, content=gzip.compress(words), headers=packed).status_code == 204
    assert digest_of(words) not in admin.begin(NAME, draft_of(files)).missing


@pytest.mark.parametrize("size", [7, 1000, 1 << 20])
def test_a_whole_file_comes_out_of_its_blobs_in_any_part(hub, files, size):
    admin, words = hub.admin, files["assets/words"]
    push_in_blobs(admin, files, size)
    url = paths.version_file(NAME, 1, "assets/words")
    whole = admin.http.get(url)
    assert (whole.status_code, whole.content) == (200, words)
    assert whole.headers["etag"] == f'"{digest_of(words)}"'
    for first, last in ((0, 0), (3, 20), (6, 7), (990, 1010), (4999, 9999)):
        part = admin.http.get(url, headers={"Range": f"bytes={first}-{last}"})
        assert (part.status_code, part.content) == (206, words[first : last + 1])
    assert admin.http.get(url, headers={"Range": "bytes=-5"}).content == words[-5:]
    assert admin.http.get(url, headers={"Range": "bytes=5000-"}).status_code == 416
    assert admin.http.get(paths.version_file(NAME, 1, "assets/none")).content == b""


def test_a_file_that_the_version_does_not_have_is_not_found(hub, files):
    hub.admin.push(NAME, files)
    for path in ("assets/other", "..%2F..%2Fhub.db", "assets"):
        assert hub.admin.problem("GET", paths.version_file(NAME, 1, path), 404)["code"] == "blob-not-found"


def test_a_stored_blob_that_was_damaged_is_asked_for_again(hub, files):
    admin = hub.admin
    admin.push(NAME, files)
    words = digest_of(files["assets/words"])
    place = Path(hub.house.settings.data_path) / "blobs" / path_of(words)
    place.chmod(0o644)
    place.write_bytes(bytes(len(files["assets/words"])))
    changed = files | {"assets/more": b"second version"}
    draft, blobs = in_blobs(changed, 1 << 20)
    ticket = admin.begin(NAME, draft)
    assert words not in ticket.missing
    for digest in ticket.missing:
        admin.http.put(paths.push_blob(str(ticket.push_id), digest), content=blobs[digest]).raise_for_status()
    complete = paths.push_complete(str(ticket.push_id))
    assert admin.problem("POST", complete, 409)["facts"]["digests"] == [words]
    admin.http.put(paths.push_blob(str(ticket.push_id), words), content=blobs[words]).raise_for_status()
    assert admin.http.post(complete).status_code == 200
    assert admin.http.get(paths.version_file(NAME, 1, "assets/words")).content == files["assets/words"]


@pytest.mark.parametrize("difference", [-1, 1])
def test_saying_that_anothers_blob_has_another_size_does_it_no_harm(hub, files, saved_model, difference):
    admin, writer = hub.admin, hub.caller(Scope.WRITE)
    admin.push(NAME, files)
    words = files["assets/words"]
    graph = saved_model(producer="mallory")
    wrong = BlobRef(digest=digest_of(words), size=len(words) + difference)
    lies = (
        File(path="saved_model.pb", size=len(graph), digest=digest_of(graph), blobs=(_whole(graph),)),
        File(path="assets/w", size=wrong.size, digest=digest_of(b"x"), blobs=(wrong,)),
    )
    body = {"model": "mallory/m", "draft": Draft(kind=Kind.TRUNK, files=lies).model_dump(mode="json")}
    assert writer.problem("POST", paths.PUSHES, 422, json=body)["code"] == "invalid-request"
    assert admin.http.get(paths.version_file(NAME, 1, "assets/words")).content == words


def test_a_file_that_its_stored_blobs_do_not_make_up_does_them_no_harm(hub, files, saved_model):
    admin, writer = hub.admin, hub.caller(Scope.WRITE)
    admin.push(NAME, files)
    words, graph = files["assets/words"], saved_model(producer="mallory")
    lie = File(path="assets/w", size=len(words), digest=digest_of(b"x"), blobs=(_whole(words),))
    honest = File(path="saved_model.pb", size=len(graph), digest=digest_of(graph), blobs=(_whole(graph),))
    ticket = writer.begin("mallory/m", Draft(kind=Kind.TRUNK, files=(honest, lie)))
    assert ticket.missing == (digest_of(graph),)
    writer.http.put(writer.places(ticket)[0], content=graph).raise_for_status()
    complete = paths.push_complete(str(ticket.push_id))
    assert writer.problem("POST", complete, 422)["code"] == "digest-mismatch"
    assert admin.http.get(paths.version_file(NAME, 1, "assets/words")).content == words


def _whole(data: bytes) -> BlobRef:
    return BlobRef(digest=digest_of(data), size=len(data))


def test_a_push_begun_again_while_it_completes_is_as_private_as_was_asked_last(hub, files, draft_of):
    admin = hub.admin
    draft, blobs = in_blobs(files, 1 << 20)
    ticket = admin.begin(NAME, draft, message="first")
    for digest, data in blobs.items():
        admin.http.put(paths.push_blob(str(ticket.push_id), digest), content=data).raise_for_status()
    again = admin.begin(NAME, draft, message="second", is_private=True, alias="stable")
    assert (again.push_id, again.missing) == (ticket.push_id, ())
    admin.http.post(paths.push_complete(str(ticket.push_id))).raise_for_status()
    version = admin.settled(NAME, 1).version
    assert (version.message, version.aliases) == ("second", ("stable",))
    assert admin.http.get(paths.model(NAME)).json()["is_private"] is True


def test_a_token_called_anonymous_opens_nothing_for_people_without_one(hub, files):
    words = digest_of(files["assets/words"])
    hub.admin.push(NAME, files, is_private=True)
    named = hub.house.access.create(
        Principal(name="root", scope=Scope.ADMIN), CreateToken(name="anonymous", scope=Scope.READ)
    )
    url = paths.version_blob(NAME, 1, words)
    assert hub.nobody.http.get(url, headers={"Authorization": f"Bearer {named.secret}"}).status_code == 200
    assert hub.nobody.http.get(url).status_code == 404


def test_completing_what_takes_long_is_asked_for_again_and_done_once(hub, files, monkeypatch):
    admin = hub.admin
    monkeypatch.setattr("hub.api.routes.pushes.PATIENCE_S", 0.1)
    draft, blobs = in_blobs(files, 1 << 20)
    ticket = admin.begin(NAME, draft)
    for digest, data in blobs.items():
        admin.http.put(paths.push_blob(str(ticket.push_id), digest), content=data).raise_for_status()
    complete = paths.push_complete(str(ticket.push_id))
    with closing(sqlite3.connect(hub.house.settings.data_path / "hub.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the hub has to wait for its turn to write
        answers = [admin.http.post(complete) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202] * 3
        assert answers[0].headers["retry-after"] == "1"
        other.execute("COMMIT")
    while (answer := admin.http.post(complete)).status_code == 202:
        time.sleep(0.05)
    assert answer.json()["number"] == 1
    assert admin.settled(NAME, 1).version.state == "ready"
    assert len(admin.http.get(paths.versions(NAME)).json()["items"]) == 1


NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass {hub}; }}
    location /stored/ {{ internal; alias {blobs}/; }}
  }}
}}
"""


def test_nginx_serves_the_bytes_that_the_hub_allows(start_hub, files):
    if shutil.which("nginx") is None:
        pytest.fail("nginx is missing: sh tests/system_packages.sh, as root, or install it.")
    (port,) = free_ports(1)
    words = files["assets/words"]
    url = paths.version_blob(NAME, 1, digest_of(words))
    with own_folder("nginx-") as folder:
        folder.chmod(0o755)  # nginx' workers are another user where it is started by root
        hub = start_hub(accel_redirect="/stored", storage_url=f"file://{folder}/blobs")
        hub.admin.push(NAME, files, is_private=True)
        (folder / "conf").write_text(NGINX.format(folder=folder, port=port, hub=hub.url, blobs=folder / "blobs"))
        client, front = hub.admin.http, f"http://127.0.0.1:{port}"

        def is_up() -> bool:
            try:
                return client.get(f"{front}/healthz").is_success
            except httpx2.TransportError:
                return False

        with running(["nginx", "-c", str(folder / "conf")], folder / "log", stop=15) as server:
            wait_until(is_up, server, folder / "log")
            assert client.get(front + url).content == words
            part = client.get(front + url, headers={"Range": "bytes=5-9"})
            assert (part.status_code, part.content) == (206, words[5:10])
            assert hub.nobody.http.get(front + url).status_code == 404
            assert client.get(f"{front}/stored/{path_of(digest_of(words))}").status_code == 404
        direct = client.get(url)
        assert direct.headers["x-accel-redirect"] == f"/stored/{path_of(digest_of(words))}"
        assert direct.content == b""
