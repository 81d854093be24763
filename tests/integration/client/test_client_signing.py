"""Signing and checking from the command line, against a real hub."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
import structlog
from typer.testing import CliRunner, Result

from hub.cli.main import app
from hub.client.cache import Cache
from hub.client.client import Client
from hub.domain.errors import InvalidAttestation, InvalidRequest
from tests.support.signing import KeyPair

Run = Callable[..., Result]


@pytest.fixture
def run(running) -> Iterator[Run]:
    """Runs a command in this process, where the hub's log may not stand between what is printed."""
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])
    structlog.configure(**before)


@pytest.fixture
def key(tmp_path: Path) -> KeyPair:
    return KeyPair(tmp_path)


@pytest.fixture
def admin(run: Run, tmp_path: Path) -> Run:
    """``hub admin key`` on the hub's machine."""
    return lambda verb, *arguments: run("admin", "key", verb, *arguments, "--data-dir", tmp_path / "data")


@pytest.fixture
def signed(run: Run, admin: Run, key: KeyPair, make_model: Callable[..., Path]) -> Path:
    root = make_model(notes=b"notes")
    assert admin("add", "acme", key.public).stdout == f"{key.signer.fingerprint}\n"
    ended = run("push", root, "acme/echo:stable", "--sign", key.private)
    assert (ended.exit_code, ended.stdout) == (0, "acme/echo@1\n"), ended.stderr
    return root


def test_a_signed_version_is_verified_by_name_and_by_directory(
    run: Run, signed: Path, key: KeyPair, tmp_path: Path
) -> None:
    for more in ((), ("--key", key.public)):
        ended = run("verify", "acme/echo", *more)
        assert ended.exit_code == 0, ended.stdout
        assert f"Signed by release ({key.signer.fingerprint[:12]})." in ended.stderr
    run("pull", "acme/echo", tmp_path / "out")
    found = orjson.loads(run("verify", tmp_path / "out", "--json").stdout)
    assert found["signed_by"] == [f"release ({key.signer.fingerprint[:12]})"]
    assert run("verify", signed, "--ref", "acme/echo@1", "--key", key.public).exit_code == 0
    assert "notes has 8 bytes" in (_tampered(signed), run("verify", signed, "--ref", "acme/echo@1"))[1].stdout


def _tampered(root: Path) -> None:
    (root / "assets.extra" / "notes").write_bytes(b"tampered")


def test_an_unsigned_version_is_said_to_be_and_fails_where_a_key_was_asked_for(
    run: Run, admin: Run, key: KeyPair, make_model: Callable[..., Path], tmp_path: Path
) -> None:
    run("push", make_model(), "acme/echo")
    plain = run("verify", "acme/echo")
    assert plain.exit_code == 0
    assert "Not signed" in plain.stderr
    asked = run("verify", "acme/echo", "--key", key.public)
    assert asked.exit_code == 1
    assert "is not signed with" in asked.stdout
    admin("add", "acme", key.public)
    again = run("push", make_model(), "acme/echo", "--sign", key.private)
    assert (again.exit_code, again.stdout) == (0, "acme/echo@1\n"), "signing what is there makes no version"
    assert run("verify", "acme/echo", "--key", key.public).exit_code == 0
    assert run("verify", "acme/echo", "--key", KeyPair(tmp_path, "other").public).exit_code == 1


def test_a_key_that_was_revoked_vouches_for_nothing_any_more(run: Run, admin: Run, signed: Path, key: KeyPair) -> None:
    assert "takes unsigned pushes too" in admin("ls", "acme").stderr
    assert admin("revoke", "acme", "release").exit_code == 0
    assert "Not signed" in run("verify", "acme/echo").stderr
    assert orjson.loads(admin("ls", "acme", "--json").stdout)["items"][0]["revoked_at"]
    assert admin("require", "acme", "on").exit_code == 0
    with Client() as client, pytest.raises(InvalidAttestation, match="takes signed pushes only"):
        client.push(signed, "acme/echo")
    with Client() as client, pytest.raises(InvalidAttestation, match="was revoked"):
        client.push(signed, "acme/echo", sign=key.private)


def test_what_a_lying_hub_says_of_a_version_does_not_pass_for_a_key_held_in_the_hand(
    run: Run, running, signed: Path, key: KeyPair, make_model: Callable[..., Path]
) -> None:
    """The hub's database is changed behind its back: the attestation of one version is hung on another."""
    run("push", make_model("other", notes=b"other"), "acme/echo")
    with running.house.browse.catalog.begin() as tx:
        tx.connection.exec_driver_sql("UPDATE attestations SET number = 2")
    for more in ((), ("--key", key.public)):
        ended = run("verify", "acme/echo@2", *more)
        assert ended.exit_code == 1
        assert "other content of acme/echo" in ended.stdout


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a private key"),
        (b"\xff\xfe", "not a PEM file"),
        (b"-" * 20_000, "not a PEM file"),
    ],
)
def test_what_is_no_key_signs_nothing(
    running, make_model: Callable[..., Path], tmp_path: Path, content: bytes, reason: str
) -> None:
    (tmp_path / "wrong.pem").write_bytes(content)
    with Client() as client, pytest.raises(InvalidRequest, match=reason):
        client.push(make_model(), "acme/echo", sign=tmp_path / "wrong.pem")


def test_a_locked_key_and_a_key_of_another_kind_are_named(
    running, make_model: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "key.pem"
    kinds = {
        "passphrase": ["ec", "-aes256", "-passout", "pass:secret", "-in", str(KeyPair(tmp_path).private)],
        "another kind": ["ecparam", "-genkey", "-name", "secp384r1", "-noout"],
    }
    for reason, command in kinds.items():
        subprocess.run(["openssl", *command, "-out", str(path)], check=True, capture_output=True)
        with Client() as client, pytest.raises(InvalidRequest, match=reason):
            client.push(make_model(), "acme/echo", sign=path)


def test_without_the_extra_what_needs_it_says_how_to_install_it(run: Run, running, make_model, key: KeyPair) -> None:
    hide = "import sys; sys.modules['cryptography'] = None; from hub.cli.main import main; main()"
    run("push", make_model(), "acme/echo")
    for arguments in (("push", str(make_model()), "acme/echo", "--sign", str(key.private)), ("verify", "acme/echo")):
        ended = subprocess.run([sys.executable, "-c", hide, *arguments], capture_output=True, text=True, check=False)
        is_needed = arguments[0] == "push"
        assert ended.returncode == (1 if is_needed else 0)
        assert (
            'pip install "trunkhub[sign]"' if is_needed else "Not signed: Checking signatures needs"
        ) in ended.stderr


def test_a_directory_is_verified_without_the_hub_but_not_who_signed_it(
    run: Run, running, signed: Path, key: KeyPair, tmp_path: Path
) -> None:
    run("pull", "acme/echo", tmp_path / "out")
    assert Cache().placed(tmp_path / "out")
    running.stop()
    assert "Not signed" in run("verify", tmp_path / "out").stderr
    assert run("verify", tmp_path / "out", "--key", key.public).exit_code != 0
