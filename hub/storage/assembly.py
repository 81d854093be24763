"""Assembly: a version's files, put together in a directory from blobs that come in any order and from many threads.

Laws: a file is whole when its own sha256 was checked, over what lies on the disk; where that fails every one of its
blobs is checked, and those that are wrong are missing again; a blob that stands in several places is needed once; what
was written before a crash can be gone on with by whoever remembers which blobs were done.

Every byte is hashed once: a file's sha256 is taken in step with its blobs, by whoever finishes the next one in line,
while others write; a file of one blob is hashed as it comes. That the blobs of a file whose sha256 is right are right
needs no second hash.
"""

import errno
import hashlib
import mmap
import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from hub.domain.digests import read_at
from hub.domain.errors import DigestMismatch, InvalidModel
from hub.domain.manifest import File
from hub.storage.disk import begin_sync

_AT_ONCE = 4
_POPULATED = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
_WORTH_BEGINNING = 1 << 20
CANNOT_SPLICE = (errno.EINVAL, errno.ENOSYS, errno.EPERM)  # some file systems and sandboxes


@dataclass(frozen=True, slots=True)
class _Spot:
    """A place of a blob: its position in a file."""

    path: Path
    offset: int
    owner: "_Whole"
    index: int


@dataclass(slots=True)
class _Whole:
    """A file's sha256, as far as its blobs are there without a gap."""

    file: File
    path: Path
    hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    there: list[bool] = field(default_factory=list)
    hashed: int = 0
    offset: int = 0
    is_resumed: bool = False
    turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_one_blob(self) -> bool:
        return len(self.file.blobs) == 1 and self.file.blobs[0].digest == self.file.digest

    def begin_anew(self, wrong: Collection[str]) -> None:
        """Forget what was hashed, and that blobs are there which are wrong."""
        self.hash, self.hashed, self.offset = hashlib.sha256(), 0, 0
        self.there = [
            there and blob.digest not in wrong for there, blob in zip(self.there, self.file.blobs, strict=True)
        ]

    def wrong_blobs(self) -> list[str]:
        """Those of its blobs that do not have their digests on the disk."""
        wrong, offset = [], 0
        with self.path.open("rb", buffering=0) as file:
            for blob in self.file.blobs:
                hashed = hashlib.sha256()
                for chunk in read_at(file.fileno(), offset, blob.size):
                    hashed.update(chunk)
                if f"sha256:{hashed.hexdigest()}" != blob.digest:
                    wrong.append(blob.digest)
                offset += blob.size
        return wrong

    @property
    def is_checked(self) -> bool:
        """Whether its bytes were checked as they were written, all of them, by this very process."""
        return self.is_one_blob and not self.is_resumed

    def advance(self) -> None:
        """Hash what has become hashable, unless somebody is at it, who then sees it too."""
        while self._is_next_there() and self.turn.acquire(blocking=False):
            try:
                with self.path.open("rb", buffering=0) as file:
                    while self._is_next_there():
                        self._hash_next(file.fileno())
            finally:
                self.turn.release()

    def _is_next_there(self) -> bool:
        return self.hashed < len(self.there) and self.there[self.hashed]

    def _hash_next(self, handle: int) -> None:
        blob = self.file.blobs[self.hashed]
        end = min(self.offset + blob.size, os.fstat(handle).st_size)
        if self.offset < end:
            # Seen where it lies in the page cache: reading would copy it.
            start = self.offset - self.offset % mmap.ALLOCATIONGRANULARITY
            with (
                mmap.mmap(handle, end - start, _POPULATED, mmap.PROT_READ, offset=start) as seen,
                memoryview(seen) as view,
                view[self.offset - start :] as part,
            ):
                self.hash.update(part)
        self.offset += blob.size
        self.hashed += 1


