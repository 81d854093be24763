"""Queries that write versions.

Laws: a version appears in one transaction with its edges and blobs; numbers grow by one per name and are never reused,
not even after a deletion; a state only moves forward.
"""

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from hub.domain.errors import Conflict, HasDependents
from hub.domain.facets import OF_INPUTS, facets_of_inputs
from hub.domain.manifest import Manifest
from hub.domain.names import ModelName
from hub.domain.reports import Report
from hub.domain.versions import NEXT_STATES, State, Version
from hub.storage.catalog.aliases import AliasQueries
from hub.storage.catalog.facets import FacetQueries
from hub.storage.catalog.lineage import LineageQueries
from hub.storage.catalog.models import model_not_found
from hub.storage.catalog.queries import now
from hub.storage.catalog.quotas import QuotaQueries
from hub.storage.catalog.tables import edges, models, numbers, version_blobs, versions


class VersionQueries(AliasQueries, LineageQueries, FacetQueries, QuotaQueries):
    """A version's life."""

    def add_version(
        self,
        name: ModelName,
        manifest: Manifest,
        *,
        digest: str,
        content_digest: str,
        report: Report,
        state: State,
        created_by: str,
        message: str,
        alias: str | None,
    ) -> Version:
        """Insert the model's next version.

        Args:
            name: The model; `ensure_model` made it.
            manifest: What the version is; it is stored as a blob too, under ``digest``.
            digest: The manifest's digest.
            content_digest: The draft's, by which the same content is recognised.
            report: The static report.
            state: ``validating`` or ``rejected``.
            created_by: Who pushed.
            message: What the pusher said.
            alias: Moves here when the version becomes ready.

        Raises:
            ModelNotFound: No such model.
            Conflict: The model has another kind.
        """
        self._require_kind(name, manifest)
        number = self._next_number(name)
        at = now()
        row = {"model": str(name), "number": number, "digest": digest, "content_digest": content_digest}
        row |= {"kind": manifest.kind.value, "state": state.value, "size": manifest.size, "created_at": at}
        row |= {"created_by": created_by, "message": message, "yanked_reason": ""}
        self.connection.execute(insert(versions).values(**row, manifest=manifest.canonical(), report=report))
        self._insert_edges(name, number, manifest)
        self._insert_blobs(name, number, {digest, *manifest.blobs()})
        if alias is not None:
            self.want_alias(name, number, alias, created_by)
        self.connection.execute(update(models).where(models.c.name == str(name)).values(updated_at=at))
        return self.version(name, number)

    def finish_version(
        self,
        name: ModelName,
        number: int,
        *,
        state: State,
        report: Report,
        interface: int | None,
        golden_digest: str | None,
    ) -> Version:
        """End a validation; on ``ready`` the aliases that pushes asked for move.

        Raises:
            VersionNotFound: No such version.
            Conflict: Its validation has ended already.
        """
        self._advance(name, number, state)
        values = {"report": report, "interface": interface, "golden_digest": golden_digest}
        self.connection.execute(update(versions).where(_is(name, number)).values(**values))
        if golden_digest is not None:
            with self.recounted(name.owner, lambda: [golden_digest]):
                self.insert_if_absent(version_blobs, {"model": str(name), "number": number, "digest": golden_digest})
        if state is State.READY:
            self.move_wanted_aliases(name, number)
            self._note_inputs(name)
        return self.version(name, number)

    def yank(self, name: ModelName, number: int, reason: str) -> Version:
        """Withdraw a ready version; who names it by number or digest still finds it.

        Raises:
            VersionNotFound: No such version.
            Conflict: It is not ready.
        """
        self._advance(name, number, State.YANKED)
        self.connection.execute(update(versions).where(_is(name, number)).values(yanked_reason=reason))
        self._note_inputs(name)
        return self.version(name, number)

    def delete_version(self, name: ModelName, number: int) -> None:
        """Delete a version and the aliases on it.

        Raises:
            VersionNotFound: No such version.
            HasDependents: Versions that were not rejected hang on it.
        """
        version = self.version(name, number)
        hanging = [child.reference for child in self.children(version) if child.state is not State.REJECTED]
        if hanging:
            detail = f"{version.reference} cannot be deleted: {', '.join(hanging)} hang on it."
            raise HasDependents(
                detail, remedy="Delete those first, or withdraw it with 'hub yank'.", dependents=hanging
            )
        with self.recounted(name.owner, lambda: self.digests_of(str(name), number)):
            self.connection.execute(delete(versions).where(_is(name, number)))
        self._note_inputs(name)

    def _note_inputs(self, name: ModelName) -> None:
        """Let the model be found by what its newest ready version takes."""
        is_ready = (versions.c.model == str(name)) & (versions.c.state == State.READY.value)
        newest = self.connection.execute(select(func.max(versions.c.number)).where(is_ready)).scalar_one()
        if newest is None:
            self.put_facets(name, OF_INPUTS, [])
            return
        signatures = self.answered_signatures(self.record(name, newest).manifest)
        self.put_facets(name, OF_INPUTS, facets_of_inputs(signatures.values()))

    def _advance(self, name: ModelName, number: int, state: State) -> Version:
        before = self.version(name, number)
        allowed = [was.value for was, following in NEXT_STATES.items() if state in following]
        statement = update(versions).where(_is(name, number), versions.c.state.in_(allowed)).values(state=state.value)
        if not self.connection.execute(statement).rowcount:
            detail = f"{before.reference} is {before.state.value} and cannot become {state.value}."
            raise Conflict(detail, state=before.state.value)
        self.connection.execute(update(models).where(models.c.name == str(name)).values(updated_at=now()))
        return before

    def _require_kind(self, name: ModelName, manifest: Manifest) -> None:
        query = select(models.c.kind).where(models.c.name == str(name))
        kind = self.connection.execute(query).scalar_one_or_none()
        if kind is None:
            raise model_not_found(name)
        if kind != manifest.kind.value:
            raise Conflict(f"{name} is a {kind}, not a {manifest.kind.value}.", remedy="Push to another name.")

    def _next_number(self, name: ModelName) -> int:
        # The row is locked until the transaction ends, so two pushes cannot be given one number.
        self.insert_if_absent(numbers, {"model": str(name), "last": 0})
        counted = update(numbers).where(numbers.c.model == str(name)).values(last=numbers.c.last + 1)
        return int(self.connection.execute(counted.returning(numbers.c.last)).scalar_one())

    def _insert_edges(self, name: ModelName, number: int, manifest: Manifest) -> None:
        rows = [
            {
                "model": str(name),
                "number": number,
                "position": position,
                "kind": edge.kind.value,
                "parent_model": edge.model,
                "parent_number": edge.number,
                "parent_digest": edge.digest,
                "signature": edge.signature,
            }
            for position, edge in enumerate(manifest.lineage)
        ]
        if rows:
            self.connection.execute(insert(edges), rows)

    def _insert_blobs(self, name: ModelName, number: int, digests: set[str]) -> None:
        rows = [{"model": str(name), "number": number, "digest": digest} for digest in sorted(digests)]
        with self.recounted(name.owner, lambda: digests):
            self.connection.execute(insert(version_blobs), rows)


def _is(name: ModelName, number: int) -> ColumnElement[bool]:
    return (versions.c.model == str(name)) & (versions.c.number == number)
