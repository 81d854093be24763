"""Pull: a reference becomes a read-only directory of verified files.

1. Ask the hub what the reference means (or remember it, when the hub cannot be asked).
2. Where the cache has that version whole, that is all.
3. Else, one process at a time: fetch the blobs that no other cached version has, put the files together, check every
   sha256, and rename the directory into place.

Laws: what is returned was checked against the version's digest from the manifest down; a broken pull is continued by
the next one; a version that was pulled once needs no hub.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hub.client.cache import Cache, Place, Placed
from hub.client.journal import Journal
from hub.client.operations import Operations
from hub.client.pace import Pace
from hub.client.place import place, place_file
from hub.client.places import Places
from hub.client.progress import Meter, Progress, ProgressSink, Stage, silent
from hub.client.transfer import Transfer, in_threads
from hub.domain.digests import read_at
from hub.domain.errors import DigestMismatch, HubUnreachable, TransferFailed, VersionNotReady
from hub.domain.manifest import File, Manifest
from hub.domain.names import parse_reference
from hub.domain.versions import State, Version
from hub.storage.assembly import Assembly

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
    limit_rate: float | None = None,
    progress: ProgressSink = silent,
    client: Operations | None = None,
) -> Path:
    """Get a version's files.

    Args:
        reference: Any form, ``owner/name``, ``owner/name@7``, ``owner/name:stable``, ``owner/name~2`` …
        directory: Where to put them; the cache's own read-only directory where None.
        tfserving: Put them into ``directory/<number>``, which is where TensorFlow Serving looks.
        limit_rate: Most bytes per second.
        progress: Told how far it is.
        client: The hub; by default the one of the environment.

    Returns:
        The directory that holds the SavedModel.

    Raises:
        HubError: See :func:`pull_version`.
    """
    pulled = pull_version(
        reference, directory, tfserving=tfserving, limit_rate=limit_rate, progress=progress, client=client
    )
    return pulled.path


def pull_version(
    reference: str,
    directory: Path | str | None = None,
    *,
    tfserving: bool = False,
    limit_rate: float | None = None,
    progress: ProgressSink = silent,
    client: Operations | None = None,
) -> Pulled:
    """Get a version's files, and what is known of the version.

    Args:
        reference: Any form of reference.
        directory: Where to put them; the cache's own read-only directory where None.
        tfserving: Put them into ``directory/<number>``.
        limit_rate: Most bytes per second.
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
            return pull_version(
                text, directory, tfserving=tfserving, limit_rate=limit_rate, progress=progress, client=own
            )
    cache = Cache()
    version, is_remembered = _resolve(client, cache, text)
    manifest = _ensure(client, cache, version, progress, Pace(limit_rate), is_to_last=directory is not None)
    if not is_remembered:
        cache.remember(client.url, text, version)
    snapshot = cache.snapshot_path(version.digest)
    if directory is None:
        return Pulled(snapshot, version.reference, version.digest, manifest, is_remembered)
    cache.make_last(version.digest)
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


def _ensure(
    client: Operations, cache: Cache, version: Version, progress: ProgressSink, pace: Pace, *, is_to_last: bool
) -> Manifest:
    manifest = cache.snapshot(version.digest)
    if manifest is None:
        progress(Progress(Stage.WAIT, note=version.reference))
        with cache.lock(version.digest):
            manifest = cache.snapshot(version.digest)
            if manifest is None:
                manifest = _fetch(client, cache, version, progress, pace, is_to_last=is_to_last)
    return manifest


def _fetch(
    client: Operations, cache: Cache, version: Version, progress: ProgressSink, pace: Pace, *, is_to_last: bool
) -> Manifest:
    data = client.manifest_bytes(version)
    manifest = Manifest.parse(data)
    downloads = cache.download_path(version.digest)
    downloads.mkdir(parents=True, exist_ok=True)
    staging = downloads / "snapshot"
    files, blobs = cache.find({file.digest for file in manifest.files}, manifest.blobs().keys())
    rest = _link(manifest.files, files, staging)
    journal = Journal(downloads / "journal")
    assembly = Assembly(rest, staging, journal.done, is_to_last=is_to_last)
    for is_last in (False, True):
        _fill(client, version, assembly, blobs if not is_last else {}, journal, progress, pace)
        try:
            assembly.check()
        except DigestMismatch as error:
            # Bytes came wrong, or what a pull before this one left is not what its journal says: fetch those again.
            if is_last or not assembly.missing:
                cache.drop_download(version.digest)
                raise TransferFailed(error.detail, remedy="Pull again.", **error.facts) from error
        else:
            break
    cache.keep(data, staging)
    return manifest


def _fill(
    client: Operations,
    version: Version,
    assembly: Assembly,
    here: Mapping[str, Place],
    journal: Journal,
    progress: ProgressSink,
    pace: Pace,
) -> None:
    def copy(digest: str) -> None:
        found = here[digest]
        try:
            with found.path.open("rb", buffering=0) as file:
                assembly.write(digest, read_at(file.fileno(), found.offset, found.size))
        except (DigestMismatch, FileNotFoundError):
            return  # what is cached is damaged, or went away: fetched with the others
        journal.note(digest)

    in_threads(copy, [digest for digest in assembly.missing if digest in here])
    places = Places(partial(client.version_places, version), assembly.missing)
    meter = Meter(progress, Stage.DOWNLOAD, sum(assembly.missing.values()))
    Transfer(client.http, places, meter, pace).download_all(assembly, journal.note)
    progress(Progress(Stage.ASSEMBLE))


def _link(files: Sequence[File], here: Mapping[str, Path], staging: Path) -> list[File]:
    """Put files into place that are here already; gives the others."""
    rest = []
    for file in files:
        target = staging / file.path
        if file.digest not in here:
            rest.append(file)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            place_file(here[file.digest], target)
    return rest