@dataclass(slots=True)
class Sink:
    """The first place of a blob; ``count`` of its ``size`` bytes have come.

    Where ``is_seen`` its bytes are hashed as they come.
    """

    _spot: _Spot
    _digest: str
    size: int
    _handle: int
    _hash: "hashlib._Hash | None"
    count: int = 0

    @property
    def is_seen(self) -> bool:
        """Whether every byte must pass through this process."""
        return self._hash is not None

    def write(self, piece: bytes) -> int:
        """Take the next bytes; gives how many.

        Raises:
            DigestMismatch: There are more than announced.
            OSError: The disk is full or cannot be written.
        """
        if self._hash is not None:
            self._hash.update(piece)
        self._require(len(piece))
        _write(self._handle, piece, self._spot.offset + self.count)
        self.count += len(piece)
        return len(piece)

    def splice(self, pipe: int, count: int) -> None:
        """Take the next ``count`` bytes from a pipe, unseen.

        Raises:
            DigestMismatch: There are more than announced.
            OSError: The disk is full or cannot be written.
        """
        self._require(count)
        end = self.count + count
        while self.count < end:
            offset = self._spot.offset + self.count
            try:
                self.count += os.splice(pipe, self._handle, end - self.count, offset_dst=offset)
            except OSError as error:
                if error.errno not in CANNOT_SPLICE:
                    raise
                piece = os.read(pipe, end - self.count)
                _write(self._handle, piece, offset)
                self.count += len(piece)

    def check(self) -> None:
        """See that all has come.

        Raises:
            DigestMismatch: Something is missing, or is not what was announced.
        """
        is_right = self._hash is None or f"sha256:{self._hash.hexdigest()}" == self._digest
        if self.count != self.size or not is_right:
            raise _mismatch(self._spot, self._digest)

    def _require(self, more: int) -> None:
        if self.count + more > self.size:
            raise _mismatch(self._spot, self._digest)


