"""The hub's own client as a contender: one push or pull, as a process of its own.

``push PATH NAME`` tells ``uploaded`` when the last byte is sent (after inspection and hashing) and ``completed`` when
the hub has made the version; its trial by the hub comes after that. ``pull REFERENCE`` brings it into ``HUB_CACHE``;
with ``--blobs-from`` another server hands out the blobs, all else being equal. ``drain REFERENCE FILE`` fetches every
blob of a version into one file with the client's HTTP and four threads, and hashes nothing: the server alone is
measured, from ``begin`` to ``end``.
"""

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path

from bench.measure import tell
from hub.client.operations import Operations
from hub.client.progress import Progress, Stage
from hub.client.transfer import THREADS
from hub.domain.versions import Version
from hub.protocol.schemas import BlobPlace, BlobPlaces
from hub.storage.blobs.layout import path_of

_PIECE = 1 << 20
_BATCH = 64


class _BlobsFrom(Operations):
    """A hub whose blobs are had from somewhere else."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url_of_blobs = url

    def version_places(self, version: Version, digests: list[str], is_relayed: bool) -> BlobPlaces:
        """The places of the files in the hub's directory, as another server hands them out."""
        del version, is_relayed
        urls = {digest: f"{self._url_of_blobs}/{path_of(digest)}" for digest in digests}
        return BlobPlaces(items=tuple(BlobPlace(digest=digest, url=url) for digest, url in urls.items()))


def _operations(blobs_from: str | None) -> Operations:
    return _BlobsFrom(blobs_from) if blobs_from else Operations()


def _push(path: Path, name: str) -> None:
    from hub.client.push import push

    told: set[str] = set()

    def watch(progress: Progress) -> None:
        mark = "completed" if progress.note else "uploaded"
        if progress.stage is Stage.VALIDATE and mark not in told:
            told.add(mark)
            tell(mark)

    pushed = push(path, name, progress=watch)
    tell("pushed", size=pushed.size, is_existing=pushed.is_existing)


def _pull(reference: str, blobs_from: str | None) -> None:
    from hub.client.pull import pull_version

    with _operations(blobs_from) as operations:
        pull_version(reference, client=operations)


def _drain(reference: str, target: Path, blobs_from: str | None) -> None:
    with _operations(blobs_from) as operations:
        version = operations.resolve(reference)
        sizes = operations.manifest(version).blobs()
        offsets = accumulate(sizes.values(), initial=0)
        work = list(zip(_urls(operations, version, list(sizes)), offsets, strict=False))
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

        def fetch(item: tuple[str, int]) -> None:
            url, offset = item
            with operations.http.download(url) as answer:
                while piece := answer.read(_PIECE):
                    offset += os.pwrite(handle, piece, offset)

        tell("begin")
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(fetch, work))
        os.close(handle)
        tell("end")


def _urls(operations: Operations, version: Version, digests: list[str]) -> Iterator[str]:
    for at in range(0, len(digests), _BATCH):
        places = operations.version_places(version, digests[at : at + _BATCH], False)
        url_of = {place.digest: place.url for place in places.items}
        yield from (url_of[digest] for digest in digests[at : at + _BATCH])


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    pushing = verbs.add_parser("push")
    pushing.add_argument("path", type=Path)
    pushing.add_argument("name")
    pulling = verbs.add_parser("pull")
    pulling.add_argument("reference")
    draining = verbs.add_parser("drain")
    draining.add_argument("reference")
    draining.add_argument("target", type=Path)
    for each in (pulling, draining):
        each.add_argument("--blobs-from")
    given = parser.parse_args()
    tell("ready")
    if given.verb == "push":
        _push(given.path, given.name)
    elif given.verb == "pull":
        _pull(given.reference, given.blobs_from)
    else:
        _drain(given.reference, given.target, given.blobs_from)


if __name__ == "__main__":
    main()
