"""The place bytes are kept: what every blob store promises.

Laws, which one conformance suite holds every store to:

1. What ``has`` says is there is whole: its bytes have that digest and that size. A process that dies in the middle of
   ``put`` leaves nothing that can be seen.
2. ``put`` of wrong bytes raises and changes nothing; ``put`` of what is there already changes nothing and need not
   read its chunks.
3. ``open`` gives exactly the bytes of the asked range in pieces of at most 1 MiB; a range past the end is cut short.
   An unknown digest is an error at the call, before the first piece.
4. ``delete`` of what is absent is fine. A reader that has begun either gets the rest or an error, never other bytes.
5. Every method may be called from many threads and processes at once.
6. When the store itself is away every method raises `NotAvailable`.

Some stores let clients put and get bytes by themselves (`DirectStore`). What they put arrives in a place of its own,
one for each push, and is nobody's blob until the hub has read it all: ``take`` gives the bytes, and once the last of
them was asked for and their digest was right, the blob is stored. What arrives there later changes nothing.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Protocol
from uuid import UUID

from hub.domain.errors import BlobNotFound, DigestMismatch

URL_LIFE_S = 300


class DirectStore(Protocol):
    """What a store has that clients reach by themselves, with URLs that expire."""

    def put_url(self, push: UUID, digest: str, size: int) -> str:
        """Where exactly ``size`` bytes of a blob may be PUT for a push, for :data:`URL_LIFE_S`."""
        ...

    def get_url(self, digest: str) -> str:
        """Where the bytes of a stored blob may be had, ranges too, for :data:`URL_LIFE_S`."""
        ...

    def arrived(self, push: UUID) -> dict[str, int]:
        """Size by digest of what a push has put; nobody has looked at the bytes yet."""
        ...

    def take(self, push: UUID, digest: str, size: int) -> Iterator[bytes]:
        """Read what arrived; a blob that was read to its end is stored.

        Raises:
            BlobNotFound: Nothing arrived under that digest.
            DigestMismatch: The bytes have another digest or size; they are deleted, so that they can be sent again.
        """
        ...

    def forget(self, push: UUID) -> None:
        """Delete what a push has put and was not asked for; nothing there is fine."""
        ...

    def pushes(self) -> Iterator[UUID]:
        """Every push that has put something which was not forgotten, each once."""
        ...


class FileStore(Protocol):
    """What a store has whose blobs are files of this machine."""

    def open_file(self, digest: str) -> BinaryIO:
        """A blob as a file to read from, unbuffered; the caller closes it.

        Raises:
            BlobNotFound: It is not stored.
        """
        ...


class BlobStore(Protocol):
    """Immutable bytes by digest."""

    @property
    def direct(self) -> DirectStore | None:
        """The way for clients by themselves, where there is one."""
        ...

    @property
    def files(self) -> FileStore | None:
        """The blobs as files, where they are."""
        ...

    def has(self, digest: str) -> bool:
        """Whether the bytes are stored, whole."""
        ...

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Those that are not stored, each once, in the order given."""
        ...

    def put(self, digest: str, chunks: Iterable[bytes], size: int) -> None:
        """Store bytes, all or nothing; does nothing where they are stored already.

        Args:
            digest: What the bytes must hash to.
            chunks: The bytes in order, in pieces of any size.
            size: How many bytes there must be.

        Raises:
            DigestMismatch: The bytes have another digest or size.
            NotAvailable: The store is away or full.
        """
        ...

    def open(self, digest: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read a range, to the end when ``length`` is None.

        Raises:
            BlobNotFound: It is not stored.
        """
        ...

    def size(self, digest: str) -> int:
        """How many bytes it has.

        Raises:
            BlobNotFound: It is not stored.
        """
        ...

    def delete(self, *digests: str) -> None:
        """Forget bytes; absent is fine."""
        ...

    def digests(self) -> Iterator[str]:
        """Everything stored, each once, in any order."""
        ...

    def check(self) -> None:
        """Prove that bytes can be written and read.

        Raises:
            NotAvailable: They cannot; the remedy says what to do.
        """
        ...


def verified(digest: str, chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Pass bytes through while counting and hashing them; raise at the first byte too many or at a wrong end.

    Raises:
        DigestMismatch: The bytes have another digest or size.
    """
    hasher = hashlib.sha256()
    count = 0
    for chunk in chunks:
        count += len(chunk)
        if count > size:
            raise _mismatch(digest, f"more than the {size} bytes announced")
        hasher.update(chunk)
        yield chunk
    if count != size:
        raise _mismatch(digest, f"{count} bytes instead of the {size} announced")
    if digest != f"sha256:{hasher.hexdigest()}":
        raise _mismatch(digest, f"bytes with digest sha256:{hasher.hexdigest()}")


def _mismatch(digest: str, came: str) -> DigestMismatch:
    return DigestMismatch(f"For blob {digest} came {came}.", remedy="Send the blob again.", digest=digest)


def not_found(digest: str) -> BlobNotFound:
    """The error for a digest that is not stored."""
    return BlobNotFound(f"Blob {digest} is not stored.", digest=digest)
