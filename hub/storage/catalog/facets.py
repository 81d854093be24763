"""Queries about facets: what lists of models are narrowed by, and by what they could be.

Law: a model's facets are those of its card and of its newest ready version, in the transaction that changes either.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, delete, func, insert, or_, select

from hub.domain.access import View
from hub.domain.facets import Facet, Values
from hub.domain.names import ModelName
from hub.protocol.schemas import FacetCounts, ValueCount
from hub.protocol.search import ModelQuery
from hub.storage.catalog.queries import Queries
from hub.storage.catalog.tables import facets, models
from hub.storage.catalog.views import shown

MOST_COUNTED = 12


class FacetQueries(Queries):
    """Facets: replaced as a whole, counted for what a query finds."""

    def put_facets(self, name: ModelName, which: Collection[Facet], values: Values) -> None:
        """Let a model have these values of some facets, and no others of them."""
        mine = (facets.c.model == str(name)) & facets.c.facet.in_([facet.value for facet in which])
        self.connection.execute(delete(facets).where(mine))
        rows = [{"model": str(name), "facet": facet.value, "value": value} for facet, value in values]
        if rows:
            self.connection.execute(insert(facets), rows)

    def facet_counts(self, asked: ModelQuery, *, view: View) -> FacetCounts:
        """How many models there are, and each facet's commonest values among them."""
        wanted = narrowed(asked, view)
        kinds = self._counted(models.c.kind, wanted)
        found = {"kind": kinds, "owner": self._counted(models.c.owner, wanted)}
        number = func.count().label("number")
        order = (number.desc(), facets.c.value)
        rank = func.row_number().over(partition_by=facets.c.facet, order_by=order).label("rank")
        joined = facets.join(models, models.c.name == facets.c.model)
        ranked = select(facets.c.facet, facets.c.value, number, rank).select_from(joined).where(*wanted)
        inner = ranked.group_by(facets.c.facet, facets.c.value).subquery()
        query = select(inner).where(inner.c.rank <= MOST_COUNTED).order_by(inner.c.facet, inner.c.rank)
        values: dict[str, list[ValueCount]] = defaultdict(list)
        for row in self.connection.execute(query):
            values[row.facet].append(ValueCount(value=row.value, models=row.number))
        found |= {facet.value: tuple(values[facet.value]) for facet in Facet}
        return FacetCounts(total=sum(count.models for count in kinds), facets=found)

    def facets_of(self, names: Sequence[str]) -> dict[str, dict[str, tuple[str, ...]]]:
        """The facets of some models: values by facet."""
        query = select(facets).where(facets.c.model.in_(names)).order_by(facets.c.facet, facets.c.value)
        found: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
        for row in self.connection.execute(query):
            found[row.model][row.facet] = (*found[row.model].get(row.facet, ()), row.value)
        return found

    def _counted(self, column: ColumnElement[str], wanted: Sequence[ColumnElement[bool]]) -> tuple[ValueCount, ...]:
        query = select(column, func.count()).where(*wanted).group_by(column)
        rows = self.connection.execute(query.order_by(func.count().desc(), column).limit(MOST_COUNTED))
        return tuple(ValueCount(value=value, models=number) for value, number in rows)


def narrowed(asked: ModelQuery, view: View) -> list[ColumnElement[bool]]:
    """What holds of the models that are asked for."""
    wanted: list[ColumnElement[bool]] = [] if view.is_whole else [shown(view)]
    if asked.owner is not None:
        wanted.append(models.c.owner == asked.owner)
    if asked.kind is not None:
        wanted.append(models.c.kind == asked.kind.value)
    if asked.search:
        found = (column.icontains(asked.search, autoescape=True) for column in (models.c.name, models.c.card))
        wanted.append(or_(*found))
    for facet, value in asked.facets:
        having = select(facets.c.model).where(facets.c.facet == facet.value, facets.c.value == value)
        wanted.append(models.c.name.in_(having))
    return wanted
