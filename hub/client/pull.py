"""Pull: a reference becomes a read-only directory of verified files.

1. Ask the hub what the reference means (or remember it, when the hub cannot be asked).
2. Where the cache has that version whole, that is all.
3. Else, one process at a time: fetch the blobs that no other cached version has, put the files together, check every
   sha256, and rename the directory into place.

Laws: what is returned was checked against the version's digest from the manifest down; a broken pull is continued by
the next one; a version that was pulled once needs no hub.
"""

import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from hub.client.cache import Cache, Place, Placed
from hub.client.operations import Operations
from hub.client.place import place, place_file
from hub.client.progress import Meter, Progress, ProgressSink, Stage, silent
from hub.client.transfer import blob_path, download_all
from hub.domain.digests import read_chunks
from hub.domain.errors import HubUnreachable, TransferFailed, VersionNotReady
from hub.domain.manifest import File, Manifest
from hub.domain.names import parse_reference
from hub.domain.versions import State, Version
from hub.protocol import paths

_log = logging.getLogger("hub")


@dataclass(frozen=True, slots=True)
class Pulled:
    """A version on this machine.

    Attributes:
        path: The directory that holds its files.
        reference: ``owner/name@number``.
        digest: The version's digest.
        manifest: What it is.
        is_remembered: The hub could not be asked; the reference means what it meant last time.
    """

    path: Path
    reference: str
    digest: str
    manifest: Manifest
    is_remembered: bool = False


def pull(
    reference: str,
    directory: Path | str | None = None,
    *,
    tfserving: bool = False,
    progress: ProgressSink = silent,
    client: Operations | None = None,
) -> Path:
    """Get a version's files.

    Args:
        reference: Any form, ``owner/name``, ``owner/name@7``, ``owner/name:stable``, ``owner/name~2`` …
        directory: Where to put them; the cache's own read-only directory where None.
        tfserving: Put them into ``directory/<number>``, which is where TensorFlow Serving looks.
        progress: Told how far it is.
        client: The hub; by default the one of the environment.

    Returns:
        The directory that holds the SavedModel.

    Raises:
        HubError: See :func:`pull_version`.
    """
    return pull_version(reference, directory, tfserving=tfserving, progress=progress, client=client).path


def pull_version(
    reference: str,
    directory: Path | str | None = None,
    *,
    tfserving: bool = False,
    progress: ProgressSink = silent,
    client: Operations | None = None,
) -> Pulled:
    """Get a version's files, and what is known of the version.

    Args:
        reference: Any form of reference.
        directory: Where to put them; the cache's own read-only directory where None.
        tfserving: Put them into ``directory/<number>``.
        progress: Told how far it is.
        client: The hub; by default the one of the environment.

    Raises:
        NotFound: No such model or version.
        VersionNotReady: It is still validating, or was rejected.
        Conflict: ``directory`` holds something else.
        TransferFailed: What arrived is not what the digests say.
        HubUnreachable: The hub is away and the version was never pulled here.
    """
    text = str(parse_reference(reference))
    if client is None:
        with Operations() as own:
            return pull_version(text, directory, tfserving=tfserving, progress=progress, client=own)
    cache = Cache()
    version, is_remembered = _resolve(client, cache, text)
    manifest = _ensure(client, cache, version, progress)
    if not is_remembered:
        cache.remember(client.url, text, version)
    snapshot = cache.snapshot_path(version.digest)
    if directory is None:
        return Pulled(snapshot, version.reference, version.digest, manifest, is_remembered)
    target = Path(directory).expanduser().absolute() / (str(version.number) if tfserving else "")
    place(manifest.files, snapshot, target)
    cache.note_placed(target, Placed(version.reference, version.digest, client.url))
    return Pulled(target, version.reference, version.digest, manifest, is_remembered)


def _resolve(client: Operations, cache: Cache, reference: str) -> tuple[Version, bool]:
    known = cache.recall(client.url, reference) if parse_reference(reference).digest else None
    if known is not None and cache.snapshot(known.digest) is not None:
        return known, False
    try:
        version = client.resolve(reference)
    except HubUnreachable:
        known = cache.recall(client.url, reference)
        if known is None or cache.snapshot(known.digest) is None:
            raise
        if not _is_exact(reference):
            _log.warning(
                "%s cannot be reached; %s is taken for %s as last known", client.url, reference, known.reference
            )
        return known, True
    if version.state not in (State.READY, State.YANKED):
        remedy = (
            "See why with: hub show " + version.reference
            if version.state is State.REJECTED
            else "Try again in a while."
        )
        raise VersionNotReady(f"{version.reference} is {version.state}.", remedy=remedy, state=version.state.value)
    if version.state is State.YANKED:
        _log.warning("%s was withdrawn: %s", version.reference, version.yanked_reason)
    return version, False


def _is_exact(reference: str) -> bool:
    parsed = parse_reference(reference)
    return parsed.number is not None or parsed.digest is not None


def _ensure(client: Operations, cache: Cache, version: Version, progress: ProgressSink) -> Manifest:
    manifest = cache.snapshot(version.digest)
    if manifest is None:
        progress(Progress(Stage.WAIT, note=version.reference))
        with cache.lock(version.digest):
            manifest = cache.snapshot(version.digest) or _fetch(client, cache, version, progress)
    return manifest


def _fetch(client: Operations, cache: Cache, version: Version, progress: ProgressSink) -> Manifest:
    data = client.manifest_bytes(version)
    manifest = Manifest.parse(data)
    wanted = manifest.blobs()
    here = cache.places(set(wanted))
    missing = {digest: size for digest, size in wanted.items() if digest not in here}
    downloads = cache.download_path(version.digest)
    meter = Meter(progress, Stage.DOWNLOAD, sum(missing.values()))
    path_of = _BlobPaths(version)
    download_all(client.http, missing, path_of, downloads, meter)
    progress(Progress(Stage.ASSEMBLE))
    staging = downloads / "snapshot"
    shutil.rmtree(staging, ignore_errors=True)
    for file in manifest.files:
        _assemble(file, staging / file.path, downloads, here)
    cache.keep(data, staging)
    return manifest


@dataclass(frozen=True, slots=True)
class _BlobPaths:
    version: Version

    def __call__(self, digest: str) -> str:
        return paths.version_blob(self.version.model, self.version.number, digest)


def _assemble(file: File, target: Path, downloads: Path, here: Mapping[str, Place]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    only = file.blobs[0].digest if len(file.blobs) == 1 else None
    cached = here.get(only) if only else None
    if only == file.digest and (cached is None or cached.is_whole_file):
        place_file(cached.path if cached else blob_path(downloads, file.digest), target)
        return
    whole = sha256()
    with target.open("wb") as out:
        for blob in file.blobs:
            for chunk in _blob_chunks(blob.digest, downloads, here.get(blob.digest)):
                whole.update(chunk)
                out.write(chunk)
    if f"sha256:{whole.hexdigest()}" != file.digest:
        raise TransferFailed(
            f"{file.path} does not have the digest {file.digest}.", remedy="Pull again.", path=file.path
        )


def _blob_chunks(digest: str, downloads: Path, cached: Place | None) -> Iterator[bytes]:
    with (cached.path if cached else blob_path(downloads, digest)).open("rb") as file:
        file.seek(cached.offset if cached else 0)
        yield from read_chunks(file, cached.size if cached else None)
