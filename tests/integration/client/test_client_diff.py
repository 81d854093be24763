"""Diffs, interfaces and refused breaks: real versions, pushed by the real command line to a real hub."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest

from hub.client.client import Client
from hub.client.outlook import Outlook
from hub.domain.errors import BreaksCallers, InvalidModel, ModelNotFound
from hub.domain.manifest import Draft
from hub.domain.versions import State
from tests.support.savedmodel_writer import ModelWriter, entry, message, shape

MakeModel = Callable[..., Path]
Hub = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def hub(running) -> Hub:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "hub.cli.main", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def with_weights(root: Path, *numbers: float) -> Path:
    """A TensorFlow 2 model with these weights."""
    data = np.float32(numbers).tobytes()
    sizes = (len(numbers),)
    variable = message((1, 1), (2, shape(*sizes)), (6, "w"))
    return ModelWriter(root, variable=variable, stored=entry(1, sizes, 0, len(data)), data=data).write()


def test_a_break_is_said_before_and_after_and_the_old_interface_stays(hub: Hub, client: Client, make_model: MakeModel):
    narrow, wide = str(make_model("narrow")), str(make_model("wide", width=3))
    first = hub("push", narrow, "acme/echo")
    assert "interface 1" in first.stderr
    dry = hub("push", wide, "acme/echo", "--dry-run")
    assert "WARNING: this BREAKS callers of acme/echo@1 (interface 1):" in dry.stderr
    assert "breaking input.resized: input x of serving_default was resized from [?, 2] to [?, 3]" in dry.stderr
    assert "It would be interface 2, because it breaks callers of acme/echo@1." in dry.stderr
    second = hub("push", wide, "acme/echo")
    assert second.stdout == "acme/echo@2\n"
    assert second.stderr.index("WARNING") < second.stderr.index("had to be sent")
    assert "interface 2 (new: callers of acme/echo~1 stay where they are)" in second.stderr
    third = hub("push", str(make_model("again", width=3, notes=b"3")), "acme/echo")
    assert "interface 2 (as before: every call of acme/echo@2 still works)" in third.stderr
    assert client.resolve("acme/echo~1").number == 1
    assert client.resolve("acme/echo~2").number == 3


def test_no_break_refuses_before_a_byte_is_sent(hub: Hub, client: Client, running, make_model: MakeModel):
    assert hub("push", str(make_model()), "acme/echo", "--no-break").returncode == 0
    sent = len(running.wire.uploads())
    refused = hub("push", str(make_model("wide", width=3)), "acme/echo", "--no-break")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "breaking input.resized:" in refused.stderr
    assert "This would break callers of acme/echo@1: input.resized, output.resized." in refused.stderr
    assert len(running.wire.uploads()) == sent
    assert hub("push", str(make_model("wide", width=3)), "acme/echo", "--no-break", "--dry-run").returncode == 1
    assert [version.number for version in client.versions("acme/echo")] == [1]
    same = hub("push", str(make_model("same", notes=b"2")), "acme/echo", "--no-break", "--json")
    assert orjson.loads(same.stdout)["changes"] == []


def test_the_hub_holds_a_client_to_its_word(client: Client, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch):
    client.push(make_model(), "acme/echo", alias="stable")
    wide = make_model("wide", width=3)
    begin = client.begin_push

    def promise(request):
        draft = Draft.model_validate(request.draft.model_dump() | {"keeps_interface": True})
        return begin(request.model_copy(update={"draft": draft}))

    monkeypatch.setattr(client, "begin_push", promise)  # a client that does not compare, or lies
    with pytest.raises(InvalidModel, match="acme/echo@2 was rejected: It breaks callers of acme/echo@1") as caught:
        client.push(wide, "acme/echo", alias="stable")
    assert [finding["rule"] for finding in caught.value.facts["findings"]] == ["interface.breaks"]
    rejected = client.version("acme/echo", 2).version
    assert (rejected.state, rejected.interface) == (State.REJECTED, None)
    assert client.resolve("acme/echo:stable").number == client.resolve("acme/echo").number == 1
    monkeypatch.undo()
    pushed = client.push(wide, "acme/echo")
    assert pushed.version is not None
    assert (pushed.version.number, pushed.version.interface) == (3, 2)


def test_programs_are_told_what_is_foreseen(client: Client, make_model: MakeModel):
    heard: list[Outlook] = []
    client.push(make_model(), "acme/echo", foreseen=heard.append)
    pushed = client.push(make_model("wide", width=3), "acme/echo", foreseen=heard.append)
    assert [outlook.before and outlook.before.number for outlook in heard] == [None, 1]
    assert pushed.outlook == heard[1]
    assert {change.rule for change in heard[1].breaks} == {"input.resized", "output.resized"}
    with pytest.raises(BreaksCallers) as caught:
        client.push(make_model(), "acme/echo", no_break=True)
    assert caught.value.facts["changes"][0]["rule"] == "input.resized"


def test_who_does_not_listen_is_warned_in_the_log(
    client: Client, make_model: MakeModel, caplog: pytest.LogCaptureFixture
):
    client.push(make_model(), "acme/echo")
    client.push(make_model("same", notes=b"2"), "acme/echo")
    assert not caplog.records
    client.push(make_model("wide", width=3), "acme/echo")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "this BREAKS callers of acme/echo@2 (interface 1):" in record.getMessage()


def test_a_head_breaks_its_callers_when_its_trunk_takes_something_else(client: Client, make_model: MakeModel):
    client.push(make_model("trunk"), "acme/trunk")
    client.push(make_model("wide", width=3), "acme/trunk")
    client.push(make_model("head", notes=b"1"), "acme/head", head_of="acme/trunk@1")
    with pytest.raises(BreaksCallers, match=r"input\.resized"):
        client.push(make_model("head2", width=3, notes=b"2"), "acme/head", head_of="acme/trunk@2", no_break=True)
    client.push(make_model("head3", notes=b"3"), "acme/head", head_of="acme/trunk@1", no_break=True)


def test_a_dry_run_without_a_hub_says_that_callers_are_unknown(
    hub: Hub, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HUB_URL", "http://127.0.0.1:1")
    dry = hub("push", str(make_model()), "acme/echo", "--dry-run")
    assert dry.returncode == 0
    assert "The hub could not be asked what this means for callers." in dry.stderr
    assert hub("push", str(make_model()), "acme/echo", "--dry-run", "--no-break").returncode == 3


def test_diff_says_the_verdict_first_and_which_heads_break(hub: Hub, client: Client, make_model: MakeModel):
    client.push(make_model("one", notes=b"n"), "acme/trunk")
    client.push(make_model("two", width=3, notes=b"longer"), "acme/trunk")
    client.push(make_model("head", notes=b"1"), "acme/head", head_of="acme/trunk@1")
    found = hub("diff", "acme/trunk@1", "acme/trunk")
    assert found.returncode == 0
    first, *rest = found.stdout.splitlines()
    assert first == "Breaking: acme/trunk@2 breaks callers of acme/trunk@1 (input.resized, output.resized)."
    assert "  breaking    input.resized: input x of serving_default was resized from [?, 2] to [?, 3]" in rest
    assert "  interface     ~1 -> ~2" in rest
    assert "  ~ assets.extra/notes  1 B -> 6 B" in rest
    assert "Heads on acme/trunk@1 that would break: 1 of 1" in rest
    assert any("acme/head@1 does not fit: Trunk output y: float32[?, 3]" in line for line in rest)
    assert "Heads on acme/trunk@2" not in hub("diff", "acme/trunk@2", "acme/trunk@1").stdout


def test_the_same_twice_is_identical(hub: Hub, client: Client, make_model: MakeModel):
    digest = client.push(make_model(), "acme/echo").version.digest
    client.push(make_model(), "acme/copy")
    found = hub("diff", "acme/echo@1", "acme/copy")
    assert found.stdout == f"Identical: acme/echo@1 and acme/copy@1 both have the digest {digest}.\n"
    whole = client.diff("acme/echo@1", "acme/copy", is_whole=True)
    assert [row.effect for row in whole.signatures] == ["same", "same"]
    assert whole.files.rows
    assert client.diff("acme/echo@1", "acme/copy").files.rows == ()


def test_how_far_weights_moved_is_measured_without_a_download(client: Client, running, tmp_path: Path):
    client.push(with_weights(tmp_path / "one", 3, 4), "acme/w")
    client.push(with_weights(tmp_path / "two", 3, 4.5), "acme/w")
    client.push(with_weights(tmp_path / "three", 0, 0), "acme/w")
    client.push(with_weights(tmp_path / "four", 1, 2, 3), "acme/w")
    moved = client.diff("acme/w@1", "acme/w@2").tensors
    assert (moved.changed, moved.new_bytes) == (1, 8)
    assert moved.rows[0].drift == pytest.approx(0.5 / 5)  # |(0, 0.5)| / |(3, 4)|, exact in float32
    assert client.diff("acme/w@2", "acme/w@2").tensors.rows == ()
    assert client.diff("acme/w@3", "acme/w@1").tensors.rows[0].note == "was all zeros"
    other = client.diff("acme/w@1", "acme/w@4").tensors.rows[0]
    assert (other.status, other.drift, other.note) == ("changed", None, "dtype or shape differ")
    assert not running.wire.downloads()


def test_what_is_not_there_cannot_be_compared(hub: Hub, client: Client, make_model: MakeModel):
    client.push(make_model(), "acme/echo")
    with pytest.raises(ModelNotFound):
        client.diff("acme/echo", "acme/nothing")
    ended = hub("diff", "acme/echo", "acme/echo@9")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert hub("diff", "acme/echo", "no reference").returncode == 2
