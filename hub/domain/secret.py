"""Secrets of tokens: how one looks.

``trunkhub_``, 43 characters for 256 random bits, and 6 for the CRC-32 of those 43: letters and digits only, so that a
double click takes all of it. Scanners find one by the pattern alone, and tell one that was mistyped by its checksum.

Laws: what is well-formed may be worthless; what is not was never a secret of any hub. Hubs before made secrets of 43
characters without a checksum, which stay valid.
"""

import hashlib
import re
import secrets
import zlib

PREFIX = "trunkhub_"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_CHARS = 43
_CHECK_CHARS = 6
_OLD = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_NEW = re.compile(rf"{PREFIX}([A-Za-z0-9]{{{_RANDOM_CHARS}}})([A-Za-z0-9]{{{_CHECK_CHARS}}})")


def new_secret() -> str:
    """A secret that nobody has."""
    random = _written(secrets.randbits(256), _RANDOM_CHARS)
    return f"{PREFIX}{random}{_checksum(random)}"


def is_mistyped(secret: str) -> bool:
    """Whether no hub ever made this secret, which needs no look at the database."""
    found = _NEW.fullmatch(secret)
    if found is not None:
        return _checksum(found[1]) != found[2]
    return secret.startswith(PREFIX) and _OLD.fullmatch(secret) is None


def hashed(secret: str) -> str:
    """The sha256 (hex) by which a secret is stored and found; so much randomness needs no slower hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _checksum(random: str) -> str:
    return _written(zlib.crc32(random.encode()), _CHECK_CHARS)


def _written(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