class Assembly:
    """The files of a version in ``root``, to be filled."""

    def __init__(
        self, files: Sequence[File], root: Path, done: Collection[str] = (), *, is_to_last: bool = False
    ) -> None:
        """Create what is not there yet, at its full size.

        Args:
            files: What is to be put together.
            root: The directory.
            done: Digests of blobs that were written here before; their files are read once more.
            is_to_last: Whether it will be synced in the end; the disk then begins to write early.

        Raises:
            InvalidModel: A path is too long for this machine.
            OSError: The disk is full or cannot be written.
        """
        self.root = root
        self._is_to_last = is_to_last
        root.mkdir(parents=True, exist_ok=True)
        self._files = [_Whole(file, root / file.path, there=[False] * len(file.blobs)) for file in files]
        self._spots: dict[str, list[_Spot]] = {}
        self._sizes: dict[str, int] = {}
        for whole in self._files:
            self._place(whole)
        kept = set(done) & self._sizes.keys()
        try:
            for whole in self._files:
                kept -= self._create(whole)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise InvalidModel("A file's path is too long for this disk.", remedy="Shorten it.") from error
        for digest in kept:
            for spot in self._spots[digest]:
                spot.owner.is_resumed = True
            self._note(digest)
        self._done = kept

    @property
    def missing(self) -> Mapping[str, int]:
        """Size by digest of every blob that is not there, in the order of the files."""
        return {digest: size for digest, size in self._sizes.items() if digest not in self._done}

    def write(self, digest: str, pieces: Iterable[bytes]) -> None:
        """Put a blob wherever it belongs.

        Args:
            digest: One of :attr:`missing`.
            pieces: Its bytes in order.

        Raises:
            DigestMismatch: See :meth:`sink`.
            OSError: The disk is full or cannot be written.
        """
        with self.sink(digest) as sink:
            for piece in pieces:
                sink.write(piece)

    @contextmanager
    def sink(self, digest: str) -> Iterator["Sink"]:
        """Where a blob's bytes go, one of :attr:`missing`; at the end they are whole, or that is said.

        Raises:
            DigestMismatch: They are more or fewer than announced, or not those of a file that is this blob alone.
            OSError: The disk is full or cannot be written.
        """
        first, *others = self._spots[digest]
        size = self._sizes[digest]
        handle = os.open(first.path, os.O_RDWR)
        try:
            is_seen = any(spot.owner.is_one_blob for spot in self._spots[digest])
            sink = Sink(first, digest, size, handle, hashlib.sha256() if is_seen else None)
            yield sink
            sink.check()
            if self._is_to_last and size >= _WORTH_BEGINNING:
                begin_sync(handle, first.offset, size)
            for spot in others:
                _copy(handle, first.offset, size, spot)
        finally:
            os.close(handle)
        self._note(digest)
        self._done.add(digest)

    def check(self) -> None:
        """Check the sha256 of every file.

        Raises:
            DigestMismatch: A blob has other bytes than announced, ``facts["digest"]``, and is missing again with all
                others that have; or else a file's blobs do not make up its digest, ``facts["path"]``.
            OSError: The disk cannot be read.
        """
        for whole in (whole for whole in self._files if not whole.is_checked):
            whole.advance()
            if f"sha256:{whole.hash.hexdigest()}" != whole.file.digest:
                self._refuse(whole)

    def _refuse(self, whole: _Whole) -> NoReturn:
        wrong = whole.wrong_blobs()
        self._done -= set(wrong)
        for other in self._files:
            other.begin_anew(wrong)
        if wrong:
            raise _mismatch(self._spots[wrong[0]][0], wrong[0])
        path = whole.file.path
        raise DigestMismatch(
            f"The blobs of {path} do not make up its digest.", remedy="Push the files again.", path=path
        )

    def _place(self, whole: _Whole) -> None:
        offset = 0
        for index, blob in enumerate(whole.file.blobs):
            self._spots.setdefault(blob.digest, []).append(_Spot(whole.path, offset, whole, index))
            self._sizes[blob.digest] = blob.size
            offset += blob.size

    def _create(self, whole: _Whole) -> set[str]:
        """Make a file that can be written, at its full size; gives the blobs that were there and are not any more."""
        gone: set[str] = set()
        whole.path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            if whole.path.stat(follow_symlinks=False).st_nlink == 1:
                whole.path.chmod(0o644)  # sealed already
            else:
                whole.path.unlink()  # somebody else's file as well
        if not whole.path.exists():
            gone = {blob.digest for blob in whole.file.blobs}
        handle = os.open(whole.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if os.fstat(handle).st_size != whole.file.size:
                os.ftruncate(handle, whole.file.size)
        finally:
            os.close(handle)
        return gone

    def _note(self, digest: str) -> None:
        for spot in self._spots.get(digest, ()):
            spot.owner.there[spot.index] = True
            if not spot.owner.is_checked:
                spot.owner.advance()


def fill(assembly: Assembly, open_blob: Callable[[str], Iterator[bytes]]) -> None:
    """Write every missing blob of an assembly, a few at a time; the first failure stops the others.

    Raises:
        DigestMismatch: A blob has other bytes than announced.
    """
    stop = threading.Event()

    def pieces(digest: str) -> Iterator[bytes]:
        for piece in open_blob(digest):
            if stop.is_set():
                return
            yield piece

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="assembly") as pool:
        futures = [pool.submit(lambda d: assembly.write(d, pieces(d)), digest) for digest in assembly.missing]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def is_whole(files: Sequence[File], root: Path) -> bool:
    """Whether a directory holds these files with their digests, and no others."""
    there = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    if there.keys() != {file.path for file in files}:
        return False
    for file in files:
        with there[file.path].open("rb", buffering=0) as handle:
            hashed = hashlib.file_digest(handle, "sha256").hexdigest()
        if f"sha256:{hashed}" != file.digest:
            return False
    return True


def _mismatch(spot: _Spot, digest: str) -> DigestMismatch:
    return DigestMismatch(f"Blob {digest} of {spot.owner.file.path} has other bytes than announced.", digest=digest)


def _write(handle: int, data: bytes, offset: int) -> None:
    left = memoryview(data)
    while left:
        written = os.pwrite(handle, left, offset)
        left, offset = left[written:], offset + written


def _copy(source: int, offset: int, size: int, spot: _Spot) -> None:
    handle = os.open(spot.path, os.O_RDWR)
    try:
        at = spot.offset
        for chunk in read_at(source, offset, size):
            _write(handle, chunk, at)
            at += len(chunk)
    finally:
        os.close(handle)
