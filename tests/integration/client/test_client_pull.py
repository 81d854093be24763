"""Pulling through a real hub: whole, resumed, shared, offline."""

import logging
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import hub
from hub.client.client import Client
from hub.client.transfer import THREADS
from hub.domain.errors import Conflict, HubUnreachable, TransferFailed, VersionNotFound, VersionNotReady
from hub.domain.manifest import BLOB_BYTES
from hub.domain.reports import ProbeResult

MakeModel = Callable[..., Path]
WEIGHTS = os.urandom(3 << 20)


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def pushed(client: Client, make_model: MakeModel) -> Path:
    root = make_model(weights=WEIGHTS, empty=b"")
    client.push(root, "acme/echo:stable")
    return root


def test_what_is_pulled_is_what_was_pushed(client: Client, pushed: Path):
    pulled = client.pull_version("acme/echo:stable")
    assert contents(pulled.path) == contents(pushed)
    assert pulled.reference == "acme/echo@1"
    assert pulled.manifest.digest() == pulled.digest


@pytest.mark.parametrize("form", ["acme/echo", "acme/echo@1", "acme/echo:stable", "acme/echo~1", "acme/echo@{digest}"])
def test_every_form_of_reference_can_be_pulled(client: Client, pushed: Path, form: str):
    digest = client.resolve("acme/echo").digest
    assert client.pull_version(form.format(digest=digest)).digest == digest


def test_the_caches_files_are_read_only_and_a_pull_into_a_directory_leaves_them_whole(
    client: Client, pushed: Path, tmp_path: Path
):
    cached = client.pull("acme/echo")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in cached.rglob("*") if path.is_file()}
    assert modes == {0o444}
    target = client.pull("acme/echo", tmp_path / "target")
    assert contents(target) == contents(pushed)


def test_a_file_of_the_cache_that_was_written_to_is_fetched_anew(client: Client, running, pushed: Path):
    cached = client.pull("acme/echo")
    weights = cached / "assets.extra" / "weights"
    weights.chmod(0o644)
    weights.write_bytes(b"?" * len(WEIGHTS))
    before = len(running.wire.downloads())
    assert contents(client.pull("acme/echo")) == contents(pushed)
    assert len(running.wire.downloads()) == before + 1


def test_a_download_that_breaks_off_is_continued_where_it_broke(client: Client, running, pushed: Path):
    running.wire.cuts = [1 << 20, 1 << 20, 1 << 20]
    assert contents(client.pull("acme/echo")) == contents(pushed)
    assert any(seen.start > 0 for seen in running.wire.downloads())


def test_a_pull_that_was_killed_is_continued_by_another_process(client: Client, running, make_model: MakeModel):
    many = make_model(**{f"part{number}": os.urandom(1 << 20) for number in range(24)})
    client.push(many, "acme/echo")
    die = "lambda p: os._exit(9) if p.stage == 'download' and p.done >= 12 << 20 else None"
    killed = subprocess.run(
        [sys.executable, "-c", f"import hub, os; hub.pull('acme/echo', progress={die})"], check=False
    )
    assert killed.returncode == 9
    (journal,) = (Path(os.environ["HUB_CACHE"]) / "downloads").glob("*/journal")
    noted = set(journal.read_text().split())
    assert len(noted) >= 12 - THREADS
    running.wire.seen.clear()
    assert contents(client.pull("acme/echo")) == contents(many)
    asked = {seen.digest for seen in running.wire.downloads()}  # the killed one's last request may still come in
    assert len(asked) == 25 - len(noted)
    assert not noted & asked


def test_a_wrong_byte_is_noticed_and_fetched_again(client: Client, running, pushed: Path):
    running.wire.corruptions = 1
    assert contents(client.pull("acme/echo")) == contents(pushed)


def test_bytes_that_stay_wrong_are_never_handed_out(client: Client, running, pushed: Path, tmp_path: Path):
    running.wire.corruptions = 100
    with pytest.raises(TransferFailed, match="Other bytes"):
        client.pull("acme/echo", tmp_path / "target")
    assert not (tmp_path / "target").exists()
    running.wire.corruptions = 0
    assert contents(client.pull("acme/echo")) == contents(pushed)


def test_pulls_at_the_same_time_do_the_work_once(client: Client, running, pushed: Path):
    blobs = len(client.manifest(client.resolve("acme/echo")).blobs())
    with ThreadPoolExecutor(6) as pool:
        paths = set(pool.map(lambda _: hub.pull("acme/echo"), range(6)))
    assert len(paths) == 1
    assert len(running.wire.downloads()) == blobs


def test_only_blobs_that_no_cached_version_has_are_fetched(client: Client, running, make_model: MakeModel):
    client.push(make_model("one", weights=WEIGHTS, notes=b"old"), "acme/echo")
    client.pull("acme/echo")
    second = make_model("two", weights=WEIGHTS, notes=b"new")
    client.push(second, "acme/echo")
    before = len(running.wire.downloads())
    assert contents(client.pull("acme/echo@2")) == contents(second)
    assert len(running.wire.downloads()) == before + 1


