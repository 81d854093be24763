"""A catalog as a team of some size has it after years, written by the catalog's own queries.

Many models with a few versions each, and one that has been retrained for ever. A version is made of about a hundred
blobs, a fifth of which all versions of the model share, as frozen layers do. Every third model is a head of the one
before it. Every version is ready; two aliases move along.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from hub.domain.lineage import Edge, EdgeKind
from hub.domain.manifest import BlobRef, Draft, File, Kind, Manifest, TensorEntry
from hub.domain.names import ModelName
from hub.domain.reports import Facts, Report, Verdict
from hub.domain.signatures import Signature
from hub.domain.tensors import TensorSpec
from hub.domain.versions import State, Version
from hub.storage.catalog import Catalog, Transaction

LONG = ModelName("bench", "retrained-for-ever")
_OWNERS = 20
_EVERY_HEAD = 3
_SHARED = 5
_INTERFACE_EVERY = 4
_IN_ONE_TRANSACTION = 25
_BLOB_BYTES = 262_144
_YES = Verdict(answer="yes")
_CARD = "# A model\n\n" + "What it was trained on, how well it does, and what it is not for. " * 20


@dataclass(slots=True)
class Seeding:
    """A catalog to be filled.

    Attributes:
        models: How many ordinary models.
        versions: How many versions each of them has.
        long_versions: How many the one has that was retrained for ever.
        blobs: Of how many blobs a version is made.
        digests: A digest of each model, for queries that ask by it.
    """

    models: int
    versions: int
    long_versions: int
    blobs: int
    digests: dict[str, str] = field(default_factory=dict)

    def names(self) -> list[ModelName]:
        """Every model."""
        ordinary = [ModelName(f"team-{index % _OWNERS:02}", f"model-{index:05}") for index in range(self.models)]
        return [*ordinary, LONG]

    def versions_of(self, name: ModelName) -> int:
        """How many versions a model has."""
        return self.long_versions if name == LONG else self.versions

    def fill(self, catalog: Catalog) -> None:
        """Write it all."""
        work = self._work()
        while some := list(islice(work, _IN_ONE_TRANSACTION)):
            with catalog.begin() as tx:
                for name, number, trunk in some:
                    self._add(tx, name, number, trunk)

    def _work(self) -> Iterator[tuple[ModelName, int, ModelName | None]]:
        """Model, number and the trunk of every version, in the order of their making."""
        names = self.names()
        for number in range(1, max(self.versions, self.long_versions) + 1):
            for index, name in enumerate(names):
                if number <= self.versions_of(name):
                    is_head = name != LONG and index % _EVERY_HEAD == _EVERY_HEAD - 1
                    yield name, number, names[index - 1] if is_head else None

    def _add(self, tx: Transaction, name: ModelName, number: int, trunk: ModelName | None) -> Version:
        edges = (self._edge(tx, trunk, number),) if trunk else ()
        manifest = self._manifest(name, number, edges)
        draft = Draft(kind=manifest.kind, files=manifest.files, lineage=edges)
        digest, report = manifest.digest(), _report(manifest)
        self.digests[str(name)] = digest
        tx.ensure_model(name, manifest.kind, is_private=False, created_by="bench")
        tx.note_stored(manifest.blobs() | {digest: len(manifest.canonical())})
        tx.add_version(
            name,
            manifest,
            digest=digest,
            content_digest=draft.content_digest(),
            report=report,
            state=State.VALIDATING,
            created_by="bench",
            message=f"Trained on the data of week {number}.",
            alias="stable" if number % 2 else "canary",
        )
        if number == 1:
            tx.set_card(name, _CARD)
        interface = 1 + (number - 1) // _INTERFACE_EVERY
        return tx.finish_version(
            name, number, state=State.READY, report=report, interface=interface, golden_digest=None
        )

    def _edge(self, tx: Transaction, trunk: ModelName, number: int) -> Edge:
        digest = tx.version(trunk, number).digest
        return Edge(kind=EdgeKind.HEAD_OF, model=str(trunk), number=number, digest=digest)

    def _manifest(self, name: ModelName, number: int, edges: tuple[Edge, ...]) -> Manifest:
        spec = TensorSpec(name="x", dtype="float32", shape=(None, 224, 224, 3) if not edges else (None, 1280))
        features = TensorSpec(name="y", dtype="float32", shape=(None, 1280) if not edges else (None, 10))
        signature = Signature(name="serving_default", inputs={"x": spec}, outputs={"y": features})
        blobs = tuple(_blob(name, number, index) for index in range(self.blobs - 2))
        data = File(
            path="variables/variables.data-00000-of-00001",
            size=sum(blob.size for blob in blobs),
            digest=_digest(f"{name}@{number} data"),
            blobs=blobs,
        )
        tensors = tuple(
            TensorEntry(
                name=f"variables/{index}", dtype="float32", shape=(256, 256), size=blob.size, digest=blob.digest
            )
            for index, blob in enumerate(blobs)
        )
        return Manifest(
            kind=Kind.HEAD if edges else Kind.TRUNK,
            files=(
                _one_blob("saved_model.pb", f"{name}@{number} graph", 2_000_000),
                data,
                _one_blob("variables/variables.index", f"{name}@{number} index", 20_000),
            ),
            signatures={"serving_default": signature},
            tuning_face=None,
            tensors=tensors,
            lineage=edges,
            tensorflow_version="2.21.0",
        )


def _report(manifest: Manifest) -> Report:
    facts = Facts(tags=("serve",), parameters=manifest.size // 4, total_bytes=manifest.size, ops={"MatMul": 40})
    return Report(servable=_YES, tunable=_YES, portable=_YES, safe=_YES, facts=facts)


def _one_blob(path: str, content: str, size: int) -> File:
    digest = _digest(content)
    return File(path=path, size=size, digest=digest, blobs=(BlobRef(digest=digest, size=size),))


def _blob(name: ModelName, number: int, index: int) -> BlobRef:
    owner = f"{name}" if index % _SHARED == 0 else f"{name}@{number}"
    return BlobRef(digest=_digest(f"{owner} {index}"), size=_BLOB_BYTES)


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
