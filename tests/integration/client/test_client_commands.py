"""Commands against a real hub: data on stdout, prose on stderr, exit codes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from hub.domain.access import HUB
from hub.domain.reports import ProbeResult
from tests.support.curves import put_curves, write_run

MakeModel = Callable[..., Path]
Hub = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def hub(running) -> Hub:
    def run(*arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "hub.cli.main", *arguments]
        return subprocess.run(command, capture_output=True, text=True, input=stdin, check=False)

    return run


@pytest.fixture
def pushed(hub: Hub, make_model: MakeModel) -> Path:
    root = make_model(notes=b"notes")
    ended = hub("push", str(root), "acme/echo:stable", "--message", "first")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "acme/echo@1\n"
    assert "servable: yes" in ended.stderr
    return root


def test_a_version_goes_in_and_comes_out(hub: Hub, pushed: Path, tmp_path: Path):
    ended = hub("pull", "acme/echo:stable", str(tmp_path / "out"))
    assert ended.stdout == f"{tmp_path / 'out'}\n"
    assert (tmp_path / "out" / "saved_model.pb").read_bytes() == (pushed / "saved_model.pb").read_bytes()


def test_what_commands_print_as_json_is_json(hub: Hub, pushed: Path, make_model: MakeModel):
    commands = {
        "whoami": "name",
        "show acme/echo": "report",
        "lineage acme/echo": "version",
        "alias ls acme/echo": "aliases",
        "pull acme/echo": "manifest",
        "token ls": 0,
        "ls": 0,
        "versions acme/echo": "items",
        f"push {make_model('other', notes=b'2')} acme/other": "version",
        "alias set acme/echo:prod 1": "aliases",
        "verify acme/echo": "is_whole",
        "yank acme/other@1 --reason old": "state",
    }
    for command, key in commands.items():
        ended = hub(*command.split(), "--json")
        assert ended.returncode == 0, ended.stderr
        assert orjson.loads(ended.stdout)[key]


def test_people_see_what_a_version_is(hub: Hub, pushed: Path):
    shown = hub("show", "acme/echo").stdout
    for part in ("acme/echo@1", "stable", "first", "serving_default", "servable"):
        assert part in shown
    assert "acme/echo@1" in hub("versions", "acme/echo").stdout
    assert hub("ls").stdout.startswith("acme/echo\ttrunk\t-\t@1\tstable@1\t")


def test_models_come_in_the_order_that_is_asked_for(hub: Hub, running, pushed: Path, make_model: MakeModel):
    for name in ("acme/a", "acme/z"):
        hub("push", str(make_model(notes=name.encode())), name)
    running.house.tallies.count("acme/echo", 1)
    running.house.tallies.write()

    def names(*sort: str) -> list[str]:
        return [line.partition("\t")[0] for line in hub("ls", *sort).stdout.splitlines()]

    assert names() == names("--sort", "name") == ["acme/a", "acme/echo", "acme/z"]
    assert names("--sort", "updated") == ["acme/z", "acme/a", "acme/echo"]
    assert names("--sort", "pulls") == ["acme/echo", "acme/a", "acme/z"]


def test_versions_are_listed_with_what_they_are_compared_by(hub: Hub, running, pushed: Path, make_model: MakeModel):
    assert hub("versions", "acme/echo").stdout.endswith("\tfirst\n"), "without curves there is no such column"
    assert orjson.loads(hub("versions", "acme/echo", "--json").stdout)["metric"] is None
    hub("push", str(make_model("other", notes=b"2")), "acme/echo", "--message", "second")
    curves = {(run, tag): [(0, 0.5), (9, 0.87654)] for run in ("train", "validation") for tag in ("loss", "accuracy")}
    running.house.curves.put(HUB, "acme/echo", 1, put_curves(curves))
    newer, older = hub("versions", "acme/echo").stdout.splitlines()
    assert newer.endswith("\tsecond\t-")
    assert older.endswith("\tfirst\t0.8765")
    told = orjson.loads(hub("versions", "acme/echo", "--json").stdout)
    assert [version["number"] for version in told["items"]] == [2, 1]
    assert (told["metric"]["tag"], told["metric"]["run"], told["metric"]["better"]) == (
        "accuracy", "validation", "higher"
    )  # fmt: skip
    assert told["metric"]["values"]["1"]["last"] == {"step": 9, "value": 0.87654}


@pytest.mark.parametrize("more", [("--input", "[[1, 2]]"), ("--input", "-")], ids=["argument", "stdin"])
def test_a_prediction_is_printed(hub: Hub, pushed: Path, more: tuple[str, ...]):
    ended = hub("predict", "acme/echo", *more, "--json", stdin="[[1, 2]]")
    assert orjson.loads(ended.stdout) == {"y": [[1.0, 2.0]]}


def test_a_wrong_prediction_names_the_tensor(hub: Hub, pushed: Path):
    ended = hub("predict", "acme/echo", "--input", "[[1, 2, 3]]")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: Input 'x' has shape [1, 3], the signature takes [?, 2]")
    assert ended.stdout == ""


def test_a_refused_push_says_why(hub: Hub, running, make_model: MakeModel):
    ended = hub("push", str(make_model(op="NoSuchOp")), "acme/echo")
    assert ended.returncode == 1
    assert "NoSuchOp" in ended.stderr
    running.engine.outcome = ProbeResult(loader=None)
    rejected = hub("push", str(make_model()), "acme/echo")
    assert rejected.returncode == 1
    assert "acme/echo@1 was rejected" in rejected.stderr
    assert rejected.stdout == ""


def test_a_dry_run_prints_no_reference(hub: Hub, make_model: MakeModel):
    ended = hub("push", str(make_model()), "acme/echo", "--dry-run")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "Nothing was sent" in ended.stderr


def test_a_login_is_kept_and_used(hub: Hub, running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HUB_TOKEN")
    monkeypatch.delenv("HUB_URL")
    refused = hub("login", running.url, "--token", "wrong")
    assert refused.returncode == 1
    assert hub("login", running.url, stdin=f"{running.token}\n").returncode == 0
    assert "who may admin" in hub("whoami").stdout


def test_a_new_tokens_secret_is_all_there_is_on_stdout(hub: Hub):
    secret = hub("token", "create", "ci", "--scope", "read").stdout.strip()
    assert secret.startswith("trunkhub_")
    listed = hub("token", "ls").stdout
    assert "ci\tread" in listed
    assert secret not in listed
    assert hub("token", "revoke", "nope").returncode == 1


def test_aliases_move_and_versions_go(hub: Hub, pushed: Path):
    assert hub("alias", "set", "acme/echo:prod", "1").returncode == 0
    assert "acme/echo:prod\t@1" in hub("alias", "ls", "acme/echo").stdout
    assert hub("alias", "set", "acme/echo:prod", "9").returncode == 1
    yanked = hub("yank", "acme/echo@1", "--reason", "old")
    assert yanked.returncode == 0
    *_, last = said = yanked.stderr.splitlines()
    assert last == "acme/echo@1 is yanked."
    assert "acme/echo:prod would lead nowhere any more." in said
    assert hub("pull", "acme/echo").returncode == 1
    assert hub("rm", "acme/echo@1").returncode == 0
    assert hub("rm", "acme/echo").returncode == 0
    assert hub("ls").stdout == ""
    assert "Publish one" in hub("ls").stderr
    assert hub("ls", "nobody").stderr == "No such models.\n"


def test_a_trunk_with_heads_is_not_removed(hub: Hub, pushed: Path, make_model: MakeModel):
    head = hub("push", str(make_model("head", notes=b"head")), "acme/head", "--head-of", "acme/echo")
    assert head.stdout == "acme/head@1\n"
    assert "acme/head@1\thead_of\tacme/echo@1" in hub("lineage", "acme/echo").stdout
    said = hub("yank", "acme/echo@1", "--reason", "old").stderr
    assert "Would stay pinned to it and work: head acme/head@1." in said.splitlines()
    refused = hub("rm", "acme/echo@1", "--yes")
    assert refused.returncode == 1
    assert "error: " in refused.stderr


def test_a_directory_is_verified_against_what_it_was_pulled_as(hub: Hub, pushed: Path, tmp_path: Path):
    target = tmp_path / "out"
    hub("pull", "acme/echo", str(target))
    assert hub("verify", str(target)).returncode == 0
    notes = target / "assets.extra" / "notes"
    notes.unlink()
    notes.write_bytes(b"tampered")
    ended = hub("verify", str(target))
    assert ended.returncode == 1
    assert "assets.extra/notes has 8 bytes instead of 5" in ended.stdout
    assert hub("verify", str(pushed), "--ref", "acme/echo@1").returncode == 0
    assert "It is not known which version" in hub("verify", str(pushed)).stderr


def test_a_cached_copy_that_was_harmed_is_dropped(hub: Hub, pushed: Path):
    cached = Path(hub("pull", "acme/echo").stdout.strip())
    notes = cached / "assets.extra" / "notes"
    before = notes.stat()
    notes.chmod(0o644)
    notes.write_bytes(b"nasty")
    os.utime(notes, ns=(before.st_atime_ns, before.st_mtime_ns))
    ended = hub("verify", "acme/echo")
    assert ended.returncode == 1
    assert "other bytes" in ended.stdout
    assert hub("verify", "acme/echo").returncode == 0


def test_summaries_are_pushed_later_and_their_damage_is_told(hub: Hub, pushed: Path, tmp_path: Path):
    path = write_run(tmp_path / "logs" / "train", {"loss": [(0, 1.0), (1, 0.5)]})
    path.write_bytes(path.read_bytes()[:-3])
    ended = hub("push", str(pushed), "acme/echo", "--summaries", str(tmp_path / "logs"))
    assert ended.stdout == "acme/echo@1\n"
    assert "Summaries: 1 curve(s) of 1 run(s)" in ended.stderr
    assert f"train/{path.name}, byte" in ended.stderr
    assert "already" in ended.stderr
