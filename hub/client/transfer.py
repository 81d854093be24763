"""Moves blobs between this machine and a hub or its object store: several at a time, in bounded memory, resumable.

Laws: a blob that arrived counts only with all of its bytes; one whose transfer breaks is gone on with by a Range
request; the first failure that trying again does not mend stops the other transfers, and so does Ctrl-C; a process that
is killed leaves to the next one all but the blobs in flight.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeVar

from hub.client.arriving import WORTH_BYTES, arrive
from hub.client.digesting import Source, changed
from hub.client.http import Http, backoff_s
from hub.client.pace import Pace
from hub.client.packing import pack
from hub.client.places import Places
from hub.client.progress import Meter
from hub.domain.digests import read_at
from hub.domain.errors import (
    DigestMismatch,
    HubError,
    HubUnreachable,
    NotAvailable,
    Overloaded,
    StorageFull,
    StoreRefused,
    StoreUnreachable,
    TransferFailed,
)
from hub.storage.assembly import Assembly, Sink

ATTEMPTS = 8
THREADS = 4
_FEWEST_LARGE = 2
_Item = TypeVar("_Item")
_WORTH_ANOTHER_TRY = (HubUnreachable, NotAvailable, Overloaded, StoreRefused, StoreUnreachable)


class _Stopped(Exception):
    """Another transfer failed, or the user wants out."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Blobs on their way between this machine and a hub.

    Attributes:
        http: The hub.
        places: Where each blob is to go, or to come from.
        meter: Counts what has passed.
        pace: Bounds the rate.
    """

    http: Http
    places: Places
    meter: Meter
    pace: Pace

    def upload_all(self, sources: Mapping[str, Source]) -> None:
        """Send blobs.

        Args:
            sources: Where the bytes are, by digest.

        Raises:
            DigestMismatch: A file changed since it was hashed.
            HubUnreachable: The hub went away.
            HubError: The hub's problem, by its class.
        """
        stop = threading.Event()
        in_threads(lambda item: self._upload(*item, stop), sources.items(), stop)

    def download_all(self, assembly: Assembly, on_done: Callable[[str], None]) -> None:
        """Fetch every blob that an assembly lacks.

        Args:
            assembly: Where they belong.
            on_done: Told of each that is there, from any thread.

        Raises:
            TransferFailed: Bytes did not arrive whole.
            HubUnreachable: The hub went away.
            HubError: The hub's problem, by its class.
        """
        stop = threading.Event()
        sizes = dict(assembly.missing)
        # More large blobs at once than there are cores only keep the hashing, which must keep pace, from them.
        large = threading.Semaphore(max(_FEWEST_LARGE, os.cpu_count() or 1))

        def fetch(digest: str) -> None:
            with large if sizes[digest] > WORTH_BYTES else nullcontext():
                self._download(assembly, digest, stop)
            on_done(digest)

        in_threads(fetch, sizes, stop)

    def _upload(self, digest: str, source: Source, stop: threading.Event) -> None:
        packed = pack(source)

        def send() -> None:
            counted = self._counted(iter([packed]) if packed is not None else _read(source), stop)
            try:
                if packed is not None:
                    self.http.upload(self.places.at_hub(digest), counted.pieces(), len(packed), is_packed=True)
                    self.meter.add(source.size - len(packed))
                else:
                    self.http.upload(self.places.of(digest), counted.pieces(), source.size)
            except DigestMismatch as error:
                raise changed(source.name) from error
            except BaseException:
                counted.take_back()
                raise

        self._with_retries(digest, send, stop)

    def _download(self, assembly: Assembly, digest: str, stop: threading.Event) -> None:
        for is_last in (False, True):
            come = 0
            try:
                with assembly.sink(digest) as sink:
                    for count in self._arrivals(digest, sink, stop):
                        come += count
            except DigestMismatch as error:
                self.meter.add(-come)
                if is_last:
                    detail = f"Other bytes came than those of {digest}."
                    raise TransferFailed(detail, remedy="Pull again.", digest=digest) from error
            else:
                return

    def _arrivals(self, digest: str, sink: Sink, stop: threading.Event) -> Iterator[int]:
        """Have a blob's bytes come, and go on where the connection breaks; gives how many came, each time."""
        failures = 0
        while sink.count < sink.size:
            if stop.is_set():
                raise _Stopped
            before = sink.count
            try:
                with self.http.download(self.places.of(digest), start=sink.count) as response:
                    for count in arrive(response, sink):
                        if stop.is_set():
                            raise _Stopped
                        self.pace.take(count)
                        self.meter.add(count)
                        yield count
            except _WORTH_ANOTHER_TRY as error:
                failures = 0 if sink.count > before else failures + 1
                self._after_failure(digest, error, failures, stop)

    def _with_retries(self, digest: str, send: Callable[[], None], stop: threading.Event) -> None:
        failures = 0
        while True:
            try:
                return send()
            except _WORTH_ANOTHER_TRY as error:
                failures += 1
                self._after_failure(digest, error, failures, stop)

    def _after_failure(self, digest: str, error: HubError, failures: int, stop: threading.Event) -> None:
        """Pause before another try, or raise what went wrong."""
        self.places.forget(digest)
        if isinstance(error, StoreUnreachable) and failures > 1 and self.places.relay(error.detail):
            return
        if failures == ATTEMPTS or stop.is_set() or isinstance(error, StorageFull):
            raise error
        stop.wait(max(backoff_s(failures), error.facts.get("retry_after_s", 0.0)))

    def _counted(self, pieces: Iterator[bytes], stop: threading.Event) -> "_Counted":
        return _Counted(pieces, self.meter, self.pace, stop)


class _Counted:
    """Pieces that are counted and paced as they pass."""

    def __init__(self, pieces: Iterator[bytes], meter: Meter, pace: Pace, stop: threading.Event) -> None:
        self._pieces = pieces
        self._meter = meter
        self._pace = pace
        self._stop = stop
        self._count = 0

    def pieces(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if self._stop.is_set():
                raise _Stopped
            self._pace.take(len(piece))
            yield piece
            self._count += len(piece)
            self._meter.add(len(piece))

    def take_back(self) -> None:
        self._meter.add(-self._count)


def in_threads(work: Callable[[_Item], None], items: Iterable[_Item], stop: threading.Event | None = None) -> None:
    """Do something with each item, a few at a time; the first failure, or Ctrl-C, sets ``stop`` and ends it."""
    stop = stop or threading.Event()
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


def _read(source: Source) -> Iterator[bytes]:
    left = source.size
    with source.path.open("rb", buffering=0) as file:
        for piece in read_at(file.fileno(), source.offset, source.size):
            left -= len(piece)
            yield piece
    if left:
        raise changed(source.name)
