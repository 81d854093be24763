"""Orders: what a worker is told about a version it shall load. Free of TensorFlow, so that the engine can write them.

Laws: ``Order.parse(order.dump()) == order``, ``Choice.parse(choice.dump()) == choice``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from hub.domain.manifest import Manifest
from hub.domain.signatures import Signature

Loader = Literal["object_graph", "session"]
WayName = Literal["plain", "frozen", "frozen_session", "frozen_inline", "session", "session_inline", "compiled"]
WAYS_REVISION = 2
"""Counts what the names of ways have meant: what was chosen when one meant something else says nothing any more."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How a signature is called on a kind of device.

    Attributes:
        way: See ``hub.runtime.ways``.
        has_independent_rows: Whether requests may be stacked on axis 0.
        ratios: Time by way, as a share of the plain one's.
        best_rows: Rows of the batches that it computes fastest, row for row; 0 where that are the largest.
    """

    way: WayName = "plain"
    has_independent_rows: bool = False
    ratios: Mapping[WayName, float] = field(default_factory=dict)
    best_rows: int = 0

    def dump(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "way": self.way,
            "has_independent_rows": self.has_independent_rows,
            "ratios": dict(self.ratios),
            "best_rows": self.best_rows,
        }

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``dump`` wrote."""
        return cls(data["way"], data["has_independent_rows"], data["ratios"], data["best_rows"])


@dataclass(frozen=True, slots=True)
class Order:
    """A version to load.

    Attributes:
        digest: The version's digest.
        root: Its snapshot.
        loader: Which of TensorFlow's loaders its format was made for.
        size_bytes: Bytes of its files, a first guess at the memory it takes.
        signatures: How it is called.
        trunk_signature: For a head: the trunk's signature that feeds it.
        choices: How its signatures were found to be called best here before.
        golden: A file with its golden samples, where it has any.
    """

    digest: str
    root: Path
    loader: Loader
    size_bytes: int
    signatures: Mapping[str, Signature]
    trunk_signature: str | None = None
    choices: Mapping[str, Choice] = field(default_factory=dict)
    golden: Path | None = None

    @classmethod
    def of(cls, digest: str, root: Path, manifest: Manifest) -> Self:
        """The order for a version whose snapshot is at ``root``."""
        trunk_signature = manifest.trunk.signature if manifest.trunk else None
        return cls(digest, root, manifest.loader, manifest.size, manifest.signatures, trunk_signature)

    def dump(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "digest": self.digest,
            "root": str(self.root),
            "loader": self.loader,
            "size_bytes": self.size_bytes,
            "signatures": [signature.model_dump(mode="json") for signature in self.signatures.values()],
            "trunk_signature": self.trunk_signature,
            "choices": {name: choice.dump() for name, choice in self.choices.items()},
            "golden": str(self.golden) if self.golden else None,
        }

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``dump`` wrote."""
        signatures = [Signature.model_validate(entry) for entry in data["signatures"]]
        return cls(
            digest=data["digest"],
            root=Path(data["root"]),
            loader=data["loader"],
            size_bytes=data["size_bytes"],
            signatures={signature.name: signature for signature in signatures},
            trunk_signature=data["trunk_signature"],
            choices={name: Choice.parse(choice) for name, choice in data["choices"].items()},
            golden=Path(data["golden"]) if data["golden"] else None,
        )
