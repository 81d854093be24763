"""Blobs as objects of an S3 bucket, on any server that speaks S3's common core.

What is relied on is what real servers do alike: whole PUT, GET with Range, HEAD, DELETE, ListObjectsV2. Conditional
writes, server-side checksums and the order of listings are not. Bytes are verified here before they are sent, and
``Content-MD5``, which they all check, guards the way. PUT is atomic, so a key exists only for a whole blob.

Clients put bytes by themselves below ``incoming/``, by presigned URLs; a blob's own key is written by the hub alone.
What arrived is read and verified. A small blob is then put from memory; a large one is copied inside the store, and
that the very object was copied that had been read is made sure of by its tag.
"""

import base64
import hashlib
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody

from hub.domain.digests import READ_BYTES
from hub.domain.errors import DigestMismatch, InvalidRequest, NotAvailable
from hub.storage.blobs.layout import INCOMING, digest_at, incoming_at, incoming_key, key_of
from hub.storage.blobs.store import URL_LIFE_S, not_found, verified
from hub.storage.disk import disk_errors

_MEMORY_BYTES = 8 << 20
_SMALL_BYTES = 1 << 20
_REGION = "us-east-1"
_QUERY = frozenset({"endpoint_url", "public_endpoint_url", "region"})
_AT_ONCE = 16
_DELETED_AT_ONCE = 1_000
_CONFIG = Config(
    signature_version="s3v4",
    s3={"addressing_style": "path"},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=5,
    read_timeout=20,
    max_pool_connections=40,
)
_CHECK_CONFIG = _CONFIG.merge(Config(retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=3))
_OTHER_CLOCK = "RequestTimeTooSkewed"
_CLOCKS_APART_S = 15 * 60


