"""Blobs as objects of an S3 bucket, on any server that speaks S3's common core.

What is relied on is what real servers do alike: whole PUT, GET with Range, HEAD, DELETE, ListObjectsV2. Conditional
writes, server-side checksums and the order of listings are not. Bytes are verified here before they are sent, and
``Content-MD5``, which they all check, guards the way. PUT is atomic, so a key exists only for a whole blob.
"""

import base64
import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody

from hub.domain.digests import READ_BYTES
from hub.domain.errors import InvalidRequest, NotAvailable
from hub.storage.blobs.layout import digest_at, key_of
from hub.storage.blobs.store import not_found, verified
from hub.storage.disk import disk_errors

_MEMORY_BYTES = 8 << 20
_REGION = "us-east-1"
_QUERY = frozenset({"endpoint_url", "region"})
_CONFIG = Config(
    s3={"addressing_style": "path"},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=5,
    read_timeout=60,
    max_pool_connections=40,
)


class S3BlobStore:
    """A bucket, or the part of one below a prefix; credentials come from the environment as boto3 finds them."""

    def __init__(
        self, bucket: str, prefix: str = "", *, endpoint_url: str | None = None, region: str | None = None
    ) -> None:
        """Prepare a client; nothing is sent yet.

        Raises:
            InvalidRequest: The endpoint or the AWS settings are not well-formed.
        """
        session = boto3.session.Session()
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._where = f"s3://{bucket}/{self.prefix}"
        region = region or session.region_name or _REGION
        try:
            self._s3: Any = session.client("s3", endpoint_url=endpoint_url, region_name=region, config=_CONFIG)
        except (BotoCoreError, ValueError) as error:
            detail = f"No S3 client can be made for {self._where}: {error}."
            raise InvalidRequest(detail, remedy="Check endpoint_url, region and the AWS_ settings.") from error

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read ``s3://bucket/prefix?endpoint_url=…&region=…``.

        Raises:
            InvalidRequest: It has no bucket or an unknown parameter.
        """
        parts = urlsplit(url)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        unknown = sorted(query.keys() - _QUERY)
        if not parts.netloc or unknown:
            detail = f"{url!r} has unknown parameters {unknown}." if unknown else f"{url!r} names no bucket."
            raise InvalidRequest(detail, remedy="Write s3://bucket/prefix?endpoint_url=http://host:port&region=name.")
        return cls(parts.netloc, parts.path, endpoint_url=query.get("endpoint_url"), region=query.get("region"))

    def has(self, digest: str) -> bool:
        """See `BlobStore.has`."""
        return self._head(digest) is not None

    def missing(self, digests: Iterable[str]) -> list[str]:
        """See `BlobStore.missing`."""
        return [digest for digest in dict.fromkeys(digests) if not self.has(digest)]

    def put(self, digest: str, chunks: Iterable[bytes], size: int) -> None:
        """See `BlobStore.put`."""
        if self._head(digest) == size:
            return
        checksum = hashlib.md5(usedforsecurity=False)
        with tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES) as spool:
            for chunk in verified(digest, chunks, size):
                checksum.update(chunk)
                with disk_errors(Path(tempfile.gettempdir())):
                    spool.write(chunk)
            spool.seek(0)
            with self._errors():
                self._s3.put_object(
                    Bucket=self.bucket,
                    Key=self._key(digest),
                    Body=spool,
                    ContentLength=size,
                    ContentMD5=base64.b64encode(checksum.digest()).decode(),
                )

    def open(self, digest: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See `BlobStore.open`."""
        if length is not None and length <= 0:
            self.size(digest)
            return iter(())
        whole = start == 0 and length is None
        end = "" if length is None else start + length - 1
        span = {} if whole else {"Range": f"bytes={start}-{end}"}
        with self._errors():
            try:
                answer = self._s3.get_object(Bucket=self.bucket, Key=self._key(digest), **span)
            except ClientError as error:
                if _status(error) == 416:
                    return iter(())
                if _is_absent(error):
                    raise not_found(digest) from error
                raise
        return self._read(answer["Body"])

    def size(self, digest: str) -> int:
        """See `BlobStore.size`."""
        size = self._head(digest)
        if size is None:
            raise not_found(digest)
        return size

    def delete(self, digest: str) -> None:
        """See `BlobStore.delete`."""
        with self._errors():
            self._s3.delete_object(Bucket=self.bucket, Key=self._key(digest))

    def digests(self) -> Iterator[str]:
        """See `BlobStore.digests`."""
        start = f"{self.prefix}sha256/"
        with self._errors():
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=start):
                for entry in page.get("Contents", ()):
                    digest = digest_at(entry["Key"].removeprefix(self.prefix))
                    if digest:
                        yield digest

    def check(self) -> None:
        """See `BlobStore.check`."""
        key = f"{self.prefix}check"
        with self._errors():
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=b"check")
            self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            self._s3.delete_object(Bucket=self.bucket, Key=key)

    def _key(self, digest: str) -> str:
        return self.prefix + key_of(digest)

    def _head(self, digest: str) -> int | None:
        with self._errors():
            try:
                return int(self._s3.head_object(Bucket=self.bucket, Key=self._key(digest))["ContentLength"])
            except ClientError as error:
                if _is_absent(error):
                    return None
                raise

    def _read(self, body: StreamingBody) -> Iterator[bytes]:
        with self._errors(), body:
            yield from body.iter_chunks(READ_BYTES)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            raise NotAvailable(
                f"The object store refused with {code or _status(error)}.",
                remedy="Check that the bucket exists and that the credentials may read and write it.",
                inside=f"It was asked for {self._where}.",
            ) from error
        except BotoCoreError as error:
            raise NotAvailable(
                "The object store cannot be used.",
                remedy="Check the endpoint, the network and the AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY settings.",
                inside=f"{self._where}: {error}.",
            ) from error


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _is_absent(error: ClientError) -> bool:
    # A HEAD has no body, so its code is the bare number; only there does a missing bucket look like a missing blob.
    return error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NotFound")
