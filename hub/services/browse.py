"""Browse: look at models, versions, their lineage and the workers that hold them.

Laws: a private model is absent for whoever may not see it, in lists and by name; in lineage and among what workers
hold it is only counted; pages go by key, so a list that grows while it is read neither repeats nor skips.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from hub.domain.access import Principal, Scope
from hub.domain.errors import InvalidModel, NotFound
from hub.domain.lineage import Edge
from hub.domain.manifest import Kind, Manifest
from hub.domain.names import ModelName, parse_reference
from hub.domain.signatures import Signature, compose
from hub.domain.versions import Model, State, Version
from hub.engine.engine import Engine
from hub.protocol.schemas import (
    Lineage,
    LineageNode,
    LoadedVersion,
    ModelPage,
    QuarantinedVersion,
    SignatureCall,
    VersionDetail,
    VersionPage,
    WorkerList,
    WorkerState,
)
from hub.runtime.orders import Choice
from hub.storage.catalog import Catalog, Transaction

POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Browse:
    """The browsing use cases."""

    catalog: Catalog
    engine: Engine

    def models(
        self,
        principal: Principal,
        *,
        owner: str | None = None,
        kind: Kind | None = None,
        search: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> ModelPage:
        """Models in name order, those the caller may see."""
        principal.require(Scope.READ)
        with self.catalog.read() as tx:
            found = tx.models(
                owner=owner,
                kind=kind,
                search=search,
                view=principal.view,
                after=after,
                limit=limit + 1,
            )
        return ModelPage(items=tuple(found[:limit]), next=found[limit - 1].name if len(found) > limit else None)

    def model(self, principal: Principal, name: str) -> Model:
        """One model.

        Raises:
            ModelNotFound: No such model that the caller may see.
        """
        principal.require(Scope.READ)
        with self.catalog.read() as tx:
            return principal.see(tx.model(ModelName.parse(name)))

    def versions(self, principal: Principal, name: str, *, before: int | None = None, limit: int = 50) -> VersionPage:
        """A model's versions, newest first.

        Raises:
            ModelNotFound: No such model that the caller may see.
        """
        principal.require(Scope.READ)
        model = ModelName.parse(name)
        with self.catalog.read() as tx:
            principal.see(tx.model(model))
            found = tx.versions(model, before=before, limit=limit + 1)
        return VersionPage(items=tuple(found[:limit]), next=found[limit - 1].number if len(found) > limit else None)

    def version(self, principal: Principal, name: str, number: int) -> VersionDetail:
        """One version with what is known of it.

        Raises:
            VersionNotFound: No such version of a model that the caller may see.
        """
        principal.require(Scope.READ)
        model = ModelName.parse(name)
        with self.catalog.read() as tx:
            principal.see(tx.model(model))
            record = tx.record(model, number)
            signatures = _answered_signatures(tx, record.manifest)
        probe = record.report.probe
        return VersionDetail(
            version=record.version,
            report=record.report,
            signatures=signatures,
            tuning_face=record.manifest.tuning_face,
            lineage=record.manifest.lineage,
            loader=(probe.loader if probe else None) or record.manifest.loader,
            file_count=len(record.manifest.files),
        )

    async def settled(self, principal: Principal, name: str, number: int, wait_s: float) -> VersionDetail:
        """One version once it is no longer validating, or after ``wait_s``, whichever comes first.

        Raises:
            VersionNotFound: No such version of a model that the caller may see.
        """
        until = time.monotonic() + wait_s
        while await asyncio.to_thread(self._is_validating, principal, name, number):
            if time.monotonic() >= until:
                break
            await asyncio.sleep(POLL_S)
        return await asyncio.to_thread(self.version, principal, name, number)

    def _is_validating(self, principal: Principal, name: str, number: int) -> bool:
        principal.require(Scope.READ)
        model = ModelName.parse(name)
        with self.catalog.read() as tx:
            principal.see(tx.model(model))
            return tx.version(model, number).state is State.VALIDATING

    def resolve(self, principal: Principal, reference: str) -> Version:
        """The version a reference means now.

        Raises:
            InvalidName: It is no reference.
            VersionNotFound: Nothing that the caller may see has that name.
        """
        principal.require(Scope.READ)
        parsed = parse_reference(reference)
        with self.catalog.read() as tx:
            principal.see(tx.model(parsed.model))
            return tx.resolve(parsed)

    def lineage(self, principal: Principal, name: str, number: int) -> Lineage:
        """What a version came from, and what came from it.

        Raises:
            VersionNotFound: No such version of a model that the caller may see.
        """
        principal.require(Scope.READ)
        model = ModelName.parse(name)
        with self.catalog.read() as tx:
            principal.see(tx.model(model))
            version = tx.version(model, number)
            parents = [LineageNode(edge=edge, version=_seen(tx, principal, edge)) for edge in tx.parents(model, number)]
            children, hidden = _children(tx, principal, version)
        return Lineage(version=version, parents=tuple(parents), children=tuple(children), hidden_children=hidden)

    def workers(self, principal: Principal) -> WorkerList:
        """The engine's workers and what they hold."""
        principal.require(Scope.READ)
        status = self.engine.status()
        with self.catalog.read() as tx:
            return WorkerList(
                items=tuple(
                    WorkerState(
                        device=worker.device,
                        pid=worker.pid,
                        state=worker.state,
                        loaded=tuple(
                            _loaded(tx, principal, digest, size, worker.choices.get(digest, {}))
                            for digest, size in worker.loaded.items()
                        ),
                        in_flight=worker.in_flight,
                        restarts=worker.restarts,
                    )
                    for worker in status.workers
                ),
                quarantined=tuple(
                    _quarantined(tx, principal, digest, left_s) for digest, left_s in status.quarantined.items()
                ),
            )


