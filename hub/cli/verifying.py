"""What ``hub verify`` does: compares files with a manifest, checks who stands for it, and answers golden samples again.

Laws: the manifest is trusted for its digest alone, which the hub or the cache's own record names; what could not be
checked is said, and is no success where somebody asked for it with a key.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from hub.cli.arguments import needs_extra
from hub.cli.output import put, put_json, say, size_text
from hub.client.cache import Cache
from hub.client.operations import Operations
from hub.client.place import differences
from hub.client.pull import pull_version
from hub.domain.errors import ExtraMissing, HubUnreachable, InvalidAttestation, InvalidRequest, NotFound
from hub.domain.manifest import Manifest
from hub.runtime import locked


@dataclass(frozen=True, slots=True)
class Verification:
    """What was compared and what differs.

    Attributes:
        reference: ``owner/name@number``.
        digest: The version's digest.
        path: The directory.
        files: Number of files of the version.
        size: Their bytes.
        differing_files: One sentence for each file that is not as published.
        differing_answers: By signature that does not answer as it did, why.
        answers_compared: Number of signatures that were called.
        not_compared: Why no signature was called; empty where some were.
        signed_by: Keys whose holders stand for the version.
        wrong_attestation: Why an attestation does not hold; empty where all do.
        not_attested: Why there is nobody in ``signed_by``; empty where there is somebody.
    """

    reference: str
    digest: str
    path: str
    files: int
    size: int
    differing_files: tuple[str, ...]
    differing_answers: dict[str, str]
    answers_compared: int
    not_compared: str
    signed_by: tuple[str, ...]
    wrong_attestation: str
    not_attested: str

    @property
    def is_whole(self) -> bool:
        """Whether nothing differs."""
        return not (self.differing_files or self.differing_answers or self.wrong_attestation)


def verify_reference(reference: str, key: Path | None) -> Verification:
    """Pull a version (or take the cached one) and compare it."""
    with Operations() as client:
        pulled = pull_version(reference, client=client)
        found = _verify(client, pulled.path, pulled.reference, pulled.digest, pulled.manifest, key)
    if found.differing_files:
        Cache().discard(pulled.digest)
        say("The cached copy was dropped; the next pull fetches it anew.")
    return found


def verify_directory(directory: Path, reference: str | None, key: Path | None) -> Verification:
    """Compare a directory with the version it was pulled as, or with the one that ``reference`` means.

    Raises:
        InvalidRequest: Nothing is known of the directory.
    """
    if reference is not None:
        with Operations() as client:
            version = client.resolve(reference)
            return _verify(client, directory, version.reference, version.digest, client.manifest(version), key)
    placed = Cache().placed(directory)
    if placed is None:
        raise InvalidRequest(
            f"It is not known which version {directory} should be.",
            remedy=f"Say it: hub verify {directory} --ref owner/name@1",
        )
    with Operations(placed.url) as client:
        manifest = Cache().manifest(placed.digest) or client.manifest(client.resolve(placed.reference))
        return _verify(client, directory, placed.reference, placed.digest, manifest, key)


def print_verification(found: Verification, *, as_json: bool) -> None:
    """Print what was found."""
    if as_json:
        put_json(asdict(found) | {"is_whole": found.is_whole})
        return
    for difference in found.differing_files:
        put(difference)
    for signature, difference in found.differing_answers.items():
        put(f"signature {signature}: {difference}")
    if found.wrong_attestation:
        put(found.wrong_attestation)
    say(f"Signed by {', '.join(found.signed_by)}." if found.signed_by else f"Not signed: {found.not_attested}.")
    if found.not_compared:
        say(f"No golden outputs were compared: {found.not_compared}.")
    verdict = "as published" if found.is_whole else "NOT as published"
    answers = f", {found.answers_compared} golden answers" if found.answers_compared else ""
    counted = f"{found.files} files{answers}, {size_text(found.size)}"
    say(f"{found.path} is {verdict}: {found.reference} {found.digest}, {counted}")


def _verify(
    client: Operations, path: Path, reference: str, digest: str, manifest: Manifest, key: Path | None
) -> Verification:
    differing = tuple(differences(manifest.files, path))
    answers: dict[str, str] = {}
    reason = "the files differ" if differing else ""
    if not differing:
        try:
            answers = _compare_answers(client, reference, path, manifest)
        except _NotCompared as skipped:
            reason = str(skipped)
    signed_by, wrong, not_attested = _check_attestations(client, reference, digest, manifest, key)
    return Verification(
        reference=reference,
        digest=digest,
        path=str(path),
        files=len(manifest.files),
        size=manifest.size,
        differing_files=differing,
        differing_answers={name: why for name, why in answers.items() if why},
        answers_compared=len(answers),
        not_compared=reason,
        signed_by=signed_by,
        wrong_attestation=wrong,
        not_attested=not_attested,
    )


def _check_attestations(
    client: Operations, reference: str, digest: str, manifest: Manifest, key: Path | None
) -> tuple[tuple[str, ...], str, str]:
    """Who stands for a version, why an attestation does not hold, and why there is nobody."""
    try:
        with needs_extra("sign", "Checking signatures"):
            from hub.client.signing import signers
        version = client.resolve(reference)
        if version.digest != digest:
            raise InvalidAttestation(f"{reference} is another version by now.")
        found = tuple(signers(client, version, manifest, key))
    except InvalidAttestation as error:
        return (), str(error), "see above"
    except (ExtraMissing, HubUnreachable, NotFound) as error:
        if key is not None:
            raise
        return (), "", error.detail.rstrip(".")
    return found, "", "" if found else "no key that its owner uses vouches for it"


class _NotCompared(Exception):
    """Why golden samples were left alone."""


def _compare_answers(client: Operations, reference: str, path: Path, manifest: Manifest) -> dict[str, str]:
    if importlib.util.find_spec("tensorflow") is None:
        raise _NotCompared("TensorFlow is not installed")
    try:
        version = client.resolve(reference)
        golden = client.golden(version.model, version.number)
    except NotFound as error:
        raise _NotCompared("the hub keeps none for this version") from error
    except HubUnreachable as error:
        raise _NotCompared("the hub cannot be reached") from error
    with tempfile.TemporaryDirectory(prefix="hub-verify-") as folder:
        samples, facts = Path(folder) / "golden.npz", Path(folder) / "manifest.json"
        samples.write_bytes(golden)
        facts.write_bytes(manifest.canonical())
        say("Answering the golden samples again with TensorFlow …")
        home, files = Path(folder).resolve(), path.resolve()
        lock = locked.command("auto", home, [files], has_gpu=False)
        command = [
            sys.executable,
            *lock,
            "hub.runtime.golden",
            str(files),
            str(home / facts.name),
            str(home / samples.name),
        ]
        quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        quiet |= {"KERAS_HOME": str(home), "TMPDIR": str(home)}  # it can write nowhere else
        ended = subprocess.run(command, env=quiet, capture_output=True, check=False)
    if ended.returncode:
        raise _NotCompared(f"TensorFlow ended with {ended.returncode}")
    answers: dict[str, str] = orjson.loads(ended.stdout)
    return answers
