"""Where a digest's bytes lie, on a disk and in a bucket. Once released, for ever.

Law: ``digest_at(path_of(d)) == d`` and ``digest_at(key_of(d)) == d``; anything else in the place is nobody's blob.
"""

import re

_ALGORITHM = "sha256"
_PLACE = re.compile(r"sha256/(?:([0-9a-f]{2})/)?([0-9a-f]{64})")


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


def digest_at(place: str) -> str | None:
    """The digest whose bytes lie at a path or key; None where it is not one of ours."""
    found = _PLACE.fullmatch(place)
    if not found:
        return None
    folder, digits = found.groups()
    return f"{_ALGORITHM}:{digits}" if folder in (None, digits[:2]) else None
