"""Where a digest's bytes lie, on a disk and in a bucket. Once released, for ever.

Law: ``digest_at(path_of(d)) == d`` and ``digest_at(key_of(d)) == d``; anything else in the place is nobody's blob.
"""

import re
from uuid import UUID

_ALGORITHM = "sha256"
INCOMING = "incoming/"
_PLACE = re.compile(r"sha256/(?:([0-9a-f]{2})/)?([0-9a-f]{64})")
_INCOMING = re.compile(rf"{INCOMING}([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})/([0-9a-f]{{64}})")


def hex_of(digest: str) -> str:
    """The 64 hex digits."""
    return digest.removeprefix(f"{_ALGORITHM}:")


def path_of(digest: str) -> str:
    """``sha256/ab/ab…``: one level of 256 folders keeps folders small on every file system."""
    digits = hex_of(digest)
    return f"{_ALGORITHM}/{digits[:2]}/{digits}"


def key_of(digest: str) -> str:
    """``sha256/ab…``: flat, because stores differ in how they sort and list deeper keys."""
    return f"{_ALGORITHM}/{hex_of(digest)}"


def incoming_key(push: UUID, digest: str = "") -> str:
    """``incoming/PUSH/ab…``: where a client puts what the hub has not looked at; without a digest, their folder."""
    return f"{INCOMING}{push}/{hex_of(digest)}"


def incoming_at(key: str) -> tuple[UUID, str] | None:
    """The push and the digest that a client's key names; None where it is not one of ours."""
    found = _INCOMING.fullmatch(key)
    return (UUID(found.group(1)), f"{_ALGORITHM}:{found.group(2)}") if found else None


def digest_at(place: str) -> str | None:
    """The digest whose bytes lie at a path or key; None where it is not one of ours."""
    found = _PLACE.fullmatch(place)
    if not found:
        return None
    folder, digits = found.groups()
    return f"{_ALGORITHM}:{digits}" if folder in (None, digits[:2]) else None
