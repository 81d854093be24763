"""Versions made of a few bytes, as the snapshots find them in a blob store."""

import hashlib
from collections.abc import Callable, Mapping

import pytest

from hub.domain.manifest import BlobRef, File, Kind, Manifest
from hub.storage.blobs.store import BlobStore

Publish = Callable[[BlobStore, Mapping[str, list[bytes]]], str]


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def publish_version(blobs: BlobStore, files: Mapping[str, list[bytes]]) -> str:
    """Store files, each cut as given, and their manifest; gives the version's digest."""
    listed = []
    for path, parts in files.items():
        for part in parts:
            blobs.put(digest(part), [part], len(part))
        whole = b"".join(parts)
        refs = tuple(BlobRef(digest=digest(part), size=len(part)) for part in parts)
        listed.append(File(path=path, size=len(whole), digest=digest(whole), blobs=refs))
    manifest = Manifest(kind=Kind.TRUNK, files=tuple(listed), signatures={}, tuning_face=None, tensors=(), lineage=())
    data = manifest.canonical()
    blobs.put(manifest.digest(), [data], len(data))
    return manifest.digest()


@pytest.fixture
def publish() -> Publish:
    return publish_version
