"""What looking after a hub tells: deep checks, backups, restores and quotas, on the hub's own machine."""

from pydantic import BaseModel, ConfigDict

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
