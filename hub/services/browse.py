"""Browse: look at models, versions, their lineage and the workers that hold them.

Laws: a private model is absent for whoever may not see it, in lists and by name; in lineage and among what workers
hold it is only counted; pages go by key, so a list that grows while it is read neither repeats nor skips.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.domain.access import Principal, Scope
from hub.domain.lineage import Edge
from hub.domain.names import ModelName, parse_reference
from hub.domain.versions import Model, State, Version
from hub.engine.engine import Engine
from hub.protocol.schemas import (
    FacetCounts,
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
from hub.protocol.search import EVERYTHING, Cursor, ModelQuery, Sort
from hub.runtime.orders import Choice
from hub.storage.catalog import Catalog, Transaction
from hub.storage.catalog.family import VersionKey

POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Browse:
    """The browsing use cases."""

    catalog: Catalog
    engine: Engine

    def models(
        self,
        principal: Principal,
        asked: ModelQuery = EVERYTHING,
        *,
        sort: Sort = Sort.NAME,
        after: str | None = None,
        limit: int = 50,
    ) -> ModelPage:
        """A page of models, those the caller may see.

        Args:
            principal: Who asks.
            asked: Which ones.
            sort: In which order.
            after: The ``next`` of the page before.
            limit: How many at most.

        Raises:
            InvalidRequest: ``after`` is no place in this order.
        """
        principal.require(Scope.READ)
        place = None if after is None else Cursor.parse(after, sort)
        with self.catalog.read() as tx:
            found = tx.models(asked, sort=sort, view=principal.view, after=place, limit=limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        following = Cursor(last.name, last.updated_at if sort is Sort.UPDATED else None) if last else None
        return ModelPage(items=tuple(found[:limit]), next=str(following) if following else None)

    def facets(self, principal: Principal, asked: ModelQuery = EVERYTHING) -> FacetCounts:
        """How many models are found, of those the caller may see, and by what they could be narrowed."""
        principal.require(Scope.READ)
        with self.catalog.read() as tx:
            return tx.facet_counts(asked, view=principal.view)

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
            edges, hidden_parents = _seen_edges(tx, principal, record.manifest.lineage)
            signatures = tx.answered_signatures(record.manifest)
            previous, following = tx.neighbours(model, number)
        probe = record.report.probe
        return VersionDetail(
            version=record.version,
            report=record.report,
            signatures=signatures,
            tuning_face=record.manifest.tuning_face,
            lineage=tuple(edges),
            hidden_parents=hidden_parents,
            loader=(probe.loader if probe else None) or record.manifest.loader,
            file_count=len(record.manifest.files),
            previous=previous,
            next=following,
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
            parents, hidden_parents = _seen_edges(tx, principal, tx.parents(model, number))
            links = [link for link in tx.links([version]) if link.child != (name, number)]
            links = [link for link in links if link.edge.digest == version.digest]
            found = tx.versions_at({link.child for link in links} | {(edge.model, edge.number) for edge in parents})
            private = tx.hidden_among({link.child[0] for link in links}, principal.view)
        return Lineage(
            version=version,
            parents=tuple(LineageNode(edge=edge, version=_pinned(found, edge)) for edge in parents),
            children=tuple(
                LineageNode(edge=link.edge, version=found[link.child]) for link in links if link.child[0] not in private
            ),
            hidden_parents=hidden_parents,
            hidden_children=len({link.child for link in links if link.child[0] in private}),
        )

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


def _seen_edges(tx: Transaction, principal: Principal, edges: Sequence[Edge]) -> tuple[list[Edge], int]:
    """Those edges whose other end may be known, and how many there are besides."""
    private = tx.hidden_among({edge.model for edge in edges}, principal.view)
    seen = [edge for edge in edges if edge.model not in private]
    return seen, len(edges) - len(seen)


def _pinned(found: Mapping[VersionKey, Version], edge: Edge) -> Version | None:
    version = found.get((edge.model, edge.number))
    return version if version is not None and version.digest == edge.digest else None


def _reference(tx: Transaction, principal: Principal, digest: str) -> str | None:
    versions = tx.version_by_digest(digest)
    return next((version.reference for version in versions if _is_visible(tx, principal, version.model)), None)
