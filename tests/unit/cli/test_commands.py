"""Every command's help, wrong usage and exit codes."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.cli import admin
from hub.cli.main import app
from hub.protocol.search import Sort

Hub = Callable[..., "subprocess.CompletedProcess[str]"]
TOP = [info.callback.__name__ for info in app.registered_commands if info.callback]
NESTED = [
    (str(group.name), str(info.name))
    for group in app.registered_groups
    for info in (group.typer_instance.registered_commands if group.typer_instance else [])
]
PEOPLE = [
    ("admin", str(group.name), str(info.name))
    for group in admin.app.registered_groups
    for info in (group.typer_instance.registered_commands if group.typer_instance else [])
]
COMMANDS = [(name,) for name in TOP] + NESTED + PEOPLE
WRONG_USAGE, UNREACHABLE = 2, 3


def test_the_surface_is_all_there():
    expected = "serve demo login whoami inspect push pull predict ls show versions diff lineage yank rm verify"
    assert sorted(TOP) == sorted(expected.split())
    nested = {" ".join(command) for command in NESTED}
    assert nested >= {
        "alias set",
        "alias ls",
        "token create",
        "token ls",
        "token revoke",
        "admin audit",
        "admin migrate",
        "admin doctor",
    }


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(hub: Hub, command: tuple[str, ...]):
    shown = hub(*command, "--help")
    assert shown.returncode == 0
    assert f"Example: hub {' '.join(command)}" in shown.stdout
    assert shown.stderr == ""


def test_help_loads_only_what_draws_it():
    code = "import sys; from hub.cli.main import app; app(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "typer" in loaded
    assert not loaded & {"pydantic", "httpx2", "numpy", "rich", "orjson", "google.protobuf"}


def test_without_arguments_the_commands_are_listed(hub: Hub):
    shown = hub()
    assert "push" in shown.stdout + shown.stderr
    assert hub("--version").stdout.strip()


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("pull",),
        ("pull", "Not/AName"),
        ("pull", "acme/echo@0"),
        ("pull", "acme/echo", "--tfserving"),
        ("show", "acme/echo@sha256:12"),
        ("versions", "acme/echo@3"),
        ("push", "/no/such/directory", "acme/echo"),
        ("push", ".", "acme/echo@3"),
        ("alias", "set", "acme/echo", "3"),
        ("alias", "set", "acme/echo:stable", "zero"),
        ("login", "ftp://hub.example.org"),
        ("token", "create", "ci", "--scope", "everything"),
        ("token", "create", "ci", "--scope", "read", "--limit", "Not/AName"),
        ("admin", "org", "set", "acme", "ada", "owner"),
        ("verify", "./no-such-directory"),
        ("verify", "no-such-directory"),
        ("serve", "--port", "99999"),
        ("yank", "acme/echo@3"),
        ("rm", "acme/echo:latest"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_error_and_code_2(hub: Hub, arguments: tuple[str, ...]):
    ended = hub(*arguments)
    assert ended.returncode == WRONG_USAGE
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert "Error: " in ended.stderr


@pytest.mark.parametrize(
    ("reason", "what"), [("", "It is empty."), (" \n", "It is empty."), ("x" * 2001, "2000")], ids=["", "blank", "long"]
)
def test_a_reason_that_the_hub_would_not_take_is_refused_before_it_is_asked(hub: Hub, reason: str, what: str):
    ended = hub("yank", "acme/echo@3", "--reason", reason)
    assert ended.returncode == WRONG_USAGE
    assert "Invalid value for '--reason': " in ended.stderr
    assert what in ended.stderr


def test_models_are_sorted_by_the_words_of_the_api_and_no_others(hub: Hub):
    ended = hub("ls", "--sort", "size")
    assert ended.returncode == WRONG_USAGE
    assert f"'size' is not one of {', '.join(repr(sort.value) for sort in Sort)}." in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("ls",),
        ("whoami",),
        ("show", "acme/echo"),
        ("versions", "acme/echo"),
        ("lineage", "acme/echo"),
        ("pull", "acme/echo"),
        ("predict", "acme/echo", "--input", "1"),
        ("rm", "acme/echo@1", "--yes"),
        ("yank", "acme/echo@1", "--reason", "old"),
        ("alias", "ls", "acme/echo"),
        ("token", "ls"),
    ],
    ids=" ".join,
)
def test_a_hub_that_is_not_there_is_code_3(hub: Hub, arguments: tuple[str, ...]):
    ended = hub(*arguments)
    assert ended.returncode == UNREACHABLE
    assert ended.stdout == ""
    assert ended.stderr.startswith("error: No answer from the hub at http://127.0.0.1:9")
    assert "hub serve" in ended.stderr


def test_a_setting_that_is_wrong_is_named(hub: Hub):
    ended = hub("admin", "doctor", HUB_PORT="many")
    assert ended.returncode == WRONG_USAGE
    assert "HUB_PORT" in ended.stderr


def test_ctrl_c_ends_a_command_without_a_traceback(environment: dict[str, str]):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "-m", "hub.cli.main", "ls"]
        running = subprocess.Popen(command, env=environment | {"HUB_URL": url}, stderr=subprocess.PIPE, text=True)
        connected, _ = silent.accept()
        connected.recv(1)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate()
        connected.close()
    assert running.returncode == 130
    assert "Traceback" not in said


def test_a_broken_credentials_file_is_an_error_with_a_remedy(hub: Hub, tmp_path: Path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "credentials.json").write_text("{")
    ended = hub("ls")
    assert ended.returncode == 1
    assert "log in again" in ended.stderr
