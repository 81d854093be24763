"""Curves: what a training job wrote down of itself, put beside a version and looked at.

Laws: what a client sends is checked for its form and its bounds and only ever shown; curves change nothing of the
version; reading is by pages, and a page of points is never more than :data:`MAX_DRAWN` curves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite

from hub.domain.access import Principal, Scope
from hub.domain.audit import Action
from hub.domain.curves import MAX_POINTS, MAX_POINTS_IN_ALL, Curve, SummariesFacts
from hub.domain.errors import TooLarge
from hub.domain.metrics import headline_tag
from hub.domain.names import ModelName
from hub.protocol.codecs.peaks import thinned
from hub.protocol.codecs.points import Points, number_text, unpack_points
from hub.protocol.curves import CurvePage, DrawnCurve, DrawnPage, PutCurves
from hub.services.changes import require
from hub.storage.catalog import Catalog

MAX_DRAWN = 50
MAX_COMPARED = 100
"""Versions with curves that one list names."""


@dataclass(frozen=True, slots=True)
class Curves:
    """The use cases of curves."""

    catalog: Catalog

    def put(self, principal: Principal, name: str, number: int, sent: PutCurves) -> SummariesFacts:
        """Give a version its curves; those that it had are gone.

        Raises:
            VersionNotFound: No such version that the caller may see.
            InvalidRequest: Points are not well-formed.
            TooLarge: They are too many.
        """
        require(self.catalog, principal, Scope.WRITE, Action.VERSION_SUMMARIES, f"{name}@{number}", where=name)
        model = ModelName.parse(name)
        points = sum(len(unpack_points(item.points)) for item in sent.items)
        if points > MAX_POINTS_IN_ALL:
            raise TooLarge(
                f"{points} points are more than the {MAX_POINTS_IN_ALL} that are taken for one version.",
                remedy="Push fewer points for each curve.",
            )
        runs = sorted({item.curve.run for item in sent.items})
        facts = SummariesFacts(
            put_at=datetime.now(UTC),
            put_by=principal.name,
            curves=len(sent.items),
            runs=tuple(runs),
            damages=sent.damages,
        )
        with self.catalog.begin() as tx:
            version = tx.version(model, number, principal.view)
            tx.put_curves(model, number, facts, [(item.curve, item.points) for item in sent.items])
            told = {"curves": facts.curves, "runs": len(runs), "points": points}
            tx.note(principal, Action.VERSION_SUMMARIES, version.reference, told)
        return facts

    def versions(self, principal: Principal, name: str) -> list[int]:
        """The numbers of a model's newest versions with curves, newest first.

        Raises:
            ModelNotFound: No such model that the caller may see.
        """
        principal.require(Scope.READ)
        model = ModelName.parse(name)
        with self.catalog.read() as tx:
            tx.require_model(model, principal.view)
            return tx.versions_with_curves(model, MAX_COMPARED)

    def page(
        self,
        principal: Principal,
        name: str,
        number: int,
        *,
        search: str | None = None,
        after: int = 0,
        limit: int = 200,
    ) -> CurvePage:
        """A version's curves by tag and run, without their points.

        Raises:
            VersionNotFound: No such version of a model that the caller may see.
        """
        principal.require(Scope.READ)
        model = ModelName.parse(name)
        with self.catalog.read() as tx:
            tx.version(model, number, principal.view)
            facts = tx.summaries(model, number)
            found = tx.curves(model, number, search=search, after=after, limit=limit + 1)
        return CurvePage(
            summaries=facts,
            items=tuple(curve for _, curve in found[:limit]),
            next=found[limit - 1][0] if len(found) > limit else None,
        )

    def points(
        self,
        principal: Principal,
        name: str,
        number: int,
        tag: str,
        *,
        after: int = 0,
        limit: int = MAX_DRAWN,
        most: int = MAX_POINTS,
    ) -> DrawnPage:
        """The curves of one tag with their points, by run; none where the version has no such tag.

        Args:
            principal: Who asks.
            name: The model.
            number: The version.
            tag: The tag.
            after: The position after which the page begins.
            limit: Curves of the page.
            most: Points of each; of more, `hub.protocol.codecs.peaks.thinned` says which stay.

        Raises:
            VersionNotFound: No such version of a model that the caller may see.
        """
        found = self._drawn(principal, name, number, tag=tag, after=after, limit=limit + 1)
        return DrawnPage(
            items=tuple(_drawn(curve, points, most) for _, curve, points in found[:limit]),
            next=found[limit - 1][0] if len(found) > limit else None,
        )

    def headline(self, principal: Principal, name: str, number: int, *, limit: int = MAX_DRAWN) -> DrawnPage:
        """Like `points`, of the one tag that stands for the version; none where it has no curves.

        Raises:
            VersionNotFound: No such version of a model that the caller may see.
        """
        principal.require(Scope.READ)
        model = ModelName.parse(name)
        with self.catalog.read() as tx:
            tx.version(model, number, principal.view)
            tag = headline_tag(tx.newest_tags(model, [number]))
            found = tx.drawn_curves(model, number, tag=tag, limit=limit) if tag else []
        return DrawnPage(items=tuple(_drawn(curve, unpack_points(packed), MAX_POINTS) for _, curve, packed in found))

    def rows(
        self, principal: Principal, name: str, number: int, *, tag: str | None = None
    ) -> Iterator[tuple[Curve, Points]]:
        """All curves (of one tag) with their points, one after the other; refused before the first where unseen.

        Raises:
            VersionNotFound: No such version of a model that the caller may see.
        """
        first = self._drawn(principal, name, number, tag=tag, limit=MAX_DRAWN)

        def following() -> Iterator[tuple[Curve, Points]]:
            page = first
            while page:
                yield from ((curve, points) for _, curve, points in page)
                page = self._drawn(principal, name, number, tag=tag, after=page[-1][0], limit=MAX_DRAWN)

        return following()

    def _drawn(
        self, principal: Principal, name: str, number: int, *, tag: str | None = None, after: int = 0, limit: int
    ) -> list[tuple[int, Curve, Points]]:
        principal.require(Scope.READ)
        model = ModelName.parse(name)
        with self.catalog.read() as tx:
            tx.version(model, number, principal.view)
            found = tx.drawn_curves(model, number, tag=tag, after=after, limit=limit)
        return [(position, curve, unpack_points(packed)) for position, curve, packed in found]


def _drawn(curve: Curve, points: Points, most: int) -> DrawnCurve:
    is_thinned = len(points) > most
    points = thinned(points, most)
    return DrawnCurve(
        is_thinned=is_thinned,
        curve=curve,
        steps=tuple(points.steps.tolist()),
        walls=tuple(points.walls.tolist()),
        values=tuple(value if isfinite(value) else None for value in map(float, number_text(points.values))),
    )
