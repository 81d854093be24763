"""Attestations and the keys they are checked against: who stands for a version's files, under the version's name.

Laws: an attestation names a model and a content, and is worth nothing for any other; a key belongs to an owner, and one
that was revoked stays listed and vouches for nothing any more. A key's fingerprint is the sha256 of its PEM text.
"""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_BUNDLE_CHARS = 12 << 20
"""More than the attestation of a version with as many files as one can have."""

Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class PublicKey(BaseModel):
    """A key that attestations of an owner's models are checked against; ``name`` is what people know it by."""

    model_config = ConfigDict(frozen=True)

    fingerprint: Fingerprint
    name: str
    pem: str = Field(repr=False)
    created_at: datetime
    revoked_at: datetime | None = None


class Attestation(BaseModel):
    """That the holder of a key stands for a version.

    Attributes:
        key: The key; it may have been revoked since.
        created_at: When the hub took it.
        created_by: Who sent it.
        bundle: The sigstore bundle, as JSON; ``model_signing verify key`` takes it as a file.
    """

    model_config = ConfigDict(frozen=True)

    key: PublicKey
    created_at: datetime
    created_by: str
    bundle: dict[str, Any] = Field(repr=False)
