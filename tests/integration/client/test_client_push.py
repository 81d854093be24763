"""Pushing through a real hub."""

from collections.abc import Callable
from pathlib import Path

import pytest

import hub
from hub.client.client import Client
from hub.client.progress import Progress, Stage
from hub.domain.errors import Conflict, DigestMismatch, InvalidModel, InvalidName
from hub.domain.lineage import EdgeKind
from hub.domain.manifest import Kind
from hub.domain.reports import ProbeResult
from hub.domain.versions import State

MakeModel = Callable[..., Path]


def test_a_push_ends_with_a_ready_version_and_its_alias(client: Client, make_model: MakeModel):
    pushed = client.push(make_model(), "acme/echo:stable", message="first", card="# Echo", is_private=True)
    assert pushed.version is not None
    assert (pushed.version.reference, pushed.version.state) == ("acme/echo@1", State.READY)
    assert pushed.version.aliases == ("stable",)
    assert pushed.version.message == "first"
    model = client.model("acme/echo")
    assert (model.card, model.is_private) == ("# Echo", True)


def test_the_same_content_is_not_pushed_twice(client: Client, running, make_model: MakeModel):
    first = client.push(make_model(), "acme/echo")
    sent = len(running.wire.uploads())
    again = client.push(make_model(), "acme/echo", alias="stable")
    assert again.is_existing
    assert not first.is_existing
    assert again.version is not None
    assert again.version.number == 1
    assert again.version.aliases == ("stable",)
    assert len(running.wire.uploads()) == sent


def test_only_what_the_hub_lacks_is_sent(client: Client, running, make_model: MakeModel):
    client.push(make_model("one", weights=b"w" * 5000, notes=b"old"), "acme/echo")
    before = len(running.wire.uploads())
    pushed = client.push(make_model("two", weights=b"w" * 5000, notes=b"new"), "acme/echo")
    assert pushed.version is not None
    assert pushed.version.number == 2
    assert len(running.wire.uploads()) == before + 1
    assert pushed.sent == len(b"new")


def test_a_busy_hub_is_asked_again(client: Client, running, make_model: MakeModel):
    running.wire.refusals = 2
    pushed = client.push(make_model(), "acme/echo")
    assert pushed.version is not None
    assert len(running.wire.uploads()) == 1 + 2


def test_a_dry_run_sends_nothing(client: Client, running, make_model: MakeModel):
    pushed = client.push(make_model(), "acme/echo", dry_run=True)
    assert pushed.version is None
    assert pushed.report.is_accepted
    assert not running.wire.seen
    assert list(client.models()) == []


def test_what_cannot_be_served_is_refused_before_anything_is_sent(client: Client, running, make_model: MakeModel):
    with pytest.raises(InvalidModel, match="not a model a hub takes") as caught:
        client.push(make_model(op="NoSuchOp"), "acme/echo")
    assert caught.value.facts["findings"]
    assert not running.wire.seen


def test_a_rejected_version_is_an_error_with_the_hubs_findings(client: Client, running, make_model: MakeModel):
    running.engine.outcome = ProbeResult(loader=None)
    with pytest.raises(InvalidModel, match="acme/echo@1 was rejected"):
        client.push(make_model(), "acme/echo:stable")
    assert client.version("acme/echo", 1).version.state is State.REJECTED
    assert client.model("acme/echo").aliases == {}


@pytest.mark.parametrize("written", [b"x" * 4999 + b"y", b"short"], ids=["other bytes", "fewer bytes"])
def test_a_file_that_changes_during_the_push_is_noticed(client: Client, make_model: MakeModel, written: bytes):
    root = make_model(weights=b"x" * 5000)

    def interfere(progress: Progress) -> None:
        if progress.stage is Stage.HASH and progress.done == progress.total:
            (root / "assets.extra" / "weights").write_bytes(written)

    with pytest.raises(DigestMismatch, match=r"assets\.extra/weights changed"):
        client.push(root, "acme/echo", progress=interfere)
    assert list(client.models()) == []


def test_a_head_is_pinned_to_its_trunk_by_digest(client: Client, make_model: MakeModel):
    trunk = client.push(make_model("trunk"), "acme/trunk").version
    head = client.push(make_model("head", notes=b"head"), "acme/head", head_of="acme/trunk").version
    assert trunk is not None
    assert head is not None
    assert head.kind is Kind.HEAD
    (edge,) = client.version("acme/head", 1).lineage
    assert (edge.kind, edge.model, edge.digest) == (EdgeKind.HEAD_OF, "acme/trunk", trunk.digest)
    assert [node.version for node in client.lineage("acme/trunk", 1).children] == [head]


def test_a_head_that_does_not_fit_is_refused_before_anything_is_sent(client: Client, running, make_model: MakeModel):
    client.push(make_model("trunk"), "acme/trunk")
    sent = len(running.wire.uploads())
    with pytest.raises(InvalidModel, match="cannot feed"):
        client.push(make_model("head", width=3), "acme/head", head_of="acme/trunk@1")
    assert len(running.wire.uploads()) == sent


def test_a_head_does_not_stand_on_a_head(client: Client, make_model: MakeModel):
    client.push(make_model("trunk"), "acme/trunk")
    client.push(make_model("head", notes=b"1"), "acme/head", head_of="acme/trunk")
    with pytest.raises(InvalidModel, match="is a head"):
        client.push(make_model("other", notes=b"2"), "acme/other", head_of="acme/head")


def test_where_a_version_was_fine_tuned_from_is_kept(client: Client, make_model: MakeModel):
    client.push(make_model("base"), "acme/base")
    client.push(make_model("tuned", notes=b"tuned"), "acme/tuned", derived_from="acme/base@1")
    (edge,) = client.version("acme/tuned", 1).lineage
    assert (edge.kind, edge.model, edge.number) == (EdgeKind.FINETUNED_FROM, "acme/base", 1)


def test_a_trunks_name_takes_no_head(client: Client, make_model: MakeModel):
    client.push(make_model("trunk"), "acme/trunk")
    with pytest.raises(Conflict):
        client.push(make_model("head", notes=b"head"), "acme/trunk", head_of="acme/trunk@1")


@pytest.mark.parametrize("name", ["acme/echo@3", "acme/echo~1", "Acme", "acme/echo@sha256:" + "0" * 64])
def test_a_push_takes_no_version_as_its_name(client: Client, make_model: MakeModel, name: str):
    with pytest.raises(InvalidName):
        client.push(make_model(), name)


def test_the_module_function_uses_the_environment(running, make_model: MakeModel):
    pushed = hub.push(make_model(), "acme/echo")
    assert pushed.version is not None
    assert (hub.pull("acme/echo") / "saved_model.pb").is_file()
