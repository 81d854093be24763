"""What looking after a hub tells: deep checks, backups, restores and quotas, on the hub's own machine."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from hub.domain.digests import Digest
from hub.protocol.schemas import HubStatus


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Flaw(_Answer):
    """Something that must not be: what kind, about what, in words, and what to do."""

    code: str
    thing: str
    detail: str
    remedy: str


class DeepReport(_Answer):
    """What a deep check found.

    Attributes:
        ok: Nothing is wrong.
        versions: Versions whose manifests were looked at.
        blobs: Blobs that were read and hashed.
        read_bytes: Their bytes.
        unneeded: Blobs that nobody needs and that the sweep will take, which is as it should be.
        unneeded_bytes: Their bytes, as far as they are known.
        unknown: Objects of the store that no row tells of, as a crash or a push under way leaves them; likewise.
        flaw_count: How much is wrong.
        flaws: What is wrong; of very much only the beginning.
    """

    ok: bool
    versions: int
    blobs: int
    read_bytes: int
    unneeded: int
    unneeded_bytes: int
    unknown: int
    flaw_count: int
    flaws: tuple[Flaw, ...]


class DoctorReport(HubStatus):
    """What ``hub admin doctor --deep`` answers; ``deep`` is None where the database or the store is away."""

    deep: DeepReport | None = None


class BackupFacts(_Answer):
    """What lies in a backup's folder: written last, so that where it is, the backup is whole.

    Attributes:
        format: How the folder is laid out.
        made_at: The moment that it is of.
        hub_version: The program that made it.
        revision: The schema of the database.
        dump: The file with every row, and its sha256.
        dump_digest: The digest of that file.
        list: The file with digest and size of every blob that versions need.
        list_digest: The digest of that file.
        blobs: How many blobs.
        blob_bytes: Their bytes.
        has_blobs: Whether their bytes lie in the folder too.
        lost: Those that the store did not have, or not whole, when it was made.
    """

    format: Literal[1] = 1
    made_at: datetime
    hub_version: str
    revision: str
    dump: str
    dump_digest: Digest
    list: str
    list_digest: Digest
    blobs: int
    blob_bytes: int
    has_blobs: bool
    lost: tuple[Digest, ...] = ()


class RestoreReport(_Answer):
    """What a restore did: the backup it is of, and what versions need and neither backup nor store has."""

    made_at: datetime
    blobs: int
    copied_bytes: int
    lost: tuple[Digest, ...] = ()


class Quota(_Answer):
    """What an owner may keep, in bytes (None: no limit), and keeps."""

    owner: str
    limit_bytes: int | None
    used_bytes: int
