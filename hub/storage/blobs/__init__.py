"""Bytes by digest: the `BlobStore` protocol, its stores, and `open_store`, which chooses one by URL."""

from hub.storage.blobs.select import open_store
from hub.storage.blobs.store import BlobStore

__all__ = ["BlobStore", "open_store"]
