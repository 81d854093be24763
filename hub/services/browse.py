"""Browse: look at models, versions, their lineage and the workers that hold them.

Laws: a private model is absent for whoever may not see it, in lists and by name; in lineage and among what workers
hold it is only counted; pages go by key, so a list that grows while it is read neither repeats nor skips.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.domain.access import Principal, Scope
from hub.domain.curves import MAX_CURVES
from hub.domain.lineage import Edge
from hub.domain.metrics import better, headline_run, headline_tag, metric_of
from hub.domain.names import ModelName, parse_reference
from hub.domain.versions import Model, State, Version
from hub.engine.engine import Engine
from hub.protocol.curves import HeadlineMetric
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
        return ModelPage(items=tuple(found[:limit]), next=str(Cursor.of(last, sort)) if last else None)

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

    def versions(
        self,
        principal: Principal,
        name: str,
        *,
        before: int | None = None,
        limit: int = 50,
        is_measured: bool = False,
    ) -> VersionPage:
        """A model's versions, newest first.

        Args:
            principal: Who asks.
            name: The model.
            before: The last number of the page before.
            limit: How many at most.
            is_measured: Whether to tell a metric of them, too.

        Raises:
            ModelNotFound: No such model that the caller may see.
        """
        principal.require(Scope.READ)
        model = ModelName.parse(name)
        with self.catalog.read() as tx:
            tx.require_model(model, principal.view)
            found = tx.versions(model, before=before, limit=limit + 1)
            metric = _headline(tx, model, [version.number for version in found[:limit]]) if is_measured else None
        following = found[limit - 1].number if len(found) > limit else None
        return VersionPage(items=tuple(found[:limit]), next=following, metric=metric)

    def version(self, principal: Principal, name: str, number: int) -> VersionDetail:
        """One version with what is known of it.

        Raises:
            VersionNotFound: No such version of a model that the caller may see.
        """
        principal.require(Scope.READ)
        model = ModelName.parse(name)
        with self.catalog.read() as tx:
            return _detail(tx, principal, model, number)

    def look(self, principal: Principal, name: str, number: int | None = None) -> tuple[Model, VersionDetail | None]:
        """A model with one of its versions: the one named, else the newest ready one, else the newest, if any.

        Raises:
            ModelNotFound: No such model that the caller may see.
            VersionNotFound: It has no such version.
        """
        principal.require(Scope.READ)
        parsed = ModelName.parse(name)
        with self.catalog.read() as tx:
            model = principal.see(tx.model(parsed))
            number = number or model.latest or next((one.number for one in tx.versions(parsed, limit=1)), None)
            return model, _detail(tx, principal, parsed, number) if number else None

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
            return tx.version(model, number, principal.view).state is State.VALIDATING

    def resolve(self, principal: Principal, reference: str) -> Version:
        """The version a reference means now.

        Raises:
            InvalidName: It is no reference.
            VersionNotFound: Nothing that the caller may see has that name.
        """
        principal.require(Scope.READ)
        parsed = parse_reference(reference)
        with self.catalog.read() as tx:
            tx.require_model(parsed.model, principal.view)
            return tx.resolve(parsed)

    def lineage(self, principal: Principal, name: str, number: int) -> Lineage:
        """What a version came from, and what came from it.

        Raises:
            VersionNotFound: No such version of a model that the caller may see.
        """
        principal.require(Scope.READ)
        model = ModelName.parse(name)
        with self.catalog.read() as tx:
            version = tx.version(model, number, principal.view)
            links = tx.links([version])
            parents = [link.edge for link in links if link.child == (name, number)]
            links = [link for link in links if link.child != (name, number) and link.edge.digest == version.digest]
            found = tx.versions_at({link.child for link in links} | {(edge.model, edge.number) for edge in parents})
            names = {link.child[0] for link in links} | {edge.model for edge in parents}
            private = tx.hidden_among(names, principal.view)
        seen = [edge for edge in parents if edge.model not in private]
        return Lineage(
            version=version,
            parents=tuple(LineageNode(edge=edge, version=_pinned(found, edge)) for edge in seen),
            children=tuple(
                LineageNode(edge=link.edge, version=found[link.child]) for link in links if link.child[0] not in private
            ),
            hidden_parents=len(parents) - len(seen),
            hidden_children=len({link.child for link in links if link.child[0] in private}),
        )

    def workers(self, principal: Principal) -> WorkerList:
        """The engine's workers and what they hold."""
        principal.require(Scope.READ)
        status = self.engine.status()
        digests = {digest for worker in status.workers for digest in worker.loaded} | status.quarantined.keys()
        with self.catalog.read() as tx:
            names = tx.references(digests, principal.view)
        # Who may know of everything is told of bytes that no version has any more.
        told = digests if principal.view.is_whole else names.keys()
        return WorkerList(
            items=tuple(
                WorkerState(
                    device=worker.device,
                    pid=worker.pid,
                    state=worker.state,
                    loaded=tuple(
                        _loaded(names.get(digest), digest if digest in told else None, size, worker.choices.get(digest))
                        for digest, size in worker.loaded.items()
                    ),
                    in_flight=worker.in_flight,
                    restarts=worker.restarts,
                )
                for worker in status.workers
            ),
            quarantined=tuple(
                QuarantinedVersion(
                    digest=digest if digest in told else None, reference=names.get(digest), left_s=round(left_s, 1)
                )
                for digest, left_s in status.quarantined.items()
            ),
        )


