"""Moves blobs between this machine and a hub: a few at a time, in bounded memory, resumable.

Laws: a downloaded blob gets its final name only after its sha256 was checked; what arrived before a break is kept and
continued with a Range request, by another process too; the first failure stops the other transfers, and so does Ctrl-C.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import BinaryIO, TypeVar

import httpx2

from hub.client.digesting import Source
from hub.client.http import ATTEMPTS, Http, backoff_s
from hub.client.progress import Meter
from hub.domain.digests import READ_BYTES, read_chunks
from hub.domain.errors import DigestMismatch, HubUnreachable, NotAvailable, Overloaded, TransferFailed
from hub.protocol.schemas import Upload

THREADS = 4
_Item = TypeVar("_Item")
_WORTH_ANOTHER_TRY = (HubUnreachable, NotAvailable, Overloaded)


class _Stopped(Exception):
    """Another transfer failed, or the user wants out."""


def upload_all(http: Http, uploads: Sequence[Upload], sources: Mapping[str, Source], meter: Meter) -> None:
    """Send blobs.

    Args:
        http: The hub.
        uploads: What it lacks and where to put it.
        sources: Where the bytes are, by digest.
        meter: Counts what was sent.

    Raises:
        DigestMismatch: A file changed since it was hashed.
        HubUnreachable: The hub went away.
        HubError: The hub's problem, by its class.
    """
    stop = threading.Event()

    def send(upload: Upload) -> None:
        _upload(http, upload, sources[upload.digest], meter, stop)

    _in_threads(send, uploads, stop)


def download_all(http: Http, blobs: Mapping[str, int], path_of: Callable[[str], str], into: Path, meter: Meter) -> None:
    """Fetch blobs into a directory, one file each, named by the hex digits of its digest.

    Whoever calls this makes sure that no other process uses ``into``.

    Args:
        http: The hub.
        blobs: Size by digest of what is wanted.
        path_of: The hub's path of a blob.
        into: The directory; what is there already is not fetched again.
        meter: Counts what is there.

    Raises:
        TransferFailed: Bytes did not arrive whole.
        HubUnreachable: The hub went away.
        HubError: The hub's problem, by its class.
    """
    into.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()

    def fetch(item: tuple[str, int]) -> None:
        digest, size = item
        _download(http, path_of(digest), digest, size, blob_path(into, digest), meter, stop)

    _in_threads(fetch, list(blobs.items()), stop)


def blob_path(directory: Path, digest: str) -> Path:
    """Where :func:`download_all` puts a blob."""
    return directory / digest.removeprefix("sha256:")


def _in_threads(work: Callable[[_Item], None], items: Iterable[_Item], stop: threading.Event) -> None:
    with ThreadPoolExecutor(THREADS, thread_name_prefix="transfer") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
    errors = [error for future in futures if not future.cancelled() and (error := future.exception())]
    real = [error for error in errors if not isinstance(error, _Stopped)]
    if real:
        raise real[0]


def _upload(http: Http, upload: Upload, source: Source, meter: Meter, stop: threading.Event) -> None:
    attempt_bytes = 0

    def chunks() -> Iterator[bytes]:
        nonlocal attempt_bytes
        meter.add(-attempt_bytes)
        attempt_bytes = 0
        for chunk in _read(source, stop):
            yield chunk
            attempt_bytes += len(chunk)
            meter.add(len(chunk))

    try:
        http.upload(upload.url, chunks, source.size)
    except DigestMismatch as error:
        raise _changed(source) from error


def _read(source: Source, stop: threading.Event) -> Iterator[bytes]:
    left = source.size
    with source.path.open("rb") as file:
        file.seek(source.offset)
        for chunk in read_chunks(file, source.size):
            if stop.is_set():
                raise _Stopped
            left -= len(chunk)
            yield chunk
    if left:
        raise _changed(source)


def _changed(source: Source) -> DigestMismatch:
    return DigestMismatch(
        f"{source.name} changed while it was being pushed.",
        remedy="Push again when nothing writes to it any more.",
        path=source.name,
    )


def _download(http: Http, path: str, digest: str, size: int, target: Path, meter: Meter, stop: threading.Event) -> None:
    if target.exists():
        meter.add(size)
        return
    with target.with_suffix(".part").open("a+b") as file:
        partial = _Partial(file, size, meter)
        _fill(http, path, partial, stop)
        if partial.digest != digest:
            partial.reset()
            _fill(http, path, partial, stop)
        if partial.digest != digest:
            partial.reset()
            raise TransferFailed(
                f"The hub sent other bytes than those of {digest}.", remedy="Pull again.", digest=digest
            )
        file.flush()
        os.fsync(file.fileno())
    target.with_suffix(".part").rename(target)


class _Partial:
    """A blob that has not arrived whole, and the hash of what has."""

    def __init__(self, file: BinaryIO, size: int, meter: Meter) -> None:
        self._file = file
        self._meter = meter
        self._hash = hashlib.sha256()
        self.size = size
        self.have = 0
        file.seek(0)
        for chunk in read_chunks(file):
            self._count(chunk)
        if self.have > size:
            self.reset()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def append(self, chunk: bytes) -> None:
        if self.have + len(chunk) > self.size:
            raise TransferFailed(f"The hub sent more than the {self.size} bytes it announced.", remedy="Pull again.")
        self._file.write(chunk)
        self._count(chunk)

    def reset(self) -> None:
        self._file.truncate(0)
        self._meter.add(-self.have)
        self._hash = hashlib.sha256()
        self.have = 0

    def _count(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.have += len(chunk)
        self._meter.add(len(chunk))


def _fill(http: Http, path: str, partial: _Partial, stop: threading.Event) -> None:
    failures = 0
    while partial.have < partial.size:
        before = partial.have
        try:
            _receive(http, path, partial, stop)
        except _WORTH_ANOTHER_TRY:
            failures = 0 if partial.have > before else failures + 1
            if failures == ATTEMPTS or stop.is_set():
                raise
        if partial.have < partial.size:
            stop.wait(backoff_s(failures))


def _receive(http: Http, path: str, partial: _Partial, stop: threading.Event) -> None:
    with http.download(path, start=partial.have) as response:
        if partial.have and response.status_code != httpx2.codes.PARTIAL_CONTENT:
            partial.reset()
        for chunk in response.iter_bytes(READ_BYTES):
            if stop.is_set():
                raise _Stopped
            partial.append(chunk)
