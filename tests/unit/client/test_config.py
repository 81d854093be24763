"""Which hub, as whom, and where that is kept."""

import stat
from pathlib import Path

import pytest

from hub.client.config import DEFAULT_URL, connection, credentials_path, normal_url, save_credentials
from hub.domain.errors import InvalidRequest


def test_without_anything_it_is_this_machines_hub():
    assert (connection().url, connection().token) == (DEFAULT_URL, None)


def test_an_argument_beats_the_environment_and_that_beats_the_login(monkeypatch: pytest.MonkeyPatch):
    save_credentials("https://saved.example", "from-login")
    assert (connection().url, connection().token) == ("https://saved.example", "from-login")
    monkeypatch.setenv("HUB_URL", "https://env.example")
    monkeypatch.setenv("HUB_TOKEN", "from-env")
    assert (connection().url, connection().token) == ("https://env.example", "from-env")
    said = connection("https://arg.example", "from-arg")
    assert (said.url, said.token) == ("https://arg.example", "from-arg")


def test_a_saved_token_is_for_its_own_hub_only():
    save_credentials("https://one.example", "one")
    save_credentials("https://two.example/", "two")
    assert connection("https://one.example/").token == "one"
    assert connection("https://two.example").token == "two"
    assert connection("https://three.example").token is None
    assert connection().url == "https://two.example"


def test_a_token_can_be_forgotten_and_the_default_left_alone():
    save_credentials("https://one.example", "one")
    save_credentials("https://two.example", "two", is_default=False)
    assert connection().url == "https://one.example"
    save_credentials("https://one.example", None)
    assert connection("https://one.example").token is None


def test_only_the_owner_can_read_the_credentials(own_folders: Path):
    path = save_credentials("https://one.example", "one")
    assert path == own_folders / "config" / "credentials.json" == credentials_path()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_credentials_that_others_may_read_become_private_again():
    path = save_credentials("https://one.example", "one")
    path.chmod(0o644)
    save_credentials("https://two.example", "two")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("written", [b"{", b"[]", b'{"tokens": []}'])
def test_a_broken_credentials_file_is_named_with_what_to_do(written: bytes):
    path = save_credentials("https://one.example", "one")
    path.write_bytes(written)
    with pytest.raises(InvalidRequest) as caught:
        connection()
    assert str(path) in str(caught.value.remedy)


def test_a_token_is_not_in_a_connections_text():
    assert "secret" not in repr(connection("https://one.example", "secret"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://localhost:8460/", "http://localhost:8460"),
        ("HTTPS://Hub.Example.org:443", "https://hub.example.org"),
        ("http://hub.example.org:80/team/", "http://hub.example.org/team"),
        ("http://[::1]:8460", "http://[::1]:8460"),
    ],
)
def test_a_url_has_one_form(text: str, expected: str):
    assert normal_url(text) == expected
    assert normal_url(expected) == expected


@pytest.mark.parametrize(
    "text",
    ["localhost:8460", "hub.example.org", "ftp://x", "http://", "http://a:99999", "http://u:p@h", "http://h?q=1"],
)
def test_what_is_no_url_of_a_hub_is_refused(text: str):
    with pytest.raises(InvalidRequest, match="not the URL of a hub"):
        normal_url(text)