def _detail(tx: Transaction, principal: Principal, model: ModelName, number: int) -> VersionDetail:
    record = tx.record(model, number, principal.view)
    edges, hidden_parents = _seen_edges(tx, principal, record.manifest.lineage)
    previous, following = tx.neighbours(model, number)
    probe = record.report.probe
    return VersionDetail(
        version=record.version,
        report=record.report,
        signatures=tx.answered_signatures(record.manifest),
        tuning_face=record.manifest.tuning_face,
        lineage=tuple(edges),
        hidden_parents=hidden_parents,
        loader=(probe.loader if probe else None) or record.manifest.loader,
        file_count=len(record.manifest.files),
        previous=previous,
        next=following,
    )


def _headline(tx: Transaction, model: ModelName, numbers: Sequence[int]) -> HeadlineMetric | None:
    """What versions are compared by: a metric of the newest that has curves."""
    tag = headline_tag(tx.newest_tags(model, numbers))
    if tag is None:
        return None
    curves = tx.curves_of_tag(model, numbers, tag, MAX_CURVES)
    if not curves:  # they were replaced just now
        return None
    run = headline_run(tag, (curve.run for number, curve in curves if number == curves[0][0]))
    values = {number: metric_of(curve) for number, curve in curves if curve.run == run}
    return HeadlineMetric(tag=tag, run=run, better=better(tag), values=values)


def _loaded(
    reference: str | None, digest: str | None, size: int, choices: Mapping[str, Choice] | None
) -> LoadedVersion:
    told = choices if reference is not None and choices is not None else {}
    calls = {name: SignatureCall(**choice.dump()) for name, choice in told.items()}
    return LoadedVersion(digest=digest, reference=reference, size_bytes=size, calls=calls)


def _seen_edges(tx: Transaction, principal: Principal, edges: Sequence[Edge]) -> tuple[list[Edge], int]:
    """Those edges whose other end may be known, and how many there are besides."""
    private = tx.hidden_among({edge.model for edge in edges}, principal.view)
    seen = [edge for edge in edges if edge.model not in private]
    return seen, len(edges) - len(seen)


def _pinned(found: Mapping[VersionKey, Version], edge: Edge) -> Version | None:
    version = found.get((edge.model, edge.number))
    return version if version is not None and version.digest == edge.digest else None
