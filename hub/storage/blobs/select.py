"""Which blob store a URL means.

``memory:`` · ``file:///path`` or a plain path · ``s3://bucket/prefix?endpoint_url=…&region=…``
"""

import importlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hub.domain.errors import ExtraMissing, InvalidRequest
from hub.storage.blobs.filesystem import FilesystemBlobStore
from hub.storage.blobs.memory import MemoryBlobStore
from hub.storage.blobs.store import BlobStore


def open_store(url: str) -> BlobStore:
    """Open the store that a URL names.

    Raises:
        InvalidRequest: No store has such a URL.
        ExtraMissing: It is an S3 bucket and boto3 is not installed.
        NotAvailable: The directory cannot be used.
    """
    if url == "memory:":
        return MemoryBlobStore()
    if url.startswith("s3://"):
        return _open_s3(url)
    if url.startswith("file:"):
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost"):
            raise InvalidRequest(f"{url!r} names another machine's disk.", remedy="Write file:///path.")
        return FilesystemBlobStore(Path(unquote(parts.path)))
    if "://" in url or not url:
        raise InvalidRequest(f"{url!r} is no storage URL.", remedy="Write a path, file:///path or s3://bucket/prefix.")
    return FilesystemBlobStore(Path(url))


def _open_s3(url: str) -> BlobStore:
    # boto3 costs half a second and belongs to the server extra: it is loaded only when a bucket is asked for.
    try:
        module = importlib.import_module("hub.storage.blobs.s3")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("boto3", "botocore"):
            raise
        raise ExtraMissing("An S3 bucket needs boto3.", remedy="pip install 'trunkhub[server]'") from error
    store: BlobStore = module.S3BlobStore.from_url(url)
    return store
