"""Hostile models are sent to a running hub by somebody whose client does not look at them first.

The hub rejects each with the finding, keeps running, and serves a good model afterwards.
"""

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hub.domain.digests import digest_of
from hub.domain.manifest import BLOB_BYTES, BlobRef, Draft, File, Kind
from hub.protocol import paths
from tests.e2e.conftest import RunningHub, serving
from tests.hostile import assets, bombs, calls, files, graphs, loads, signatures, variables, writing
from tests.hostile.corpus import CANARY_TEXT, KINDS, Case
from tests.support.savedmodel_writer import FIXTURES, ModelWriter

MODULES = (assets, bombs, calls, files, graphs, loads, signatures, variables, writing)
SETTLED_WITHIN_S = 120
SENT = [
    "call_readfile_nested",
    "call_pyfunc_token",
    "call_print_file",
    "call_behind_a_number",
    "call_save_v2",
    "grad_readfile",
    "load_write_initializer",
    "load_write_by_method_name",
    "load_tf1_init_op",
    "asset_traversal",
    "asset_const_path",
    "const_splat_10e9",
    "exponential_inline",
    "parse_many_attributes",
    "random_bytes_pb",
    "sig_hidden",
    "two_formats",
    "vars_shape_bomb_sized",
    "weird_names_device",
]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with serving(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def http(hub: RunningHub) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {hub.token}"}
    with httpx2.Client(base_url=hub.url, headers=headers, timeout=60) as client:
        yield client


def begun(http: httpx2.Client, name: str, held: dict[str, bytes]) -> tuple[str, dict[str, bytes]]:
    """A push of files, each one blob; its id and the blobs that the hub lacks."""
    blobs = {digest_of(data): data for data in held.values() if data}
    listed = [
        File(path=path, size=len(data), digest=digest_of(data), blobs=_blobs(data)) for path, data in held.items()
    ]
    draft = Draft(kind=Kind.TRUNK, files=tuple(listed)).model_dump(mode="json")
    ticket = http.post(paths.PUSHES, json={"model": name, "draft": draft}).raise_for_status().json()
    return ticket["push_id"], {digest: blobs[digest] for digest in ticket["missing"]}


def _blobs(data: bytes) -> tuple[BlobRef, ...]:
    assert len(data) <= BLOB_BYTES
    return (BlobRef(digest=digest_of(data), size=len(data)),) if data else ()


def pushed(http: httpx2.Client, name: str, root: Path) -> dict[str, Any]:
    """The settled version of a folder that was sent as it is."""
    held = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    push_id, missing = begun(http, name, held)
    for digest, data in missing.items():
        http.put(paths.push_blob(push_id, digest), content=data).raise_for_status()
    answer = http.post(paths.push_complete(push_id)).raise_for_status()
    while answer.status_code == httpx2.codes.ACCEPTED:
        answer = http.post(paths.push_complete(push_id)).raise_for_status()
    return settled(http, name, answer.json()["number"])


def settled(http: httpx2.Client, name: str, number: int) -> dict[str, Any]:
    """A version once it is ready or rejected."""
    give_up = time.monotonic() + SETTLED_WITHIN_S
    while time.monotonic() < give_up:
        detail = http.get(paths.version(name, number)).raise_for_status().json()
        if detail["version"]["state"] != "validating":
            return detail
        time.sleep(0.2)
    pytest.fail(f"{name} was still validating after {SETTLED_WITHIN_S} s")


def errors_of(detail: dict[str, Any]) -> set[str]:
    return {found["rule"] for found in detail["report"]["findings"] if found["severity"] == "error"}


@pytest.mark.parametrize("name", SENT)
def test_the_hub_rejects_what_a_careless_client_sends(http: httpx2.Client, tmp_path: Path, name: str) -> None:
    case = Case(ModelWriter(tmp_path / "model"), tmp_path / "proof", tmp_path / "canary")
    case.proof.mkdir()
    case.canary.write_text(CANARY_TEXT)
    detail = pushed(http, f"hostile/{name.replace('_', '-')}", KINDS[name].make(case))
    assert detail["version"]["state"] == "rejected"
    assert KINDS[name].refused_by in errors_of(detail)
    assert CANARY_TEXT not in json.dumps(detail)
    assert list(case.proof.iterdir()) == []


def test_a_flipped_bit_is_found_when_the_probe_loads_it(http: httpx2.Client, tmp_path: Path) -> None:
    root = tmp_path / "model"
    for path in (FIXTURES / "trunk").rglob("*"):
        if path.is_file():
            (root / path.relative_to(FIXTURES / "trunk")).parent.mkdir(parents=True, exist_ok=True)
            (root / path.relative_to(FIXTURES / "trunk")).write_bytes(path.read_bytes())
    shard = root / "variables/variables.data-00000-of-00001"
    raw = bytearray(shard.read_bytes())
    raw[5] ^= 1
    shard.write_bytes(raw)
    detail = pushed(http, "hostile/bitflip", root)
    assert detail["version"]["state"] == "rejected"
    assert errors_of(detail) == {"probe.cannot-load"}


def test_a_packed_body_that_unpacks_to_more_than_was_announced_is_refused(http: httpx2.Client) -> None:
    push_id, missing = begun(http, "hostile/packed", {"saved_model.pb": b"a small one"})
    bomb = gzip.compress(bytes(256 << 20))
    digest = next(iter(missing))
    answer = http.put(paths.push_blob(push_id, digest), content=bomb, headers={"Content-Encoding": "gzip"})
    assert 400 <= answer.status_code < 500
    assert http.post(paths.push_complete(push_id)).status_code == httpx2.codes.CONFLICT


@pytest.mark.parametrize("path", ["../../proof", "/etc/x", "a//b", "a/../b", "a\\b", "a\nb", ""])
def test_a_path_that_leaves_the_version_is_no_draft(http: httpx2.Client, path: str) -> None:
    data = b"x"
    file = {"path": path, "size": 1, "digest": digest_of(data), "blobs": [{"digest": digest_of(data), "size": 1}]}
    answer = http.post(paths.PUSHES, json={"model": "hostile/paths", "draft": {"kind": "trunk", "files": [file]}})
    assert answer.status_code == httpx2.codes.UNPROCESSABLE_CONTENT


def test_a_good_model_is_served_after_all_that(http: httpx2.Client) -> None:
    detail = pushed(http, "acme/good", FIXTURES / "trunk")
    assert detail["version"]["state"] == "ready"
    answer = http.post("/v1/models/acme/good:predict", json={"inputs": [[1.0, 2.0, 3.0]]}).raise_for_status()
    assert len(answer.json()["outputs"][0]) == 2
