"""The manifest: everything that is one version, in canonical bytes whose digest names it.

Laws: ``Manifest.parse(m.canonical()) == m``; equal manifests have equal bytes; a file's bytes are its blobs' bytes in
order; paths are relative, forward-slashed, unique, and stay inside the snapshot; ``format`` 1 stays readable for ever.
"""

import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from hub.domain.digests import Digest, digest_of
from hub.domain.lineage import Edge, EdgeKind
from hub.domain.signatures import Signature, TuningFace

BLOB_BYTES = 64 << 20
MAX_FILES = 10_000
MAX_BLOBS = 100_000
MAX_PATH_CHARS = 512
MAX_EDGES = 100


class Kind(StrEnum):
    """What a model is a stream of."""

    TRUNK = "trunk"
    HEAD = "head"


def _safe_path(path: str) -> str:
    parts = path.split("/")
    printable = all(unicodedata.category(char)[0] != "C" for char in path)
    if (
        not path
        or len(path) > MAX_PATH_CHARS
        or "\\" in path
        or not printable
        or any(p in ("", ".", "..") for p in parts)
    ):
        raise ValueError(f"{path[:80]!r} is not a relative path inside the version")
    return path


RelativePath = Annotated[str, AfterValidator(_safe_path)]


class BlobRef(BaseModel):
    """Bytes by digest and size."""

    model_config = ConfigDict(frozen=True)

    digest: Digest
    size: Annotated[int, Field(strict=True, ge=0, le=BLOB_BYTES)]


class File(BaseModel):
    """One file: its whole digest, and the blobs that make it up in order (none for an empty file)."""

    model_config = ConfigDict(frozen=True)

    path: RelativePath
    size: Annotated[int, Field(strict=True, ge=0)]
    digest: Digest
    blobs: tuple[BlobRef, ...]

    @model_validator(mode="after")
    def _blobs_add_up(self) -> Self:
        if sum(blob.size for blob in self.blobs) != self.size:
            raise ValueError(f"the blobs of {self.path} do not add up to its {self.size} bytes")
        return self


class TensorEntry(BaseModel):
    """One stored tensor of the variables bundle; ``digest`` is of its bytes as stored."""

    model_config = ConfigDict(frozen=True)

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    digest: Digest


class Draft(BaseModel):
    """What a client announces: the files and where they came from. The hub works out the rest itself.

    ``keeps_interface`` makes it a condition that the version breaks no caller of the one before.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    files: Annotated[tuple[File, ...], Field(min_length=1, max_length=MAX_FILES)]
    lineage: Annotated[tuple[Edge, ...], Field(max_length=MAX_EDGES)] = ()
    keeps_interface: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        paths = [file.path for file in self.files]
        folded = {unicodedata.normalize("NFC", path).casefold() for path in paths}
        if len(folded) != len(paths):
            raise ValueError("two files have the same path, or differ only in case")
        if folded & {str(folder) for path in folded for folder in PurePosixPath(path).parents}:
            raise ValueError("a path is both a file and a folder")
        sizes = unique_blobs(self.files)
        if len(sizes) > MAX_BLOBS:
            raise ValueError(f"the files are made of more than {MAX_BLOBS:,} blobs")
        if any(sizes[blob.digest] != blob.size for file in self.files for blob in file.blobs):
            raise ValueError("two blobs have the same digest and different sizes")
        trunks = sum(edge.kind is EdgeKind.HEAD_OF for edge in self.lineage)
        if trunks != (self.kind is Kind.HEAD):
            raise ValueError("a head needs exactly one head_of edge, a trunk has none")
        return self

    def content_digest(self) -> str:
        """Names this content whatever the hub makes of it: equal files and lineage, equal digest."""
        return _content_digest(self.kind, self.files, self.lineage)

    def blobs(self) -> dict[str, int]:
        """Every distinct blob's size by digest."""
        return unique_blobs(self.files)


class Manifest(BaseModel):
    """One version, whole."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    kind: Kind
    files: tuple[File, ...]
    signatures: dict[str, Signature]
    tuning_face: TuningFace | None
    tensors: tuple[TensorEntry, ...]
    lineage: tuple[Edge, ...]
    tensorflow_version: str | None = None
    loader: Literal["object_graph", "session"] = "object_graph"

    def canonical(self) -> bytes:
        """JSON with sorted keys and no spaces: the bytes that are hashed and stored."""
        return orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)

    def digest(self) -> str:
        """The version's digest."""
        return digest_of(self.canonical())

    def content_digest(self) -> str:
        """The content's, as its draft had it."""
        return _content_digest(self.kind, self.files, self.lineage)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read canonical bytes."""
        return cls.model_validate(orjson.loads(data))

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def trunk(self) -> Edge | None:
        """The edge to the trunk, for a head."""
        return next((edge for edge in self.lineage if edge.kind is EdgeKind.HEAD_OF), None)

    def blobs(self) -> dict[str, int]:
        """Every distinct blob's size by digest."""
        return unique_blobs(self.files)


def unique_blobs(files: Iterable[File]) -> dict[str, int]:
    """Size by digest of every distinct blob."""
    return {blob.digest: blob.size for file in files for blob in file.blobs}


def _content_digest(kind: Kind, files: Iterable[File], lineage: Iterable[Edge]) -> str:
    ordered = sorted(files, key=lambda file: file.path)
    facts = {
        "kind": kind.value,
        "files": [[file.path, file.digest] for file in ordered],
        "lineage": sorted([edge.kind.value, edge.digest, edge.signature] for edge in lineage),
    }
    return digest_of(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS))