class S3BlobStore:
    """A bucket, or the part of one below a prefix; credentials come from the environment as boto3 finds them."""

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint_url: str | None = None,
        public_endpoint_url: str | None = None,
        region: str | None = None,
    ) -> None:
        """Prepare a client; nothing is sent yet.

        Args:
            bucket: The bucket, which exists.
            prefix: Everything is below this.
            endpoint_url: The server; AWS where None.
            public_endpoint_url: The same server as others reach it, for presigned URLs.
            region: Its region.

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
            self._signer: Any = self._s3
            # Whoever asks whether the store is there does not wait for all attempts.
            self._checker: Any = session.client(
                "s3", endpoint_url=endpoint_url, region_name=region, config=_CHECK_CONFIG
            )
            if public_endpoint_url:
                self._signer = session.client(
                    "s3", endpoint_url=public_endpoint_url, region_name=region, config=_CONFIG
                )
        except (BotoCoreError, ValueError) as error:
            detail = f"No S3 client can be made for {self._where}: {error}."
            raise InvalidRequest(detail, remedy="Check endpoint_url, region and the AWS_ settings.") from error

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read ``s3://bucket/prefix?endpoint_url=…&public_endpoint_url=…&region=…``.

        Raises:
            InvalidRequest: It has no bucket or an unknown parameter.
        """
        parts = urlsplit(url)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        unknown = sorted(query.keys() - _QUERY)
        if not parts.netloc or unknown:
            detail = f"{url!r} has unknown parameters {unknown}." if unknown else f"{url!r} names no bucket."
            raise InvalidRequest(detail, remedy="Write s3://bucket/prefix?endpoint_url=http://host:port&region=name.")
        return cls(parts.netloc, parts.path, **query)

    files = None

    @property
    def direct(self) -> Self:
        """Clients may reach the bucket by themselves."""
        return self

    def has(self, digest: str) -> bool:
        """See `BlobStore.has`."""
        return self._head(digest) is not None

    def missing(self, digests: Iterable[str]) -> list[str]:
        """See `BlobStore.missing`."""
        asked = list(dict.fromkeys(digests))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return [digest for digest, here in zip(asked, pool.map(self.has, asked), strict=True) if not here]

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
            self._put(digest, spool, size, checksum.digest())

    def _put(self, digest: str, body: Any, size: int, md5: bytes) -> None:
        with self._errors():
            self._s3.put_object(
                Bucket=self.bucket,
                Key=self._key(digest),
                Body=body,
                ContentLength=size,
                ContentMD5=base64.b64encode(md5).decode(),
            )

    def open(self, digest: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See `BlobStore.open`."""
        if length is not None and length <= 0:
            self.size(digest)
            return iter(())
        whole = start == 0 and length is None
        end = "" if length is None else start + length - 1
        span = {} if whole else {"Range": f"bytes={start}-{end}"}
        try:
            answer = self._get(self._key(digest), digest, **span)
        except _PastTheEnd:
            return iter(())
        return self._read(answer["Body"])

    def size(self, digest: str) -> int:
        """See `BlobStore.size`."""
        size = self._head(digest)
        if size is None:
            raise not_found(digest)
        return size

    def delete(self, *digests: str) -> None:
        """See `BlobStore.delete`."""
        self._delete([self._key(digest) for digest in digests])

    def digests(self) -> Iterator[str]:
        """See `BlobStore.digests`."""
        for key, _ in self._listed("sha256/"):
            digest = digest_at(key)
            if digest:
                yield digest

    def check(self) -> None:
        """See `BlobStore.check`."""
        key, copy = f"{self.prefix}check", f"{self.prefix}check-copy"
        with self._errors():
            self._checker.put_object(Bucket=self.bucket, Key=key, Body=b"check")
            self._checker.copy_object(Bucket=self.bucket, Key=copy, CopySource={"Bucket": self.bucket, "Key": key})
            self._checker.get_object(Bucket=self.bucket, Key=copy)["Body"].read()
        self._delete([key, copy])

    def put_url(self, push: UUID, digest: str, size: int) -> str:
        """See `DirectStore.put_url`."""
        key = self.prefix + incoming_key(push, digest)
        asked = {"Bucket": self.bucket, "Key": key, "ContentLength": size}
        return self._signed("put_object", asked, "PUT")

    def get_url(self, digest: str) -> str:
        """See `DirectStore.get_url`."""
        asked = {"Bucket": self.bucket, "Key": self._key(digest)}
        return self._signed("get_object", asked, "GET")

    def _signed(self, operation: str, asked: dict[str, Any], method: str) -> str:
        with self._errors():  # without credentials nothing can be signed
            return str(self._signer.generate_presigned_url(operation, asked, URL_LIFE_S, method))

    def arrived(self, push: UUID) -> dict[str, int]:
        """See `DirectStore.arrived`."""
        found = ((incoming_at(key), size) for key, size in self._listed(incoming_key(push)))
        return {at[1]: size for at, size in found if at}

    def take(self, push: UUID, digest: str, size: int) -> Iterator[bytes]:
        """See `DirectStore.take`."""
        key = self.prefix + incoming_key(push, digest)
        answer = self._get(key, digest)
        seen: list[bytes] | None = [] if size <= _SMALL_BYTES else None
        try:
            for piece in verified(digest, self._read(answer["Body"]), size):
                if seen is not None:
                    seen.append(piece)
                yield piece
        except DigestMismatch:
            self._delete([key])
            raise
        if seen is not None:
            data = b"".join(seen)
            self._put(digest, data, size, hashlib.md5(data, usedforsecurity=False).digest())
        elif self._head(digest) != size:
            self._copy(key, answer["ETag"], digest, size)

    def _copy(self, key: str, tag: str, digest: str, size: int) -> None:
        """Copy what was read to a blob's own key, and make sure that it was this that was copied."""
        source = {"Bucket": self.bucket, "Key": key}
        with self._errors():
            copied = self._s3.copy_object(
                Bucket=self.bucket, Key=self._key(digest), CopySource=source, CopySourceIfMatch=tag
            )
        # Ceph does not look at the condition, but tells what it copied; some encrypted buckets tell another tag.
        if copied["CopyObjectResult"]["ETag"].strip('"') == tag.strip('"'):
            return
        try:
            for _ in verified(digest, self.open(digest), size):
                pass
        except DigestMismatch:
            self.delete(digest)
            raise

    def forget(self, push: UUID) -> None:
        """See `DirectStore.forget`."""
        self._delete([self.prefix + key for key, _ in self._listed(incoming_key(push))])

    def pushes(self) -> Iterator[UUID]:
        """See `DirectStore.pushes`."""
        seen: set[UUID] = set()
        for key, _ in self._listed(INCOMING):
            at = incoming_at(key)
            if at and at[0] not in seen:
                seen.add(at[0])
                yield at[0]

    def _delete(self, keys: list[str]) -> None:
        with self._errors():
            for start in range(0, len(keys), _DELETED_AT_ONCE):
                some = [{"Key": key} for key in keys[start : start + _DELETED_AT_ONCE]]
                answer = self._s3.delete_objects(Bucket=self.bucket, Delete={"Objects": some, "Quiet": True})
                for error in answer.get("Errors", ()):
                    raise ClientError({"Error": error}, "DeleteObjects")

    def _listed(self, start: str) -> Iterator[tuple[str, int]]:
        """Key below our prefix, and size, of every object whose key begins so."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix + start)
        with self._errors():
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield entry["Key"].removeprefix(self.prefix), int(entry["Size"])

    def _get(self, key: str, digest: str, **span: str) -> Any:
        with self._errors():
            try:
                return self._s3.get_object(Bucket=self.bucket, Key=key, **span)
            except ClientError as error:
                if _status(error) == 416:
                    raise _PastTheEnd from error
                if _is_absent(error):
                    raise not_found(digest) from error
                raise

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
                remedy="Set this machine's clock or the store's: they differ by more than a quarter of an hour."
                if code == _OTHER_CLOCK or _is_of_another_time(error)
                else "Check that the bucket exists and that the credentials may read and write it.",
                inside=f"It was asked for {self._where}.",
            ) from error
        except BotoCoreError as error:
            raise NotAvailable(
                "The object store cannot be used.",
                remedy="Check the endpoint, the network and the AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY settings.",
                inside=f"{self._where}: {error}.",
            ) from error


class _PastTheEnd(Exception):
    """A range that begins behind the last byte."""


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _is_of_another_time(error: ClientError) -> bool:
    """Whether a store that refused without a reason, as it does to a HEAD, says that its clock is not ours."""
    said = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        theirs = parsedate_to_datetime(said).timestamp()
    except ValueError:
        return False
    return _status(error) == HTTPStatus.FORBIDDEN and abs(theirs - time.time()) > _CLOCKS_APART_S


def _is_absent(error: ClientError) -> bool:
    # A HEAD has no body, so its code is the bare number; only there does a missing bucket look like a missing blob.
    return error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NotFound")
