"""Versions, pushes and reports for the catalog tests."""

import hashlib
from datetime import datetime, timedelta, timezone
from uuid import uuid4

import pytest

from hub.domain.lineage import Edge, EdgeKind
from hub.domain.manifest import BlobRef, Draft, File, Kind, Manifest
from hub.domain.names import ModelName
from hub.domain.reports import Report, Verdict
from hub.domain.signatures import Signature
from hub.domain.tensors import TensorSpec
from hub.domain.versions import State, Version
from hub.storage.catalog.records import PushRecord
from hub.storage.catalog.transaction import Transaction

YES = Verdict(answer="yes")


class Versions:
    """Builds versions of a few bytes; two of the same content are the same."""

    TRUNK = ModelName("acme", "trunk")
    HEAD = ModelName("acme", "head")
    REPORT = Report(servable=YES, tunable=YES, portable=YES, safe=YES)
    GOLDEN = "sha256:" + "9" * 64

    def digest(self, text: str) -> str:
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    def file(self, content: str) -> File:
        blob = BlobRef(digest=self.digest(content), size=len(content))
        return File(path="saved_model.pb", size=len(content), digest=self.digest(content), blobs=(blob,))

    def manifest(self, content: str, *lineage: Edge) -> Manifest:
        spec = TensorSpec(name="x", dtype="float32", shape=(None, 3))
        serving = Signature(name="serving_default", inputs={"x": spec}, outputs={"y": spec})
        kind = Kind.HEAD if any(edge.kind is EdgeKind.HEAD_OF for edge in lineage) else Kind.TRUNK
        signatures = {"serving_default": serving}
        return Manifest(
            kind=kind, files=(self.file(content),), signatures=signatures, tuning_face=None, tensors=(), lineage=lineage
        )

    def edge_to(self, version: Version) -> Edge:
        return Edge(kind=EdgeKind.HEAD_OF, model=version.model, number=version.number, digest=version.digest)

    def add(
        self,
        tx: Transaction,
        name: ModelName,
        content: str,
        *lineage: Edge,
        alias: str | None = None,
        state: State = State.VALIDATING,
    ) -> Version:
        made = self.manifest(content, *lineage)
        tx.ensure_model(name, made.kind, is_private=False, created_by="ada")
        return tx.add_version(
            name,
            made,
            digest=made.digest(),
            content_digest=self.digest(f"content {content}"),
            report=self.REPORT,
            state=state,
            created_by="ada",
            message=f"message of {content}",
            alias=alias,
        )

    def finish(
        self, tx: Transaction, version: Version, state: State = State.READY, interface: int | None = 1
    ) -> Version:
        name = ModelName.parse(version.model)
        return tx.finish_version(
            name, version.number, state=state, report=self.REPORT, interface=interface, golden_digest=None
        )

    def ready(
        self,
        tx: Transaction,
        name: ModelName,
        content: str,
        *lineage: Edge,
        alias: str | None = None,
        interface: int = 1,
    ) -> Version:
        return self.finish(tx, self.add(tx, name, content, *lineage, alias=alias), interface=interface)

    def push(self) -> PushRecord:
        return PushRecord(
            id=uuid4(),
            model=self.TRUNK,
            draft=Draft(kind=Kind.TRUNK, files=(self.file("one"),)),
            alias="stable",
            message="first",
            card=None,
            is_private=True,
            principal="ada",
            created_at=datetime.now(timezone(timedelta(hours=5))),
        )


@pytest.fixture
def make() -> Versions:
    return Versions()
