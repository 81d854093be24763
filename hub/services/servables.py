"""Servables: versions that can be called, as they are known to who answers predictions."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from hub.domain.signatures import Signature
from hub.domain.versions import Version
from hub.engine.engine import Target


@dataclass(frozen=True, slots=True)
class Servable:
    """A version that can be called.

    Attributes:
        version: The version a reference meant.
        target: What the engine is told.
        signatures: What it answers to; for a head, on its trunk's input.
        fed_by: For a head: the trunk's signature that feeds it.
    """

    version: Version
    target: Target
    signatures: Mapping[str, Signature]
    fed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Heads:
    """Heads of one trunk version that are asked together.

    Attributes:
        trunk: Their trunk.
        heads: At least one, each with the signature of it that is called.
        signature: What they take together and give together: an output's name is the head's reference, a slash, and
            the output's own name.
    """

    trunk: Servable
    heads: tuple[tuple[Servable, Signature], ...]
    signature: Signature


@dataclass(slots=True)
class Found:
    """What a reference means, and until when (monotonic) that may be relied on; once looked up anew, no longer."""

    servable: Servable
    until: float

    @property
    def is_fresh(self) -> bool:
        """Whether it may be relied on now."""
        return time.monotonic() <= self.until
