"""Orders: what a worker is told about a version it shall load. Free of TensorFlow, so that the engine can write them.

Law: ``Order.parse(order.dump()) == order``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from hub.domain.manifest import Manifest
from hub.domain.signatures import Signature

Loader = Literal["object_graph", "session"]


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
    """

    digest: str
    root: Path
    loader: Loader
    size_bytes: int
    signatures: Mapping[str, Signature]
    trunk_signature: str | None = None

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
        )
