"""What the catalog gives besides the domain's nouns: facts that never travel on the wire as they are."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hub.domain.manifest import Draft, Manifest
from hub.domain.names import ModelName, Reference
from hub.domain.reports import Report
from hub.domain.versions import Version


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """Everything that is known of a version; ``golden_digest`` is the blob with the probe's samples."""

    version: Version
    manifest: Manifest
    report: Report
    content_digest: str
    golden_digest: str | None


@dataclass(frozen=True, slots=True)
class AliasMove:
    """An alias came to mean ``number``; ``previous`` is None for its first move."""

    alias: str
    number: int
    previous: int | None
    moved_at: datetime
    moved_by: str


@dataclass(frozen=True, slots=True)
class PushRecord:
    """A push that was begun.

    ``completed`` is the version it became (or was recognised as), so that completing it again answers the same;
    ``is_private`` None leaves the model as it is.
    """

    id: UUID
    model: ModelName
    draft: Draft
    alias: str | None
    message: str
    card: str | None
    is_private: bool | None
    principal: str
    created_at: datetime
    completed: Reference | None = None
    attestation: str | None = None
