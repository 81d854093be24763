"""Queries about models."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, Select, delete, func, select, update

from hub.domain.access import View
from hub.domain.errors import Conflict, HasDependents, ModelNotFound
from hub.domain.facets import OF_CARD, facets_of_card
from hub.domain.lineage import EdgeKind
from hub.domain.manifest import Kind
from hub.domain.names import ModelName
from hub.domain.versions import Model, State
from hub.protocol.search import EVERYTHING, Cursor, ModelQuery, Sort
from hub.storage.catalog.facets import FacetQueries, narrowed
from hub.storage.catalog.pulls import pulled
from hub.storage.catalog.queries import AnyRow, now
from hub.storage.catalog.quotas import QuotaQueries
from hub.storage.catalog.tables import aliases, edges, models, pushes, versions
from hub.storage.catalog.views import shown

_LATEST = (
    select(func.max(versions.c.number))
    .where(versions.c.model == models.c.name, versions.c.state == State.READY.value)
    .correlate(models)
    .scalar_subquery()
    .label("latest")
)


class ModelQueries(FacetQueries, QuotaQueries):
    """Models: created by their first push, listed by name or by when they changed."""

    def ensure_model(self, name: ModelName, kind: Kind, *, is_private: bool, created_by: str) -> bool:
        """Create the model unless it exists, and hold it until the transaction ends.

        Holding means: of two transactions that push to one model, the second waits here for the first, so what it
        looks up afterwards (the same content, the next number) is final.

        Args:
            name: The model.
            kind: Its kind, for ever.
            is_private: Taken when it is created; an existing model keeps what it has.
            created_by: Who pushes.

        Returns:
            Whether it was created.

        Raises:
            Conflict: It exists with another kind.
        """
        at = now()
        row = {"name": str(name), "owner": name.owner, "kind": kind.value, "is_private": is_private, "card": ""}
        is_new = self.insert_if_absent(models, row | {"created_at": at, "created_by": created_by, "updated_at": at})
        query = select(models.c.kind).where(models.c.name == str(name)).with_for_update()
        existing = self.connection.execute(query).scalar_one()
        if existing != kind.value:
            detail = f"{name} is a {existing}, not a {kind.value}."
            raise Conflict(detail, remedy="Push to another name, or delete the model first.")
        return is_new

    def model(self, name: ModelName) -> Model:
        """One model.

        Raises:
            ModelNotFound: No such model.
        """
        columns = (models, _LATEST, pulled().label("pulls"))
        row = self.connection.execute(select(*columns).where(models.c.name == str(name))).one_or_none()
        if row is None:
            raise model_not_found(name)
        return self._models([row])[0]

    def models(
        self,
        asked: ModelQuery = EVERYTHING,
        *,
        sort: Sort = Sort.NAME,
        view: View,
        after: Cursor | None = None,
        limit: int,
    ) -> list[Model]:
        """A page of models, with the number of heads on each.

        Args:
            asked: Which ones.
            sort: By name, or those first that changed last, or were pulled most lately.
            view: Which private models are shown, and counted among the heads.
            after: The last of the page before, in the same order.
            limit: How many at most.
        """
        count = pulled()
        query = select(models, _LATEST, count.label("pulls")).where(*narrowed(asked, view)).limit(limit)
        first = {Sort.UPDATED: [models.c.updated_at.desc()], Sort.PULLS: [count.desc()], Sort.NAME: []}
        query = query.order_by(*first[sort], models.c.name)
        if after is not None:
            query = query.where(_is_after(after, count))
        rows = self.connection.execute(query).all()
        return self._models(rows, self._heads([row.name for row in rows], view))

    def set_card(self, name: ModelName, card: str) -> None:
        """Replace the model's card (Markdown).

        Raises:
            ModelNotFound: No such model.
        """
        self._update(name, card=card)
        self.put_facets(name, OF_CARD, facets_of_card(card))

    def set_private(self, name: ModelName, is_private: bool) -> None:
        """Hide the model from those without a token, or show it.

        Raises:
            ModelNotFound: No such model.
        """
        self._update(name, is_private=is_private)

    def delete_model(self, name: ModelName) -> None:
        """Delete the model with its versions, aliases, pushes; its numbers are never given out again.

        Raises:
            ModelNotFound: No such model.
            HasDependents: Another model's version hangs on one of its versions.
        """
        dependents = self.connection.execute(_dependents_elsewhere(name)).scalars().all()
        if dependents:
            detail = f"{name} cannot be deleted: {', '.join(dependents)} hang on it."
            raise HasDependents(detail, remedy="Delete those first.", dependents=list(dependents))
        with self.recounted(name.owner, lambda: self.digests_of(str(name))):
            if not self.connection.execute(delete(models).where(models.c.name == str(name))).rowcount:
                raise model_not_found(name)
        self.connection.execute(delete(pushes).where(pushes.c.model == str(name)))

    def _update(self, name: ModelName, **values: object) -> None:
        statement = update(models).where(models.c.name == str(name)).values(updated_at=now(), **values)
        if not self.connection.execute(statement).rowcount:
            raise model_not_found(name)

    def _models(self, rows: Sequence[AnyRow], heads: Mapping[str, int] | None = None) -> list[Model]:
        names = [row.name for row in rows]
        named, found = self._aliases_of(names), self.facets_of(names)
        return [
            Model(
                name=row.name,
                kind=Kind(row.kind),
                is_private=row.is_private,
                card=row.card,
                created_at=row.created_at,
                updated_at=row.updated_at,
                latest=row.latest,
                pulls=row.pulls,
                aliases=named[row.name],
                facets=found[row.name],
                heads=None if heads is None else heads.get(row.name, 0),
            )
            for row in rows
        ]

    def _heads(self, names: Sequence[str], view: View) -> dict[str, int]:
        """How many heads have a ready version on one of a model's."""
        pushed = (versions.c.model == edges.c.model) & (versions.c.number == edges.c.number)
        joined = edges.join(versions, pushed).join(models, models.c.name == edges.c.model)
        query = (
            select(edges.c.parent_model, func.count(edges.c.model.distinct()))
            .select_from(joined)
            .where(edges.c.kind == EdgeKind.HEAD_OF.value, edges.c.parent_model.in_(names))
            .where(versions.c.state == State.READY.value, shown(view))
            .group_by(edges.c.parent_model)
        )
        return dict(self.connection.execute(query).all())

    def _aliases_of(self, names: Iterable[str]) -> dict[str, dict[str, int]]:
        query = select(aliases.c.model, aliases.c.alias, aliases.c.number).order_by(aliases.c.alias)
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for model, alias, number in self.connection.execute(query.where(aliases.c.model.in_(names))):
            found[model][alias] = number
        return found


def model_not_found(name: ModelName) -> ModelNotFound:
    """The error for a model that is not there."""
    return ModelNotFound(f"There is no model {name}.", remedy="List what there is with 'hub ls'.")


def _is_after(place: Cursor, count: ColumnElement[int]) -> ColumnElement[bool]:
    later = models.c.name > place.name
    if place.pulls is not None:
        return (count < place.pulls) | ((count == place.pulls) & later)
    if place.updated_at is not None:
        return (models.c.updated_at < place.updated_at) | ((models.c.updated_at == place.updated_at) & later)
    return later


def _dependents_elsewhere(name: ModelName) -> Select[str]:
    """Names of other models with a version, not rejected, that hangs on a version of this one."""
    own = select(versions.c.digest).where(versions.c.model == str(name))
    child = (versions.c.model == edges.c.model) & (versions.c.number == edges.c.number)
    return (
        select(edges.c.model)
        .join(versions, child)
        .where(edges.c.parent_model == str(name), edges.c.parent_digest.in_(own), edges.c.model != str(name))
        .where(versions.c.state != State.REJECTED.value)
        .distinct()
        .order_by(edges.c.model)
    )
