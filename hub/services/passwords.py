"""Passwords: how they are kept and checked (argon2id).

Laws: a check takes as long for a user who is not there as for one who is; so much memory is taken by a few at a time
only.
"""

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hub.domain.errors import InvalidRequest

MIN_CHARS, MAX_CHARS = 10, 200
_hasher = PasswordHasher()
_at_once = threading.BoundedSemaphore(2)
_NOBODYS = _hasher.hash("nobody's")


def password_hash(password: str) -> str:
    """What is stored of a password.

    Raises:
        InvalidRequest: It is too short or too long.
    """
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        raise InvalidRequest(
            f"A password has from {MIN_CHARS} to {MAX_CHARS} characters.", remedy="A few words are easy to remember."
        )
    with _at_once:
        return _hasher.hash(password.encode("utf-8", "surrogatepass"))


def is_password(password: str, stored: str | None) -> bool:
    """Whether a password is the stored one; nobody's is never."""
    with _at_once:
        try:
            _hasher.verify(stored or _NOBODYS, password[:MAX_CHARS].encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None
