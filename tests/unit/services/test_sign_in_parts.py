"""What signing in is made of: passwords that are hashed, and tries that are counted."""

import pytest

from hub.domain.errors import InvalidRequest, Overloaded
from hub.services.attempts import Attempts
from hub.services.passwords import MAX_CHARS, is_password, password_hash


def test_a_password_is_kept_as_argon2id_and_known_again():
    stored = password_hash("correct horse")
    assert stored.startswith("$argon2id$")
    assert is_password("correct horse", stored)
    assert not is_password("correct horsf", stored)


def test_nobodys_password_is_none():
    assert not is_password("nobody's", None)
    assert not is_password("anything", "no hash")


@pytest.mark.parametrize("password", ["", "too short", "x" * (MAX_CHARS + 1)])
def test_a_password_of_a_bad_length_is_refused(password: str):
    with pytest.raises(InvalidRequest, match="characters"):
        password_hash(password)


def test_what_was_tried_too_often_is_refused_until_it_is_forgotten():
    attempts = Attempts(2, 60.0)
    for _ in range(2):
        attempts.count("ada")
    with pytest.raises(Overloaded):
        attempts.count("ada")
    attempts.count("bob")
    attempts.forget("ada")
    attempts.count("ada")


def test_what_was_tried_long_ago_does_not_count():
    attempts = Attempts(1, 0.0)
    for _ in range(5):
        attempts.count("ada")
