"""Drift: how far stored tensors moved between two versions. No use case of its own, but a part of diff.

The bytes are read from the blobs, where the index of the variables says they lie, compared piece by piece, and
forgotten; what was measured is kept by the pair of digests.

Laws: an answer reads at most :data:`MAX_BYTES`; what is left out says so; at most :data:`AT_ONCE` answers read at the
same time, others do without; a hostile index leads to no byte that is not the version's own.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from hub.domain.errors import BlobNotFound, NotAvailable
from hub.domain.manifest import File, Manifest, TensorEntry
from hub.domain.tensors import BY_NAME
from hub.savedmodel.bundle import INDEX, Bundle, Stored, read_bundle
from hub.savedmodel.wire import Malformed
from hub.storage.blobs import BlobStore

MAX_BYTES = 256 << 20
AT_ONCE = 2
KEPT = 100_000
MAX_INDEX_BYTES = 16 << 20
_STEP_BYTES = 1 << 20
_Pair = tuple[TensorEntry, TensorEntry]


@dataclass(frozen=True, slots=True)
class Drift:
    """How far one tensor moved; ``note`` says why that is not known."""

    value: float | None
    note: str = ""


TOO_MANY = Drift(None, "not measured: the bytes for one answer were used up")
BUSY = Drift(None, "not measured: the hub is measuring others, ask again")
UNREADABLE = Drift(None, "not measured: its bytes could not be read")


@dataclass(frozen=True, slots=True)
class Drifts:
    """Measures tensors, and remembers what it measured."""

    blobs: BlobStore
    _known: OrderedDict[tuple[str, str], Drift] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _slots: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(AT_ONCE), repr=False)

    def measure(self, before: Manifest, after: Manifest, pairs: Iterable[_Pair]) -> dict[str, Drift]:
        """The drift of changed tensors, by name.

        Args:
            before: The version before.
            after: The version after.
            pairs: The same tensor in both, most important first.
        """
        pairs = list(pairs)
        found = {was.name: drift for was, now in pairs if (drift := self._unmeasured(was, now)) is not None}
        open_pairs = [(was, now) for was, now in pairs if was.name not in found]
        if not open_pairs:
            return found
        if not self._slots.acquire(blocking=False):
            return found | {was.name: BUSY for was, _ in open_pairs}
        try:
            return found | self._measured(before, after, open_pairs)
        finally:
            self._slots.release()

    def _unmeasured(self, was: TensorEntry, now: TensorEntry) -> Drift | None:
        """What is known without reading; None where reading tells."""
        if (was.dtype, was.shape, was.size) != (now.dtype, now.shape, now.size):
            return Drift(None, "dtype or shape differ")
        if _numpy_type(was.dtype) is None:
            return Drift(None, f"{was.dtype} is not measured")
        with self._lock:
            return self._known.get((was.digest, now.digest))

    def _measured(self, before: Manifest, after: Manifest, pairs: list[_Pair]) -> dict[str, Drift]:
        try:
            places = _Places(self.blobs, before), _Places(self.blobs, after)
        except (Malformed, BlobNotFound, NotAvailable, OSError):
            return {was.name: UNREADABLE for was, _ in pairs}
        found, left = {}, MAX_BYTES
        for was, now in pairs:
            left -= was.size + now.size
            if left < 0:
                found[was.name] = TOO_MANY
                left += was.size + now.size
                continue
            try:
                found[was.name] = drift = _drift(was.dtype, places[0].read(was), places[1].read(now))
            except (Malformed, BlobNotFound, NotAvailable, ValueError):
                found[was.name] = UNREADABLE
                continue
            self._keep((was.digest, now.digest), drift)
        return found

    def _keep(self, key: tuple[str, str], drift: Drift) -> None:
        with self._lock:
            self._known[key] = drift
            while len(self._known) > KEPT:
                self._known.popitem(last=False)


class _Places:
    """Where a version's tensors lie in its blobs, from the index of its variables."""

    def __init__(self, blobs: BlobStore, manifest: Manifest) -> None:
        self._blobs = blobs
        self._files = {file.path: file for file in manifest.files}
        self._bundle = _bundle(blobs, self._files)

    def read(self, entry: TensorEntry) -> Iterator[bytes]:
        """The tensor's bytes, in pieces of one size but for the last.

        Raises:
            Malformed: The index and the manifest contradict each other.
        """
        stored = self._bundle.tensors.get(entry.name)
        file = self._files.get(self._bundle.shard_path(stored.shard)) if stored else None
        if stored is None or file is None or stored.size != entry.size:
            raise Malformed("the index does not have the tensor that the manifest has")
        if not 0 <= stored.offset <= file.size - stored.size:
            raise Malformed("the tensor does not lie in its file")
        return _even(self._ranges(file, stored))

    def _ranges(self, file: File, stored: Stored) -> Iterator[bytes]:
        at = 0
        for blob in file.blobs:
            start, end = max(stored.offset, at), min(stored.end, at + blob.size)
            if start < end:
                yield from self._blobs.open(blob.digest, start - at, end - start)
            at += blob.size


def _bundle(blobs: BlobStore, files: Mapping[str, File]) -> Bundle:
    index = files.get(INDEX)
    if index is None or index.size > MAX_INDEX_BYTES:
        raise Malformed("there is no index of the variables")
    with TemporaryDirectory(prefix="hub-diff-") as folder:
        path = Path(folder) / INDEX
        path.parent.mkdir()
        path.write_bytes(b"".join(piece for blob in index.blobs for piece in blobs.open(blob.digest)))
        return read_bundle(Path(folder))


def _even(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of :data:`_STEP_BYTES`, so that those of two tensors can be held side by side."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= _STEP_BYTES:
            yield bytes(held[:_STEP_BYTES])
            del held[:_STEP_BYTES]
    if held:
        yield bytes(held)


def _numpy_type(dtype: str) -> np.dtype | None:
    """How the elements lie in memory; bfloat16 as the upper halves of float32."""
    name = "<u2" if dtype == "bfloat16" else BY_NAME[dtype].numpy if dtype in BY_NAME else None
    return None if name in (None, "O") else np.dtype(name)


def _drift(dtype: str, before: Iterator[bytes], after: Iterator[bytes]) -> Drift:
    """``|after - before| / |before|`` over all elements, in float64."""
    moved = norm = 0.0
    with np.errstate(all="ignore"):
        for one, other in zip(before, after, strict=True):
            was, now = _numbers(dtype, one), _numbers(dtype, other)
            moved += float(np.vdot(now - was, now - was).real)
            norm += float(np.vdot(was, was).real)
    if not np.isfinite(moved) or not np.isfinite(norm):
        return Drift(None, "has numbers that are not finite")
    if norm == 0:
        return Drift(None, "was all zeros")
    return Drift(float(np.sqrt(moved / norm)))


def _numbers(dtype: str, data: bytes) -> np.ndarray:
    numbers = np.frombuffer(data, _numpy_type(dtype))
    if dtype == "bfloat16":
        numbers = (numbers.astype("<u4") << 16).view("<f4")
    return numbers.astype(np.complex128 if numbers.dtype.kind == "c" else np.float64)
