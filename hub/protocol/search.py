"""What is asked of the list of models: how it is narrowed, in which order it comes, and where a page begins.

Laws: the same words mean the same in the API, on the command line and in a page's URL; a cursor is made by the hub and
means a place in one order, so that a list that grows while it is read neither repeats nor skips.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from hub.domain.errors import InvalidRequest
from hub.domain.facets import Facet, typed_shape
from hub.domain.manifest import Kind
from hub.domain.versions import Model

_COUNT = re.compile(r"[0-9]{1,18}")


class Sort(StrEnum):
    """In which order models come."""

    NAME = "name"
    UPDATED = "updated"
    PULLS = "pulls"


@dataclass(frozen=True, slots=True)
class ModelQuery:
    """Which models are asked for; None and nothing mean all.

    Attributes:
        owner: Only this owner's.
        kind: Only this kind.
        search: Only those with this text in name or card, in either case.
        facets: Only those that have every one of these values.
    """

    owner: str | None = None
    kind: Kind | None = None
    search: str | None = None
    facets: tuple[tuple[Facet, str], ...] = ()


EVERYTHING = ModelQuery()


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last model of the page before; ``updated_at`` or ``pulls`` where that is what the list goes by."""

    name: str
    updated_at: datetime | None = None
    pulls: int | None = None

    def __str__(self) -> str:
        if self.pulls is not None:
            return f"{self.pulls} {self.name}"
        return self.name if self.updated_at is None else f"{self.updated_at.isoformat()} {self.name}"

    @classmethod
    def of(cls, model: Model, sort: Sort) -> Self:
        """A model's place."""
        return cls(
            model.name,
            updated_at=model.updated_at if sort is Sort.UPDATED else None,
            pulls=model.pulls if sort is Sort.PULLS else None,
        )

    @classmethod
    def parse(cls, text: str, sort: Sort) -> Self:
        """Read a cursor.

        Raises:
            InvalidRequest: It is none of this order.
        """
        if sort is Sort.NAME:
            return cls(text)
        word, _, name = text.partition(" ")
        if sort is Sort.PULLS and _COUNT.fullmatch(word):
            return cls(name, pulls=int(word))
        with suppress(ValueError):
            at = datetime.fromisoformat(word)
            if sort is Sort.UPDATED and at.tzinfo is not None:
                return cls(name, updated_at=at)
        remedy = "Pass on what the page before gave as next, with the same sort."
        raise InvalidRequest(f"{text[:80]!r} is no place in a list sorted by {sort.value}.", remedy=remedy)


def chosen_facets(
    *,
    task: str | None,
    tags: list[str],
    license: str | None,  # noqa: A002 - what everybody calls it
    dtype: str | None,
    shape: str | None,
) -> tuple[tuple[Facet, str], ...]:
    """Facets as people type them, in the form they are kept in."""
    single = {Facet.TASK: task, Facet.LICENSE: license, Facet.DTYPE: dtype}
    found = [(facet, " ".join(value.lower().split())) for facet, value in single.items() if value]
    found += [(Facet.INPUT, typed_shape(shape))] if shape else []
    return tuple(found + [(Facet.TAG, " ".join(tag.lower().split())) for tag in dict.fromkeys(tags) if tag])