def test_a_file_of_several_blobs_is_put_together_and_shared_by_blob(client: Client, running, make_model: MakeModel):
    start = bytes(BLOB_BYTES)
    client.push(make_model("one", weights=start + b"old"), "acme/echo")
    client.pull("acme/echo")
    second = make_model("two", weights=start + b"new")
    assert client.push(second, "acme/echo").sent == len(b"new")
    before = len(running.wire.downloads())
    assert contents(client.pull("acme/echo@2")) == contents(second)
    assert len(running.wire.downloads()) == before + 1


def test_a_cached_file_that_rotted_is_fetched_with_the_others(client: Client, running, make_model: MakeModel):
    start = os.urandom(BLOB_BYTES)
    client.push(make_model("one", weights=start + b"old"), "acme/echo")
    cached = client.pull("acme/echo") / "assets.extra" / "weights"
    times = cached.stat()
    cached.chmod(0o644)
    with cached.open("r+b") as file:
        file.write(b"?")
    os.utime(cached, ns=(times.st_atime_ns, times.st_mtime_ns))
    second = make_model("two", weights=start + b"new")
    client.push(second, "acme/echo")
    assert contents(client.pull("acme/echo@2")) == contents(second)


def test_what_an_interrupted_pull_left_is_not_taken_for_the_file(client: Client, running, make_model: MakeModel):
    """Its graph lies half written in a staging folder when another version with the same graph was pulled whole."""
    first = make_model("one", notes=b"one")
    client.push(first, "acme/echo")
    client.push(make_model("two", notes=b"two"), "acme/echo")
    client.pull("acme/echo@2")
    digest = client.resolve("acme/echo@1").digest
    staging = Path(os.environ["HUB_CACHE"]) / "downloads" / digest[7:] / "snapshot"
    staging.mkdir(parents=True)
    (staging / "saved_model.pb").write_bytes(bytes((first / "saved_model.pb").stat().st_size))
    assert contents(client.pull("acme/echo@1")) == contents(first)


def test_a_version_that_was_pulled_once_needs_no_hub(
    client: Client, running, pushed: Path, caplog: pytest.LogCaptureFixture
):
    digest = client.pull_version("acme/echo").digest
    client.pull("acme/echo:stable")
    running.stop()
    for exact in ("acme/echo@1", f"acme/echo@{digest}"):
        assert contents(client.pull(exact)) == contents(pushed)
    assert not [record for record in caplog.records if record.name.startswith("hub.client")]
    with caplog.at_level(logging.WARNING):
        assert client.pull_version("acme/echo:stable").is_remembered
    assert "as last known" in caplog.text
    with pytest.raises(HubUnreachable) as caught:
        client.pull("acme/echo@2")
    assert caught.value.remedy


def test_tensorflow_servings_layout_has_the_number_as_folder(client: Client, pushed: Path, tmp_path: Path):
    path = client.pull("acme/echo", tmp_path / "served", tfserving=True)
    assert path == tmp_path / "served" / "1"
    assert contents(path) == contents(pushed)
    assert [entry.name for entry in (tmp_path / "served").iterdir()] == ["1"]


def test_a_directory_with_something_else_is_left_alone(client: Client, pushed: Path, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(Conflict, match="already holds something else"):
        client.pull("acme/echo", tmp_path / "mine")
    assert contents(tmp_path / "mine") == {"thesis.txt": b"precious"}


def test_pulling_into_the_same_directory_again_changes_nothing(client: Client, pushed: Path, tmp_path: Path):
    first = client.pull("acme/echo", tmp_path / "target")
    assert contents(client.pull("acme/echo@1", tmp_path / "target")) == contents(first) == contents(pushed)


def test_the_working_directory_can_be_filled(
    client: Client, pushed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    client.pull("acme/echo", ".")
    assert contents(Path.cwd()) == contents(pushed)


def test_what_is_not_there_or_not_ready_is_not_pulled(client: Client, running, make_model: MakeModel):
    running.engine.outcome = ProbeResult(loader=None)
    with pytest.raises(hub.errors.InvalidModel):
        client.push(make_model(), "acme/echo")
    with pytest.raises(VersionNotReady, match="rejected"):
        client.pull("acme/echo@1")
    with pytest.raises(VersionNotFound):
        client.pull("acme/echo@2")


def test_a_withdrawn_version_is_pulled_by_number_with_its_reason(
    client: Client, pushed: Path, caplog: pytest.LogCaptureFixture
):
    client.yank("acme/echo", 1, "wrong preprocessing")
    with caplog.at_level(logging.WARNING):
        assert contents(client.pull("acme/echo@1")) == contents(pushed)
    assert "wrong preprocessing" in caplog.text
    with pytest.raises(VersionNotFound):
        client.pull("acme/echo")
