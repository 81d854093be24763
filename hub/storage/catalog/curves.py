"""Queries about curves.

Law: a version's curves are replaced as a whole, so that a reader never sees some of one job and some of another.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import Select, delete, func, insert, select

from hub.domain.curves import Curve, SummariesFacts
from hub.domain.names import ModelName
from hub.storage.catalog.queries import Queries
from hub.storage.catalog.tables import curves, summaries

STEP = 200
"""Rows in one statement."""


class CurveQueries(Queries):
    """The curves of versions, by tag and run."""

    def put_curves(
        self, name: ModelName, number: int, facts: SummariesFacts, packed: Sequence[tuple[Curve, bytes]]
    ) -> None:
        """Give a version its curves, with their packed points; those that it had are gone."""
        mine = {"model": str(name), "number": number}
        for table in (curves, summaries):
            self.connection.execute(delete(table).where(table.c.model == str(name), table.c.number == number))
        self.connection.execute(insert(summaries).values(**mine, facts=facts))
        ordered = sorted(packed, key=lambda item: (item[0].tag, item[0].run))
        rows = [
            {**mine, "position": position, "tag": curve.tag, "curve": curve, "points": points}
            for position, (curve, points) in enumerate(ordered, start=1)
        ]
        for at in range(0, len(rows), STEP):
            self.connection.execute(insert(curves), rows[at : at + STEP])

    def summaries(self, name: ModelName, number: int) -> SummariesFacts | None:
        """What is known of a version's curves together; None where it has none."""
        query = select(summaries.c.facts).where(summaries.c.model == str(name), summaries.c.number == number)
        return self.connection.execute(query).scalar_one_or_none()

    def versions_with_curves(self, name: ModelName, limit: int) -> list[int]:
        """The numbers of a model's newest versions that have curves, newest first."""
        query = select(summaries.c.number).where(summaries.c.model == str(name))
        return list(self.connection.execute(query.order_by(summaries.c.number.desc()).limit(limit)).scalars())

    def curves(
        self, name: ModelName, number: int, *, search: str | None = None, after: int = 0, limit: int
    ) -> list[tuple[int, Curve]]:
        """A page of a version's curves without their points, each with its position.

        Args:
            name: The model.
            number: The version.
            search: Only those with this text in their tag, in either case.
            after: The last position of the page before.
            limit: How many at most.
        """
        query = select(curves.c.position, curves.c.curve).where(curves.c.position > after)
        if search:
            query = query.where(curves.c.tag.icontains(search, autoescape=True))
        rows = self.connection.execute(_of(query, name, number).limit(limit)).all()
        return [(row.position, row.curve) for row in rows]

    def newest_tags(self, name: ModelName, numbers: Collection[int]) -> list[str]:
        """The tags that the newest of some versions with curves has."""
        mine = (summaries.c.model == str(name)) & summaries.c.number.in_(list(numbers))
        newest = select(func.max(summaries.c.number)).where(mine).scalar_subquery()
        query = select(curves.c.tag).where(curves.c.model == str(name), curves.c.number == newest)
        return list(self.connection.execute(query.distinct().order_by(curves.c.tag)).scalars())

    def curves_of_tag(self, name: ModelName, numbers: Collection[int], tag: str, limit: int) -> list[tuple[int, Curve]]:
        """The curves of one tag that some versions have, newest version first, by run; without their points."""
        query = select(curves.c.number, curves.c.curve).where(curves.c.model == str(name), curves.c.tag == tag)
        query = query.where(curves.c.number.in_(list(numbers)))
        order = (curves.c.number.desc(), curves.c.position)
        return [(number, curve) for number, curve in self.connection.execute(query.order_by(*order).limit(limit))]

    def drawn_curves(
        self, name: ModelName, number: int, *, tag: str | None = None, after: int = 0, limit: int
    ) -> list[tuple[int, Curve, bytes]]:
        """The same with their packed points; only those of one tag where it is given."""
        query = select(curves.c.position, curves.c.curve, curves.c.points).where(curves.c.position > after)
        if tag is not None:
            query = query.where(curves.c.tag == tag)
        rows = self.connection.execute(_of(query, name, number).limit(limit)).all()
        return [(row.position, row.curve, row.points) for row in rows]


def _of(query: Select, name: ModelName, number: int) -> Select:
    mine = query.where(curves.c.model == str(name), curves.c.number == number)
    return mine.order_by(curves.c.position)