def _loaded(
    tx: Transaction, principal: Principal, digest: str, size: int, choices: Mapping[str, Choice]
) -> LoadedVersion:
    reference = _reference(tx, principal, digest)
    calls = {name: SignatureCall(**choice.dump()) for name, choice in choices.items()} if reference else {}
    is_told = reference is not None or principal.view.is_whole
    return LoadedVersion(digest=digest if is_told else None, reference=reference, size_bytes=size, calls=calls)


def _quarantined(tx: Transaction, principal: Principal, digest: str, left_s: float) -> QuarantinedVersion:
    reference = _reference(tx, principal, digest)
    is_told = reference is not None or principal.view.is_whole
    return QuarantinedVersion(digest=digest if is_told else None, reference=reference, left_s=round(left_s, 1))


def _is_visible(tx: Transaction, principal: Principal, name: str) -> bool:
    return principal.sees(name) or not tx.model(ModelName.parse(name)).is_private


def _seen(tx: Transaction, principal: Principal, edge: Edge) -> Version | None:
    try:
        version = tx.version(ModelName.parse(edge.model), edge.number)
    except NotFound:
        return None
    return version if version.digest == edge.digest and _is_visible(tx, principal, edge.model) else None


def _children(tx: Transaction, principal: Principal, version: Version) -> tuple[list[LineageNode], int]:
    nodes, hidden = [], 0
    for child in tx.children(version):
        if not _is_visible(tx, principal, child.model):
            hidden += 1
            continue
        edges = tx.parents(ModelName.parse(child.model), child.number)
        pinned = (version.model, version.number)
        nodes += [LineageNode(edge=edge, version=child) for edge in edges if (edge.model, edge.number) == pinned]
    return nodes, hidden


def _reference(tx: Transaction, principal: Principal, digest: str) -> str | None:
    versions = tx.version_by_digest(digest)
    return next((version.reference for version in versions if _is_visible(tx, principal, version.model)), None)


def _answered_signatures(tx: Transaction, manifest: Manifest) -> dict[str, Signature]:
    """What the version answers to: a head's signatures on its trunk's input, where the two fit."""
    edge = manifest.trunk
    trunks = tx.version_by_digest(edge.digest) if edge else []
    if edge is None or not trunks:
        return manifest.signatures
    trunk = tx.record(ModelName.parse(trunks[0].model), trunks[0].number).manifest
    try:
        return compose(trunk.signatures[edge.signature], manifest.signatures)
    except (KeyError, InvalidModel):
        return manifest.signatures
