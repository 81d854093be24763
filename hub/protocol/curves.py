"""Bodies that have to do with curves.

Law: a body is checked here once; unknown fields are refused in what the hub reads, and ignored by its client.
"""

from typing import Annotated, Self

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, model_validator

from hub.domain.curves import MAX_CURVES, MAX_DAMAGES, MAX_POINTS, Curve, Damage, SummariesFacts
from hub.domain.metrics import Better, Metric

MAX_PACKED_BYTES = 64 * MAX_POINTS
"""Of one curve's points; hardly a third of it is ever needed."""


class PutCurve(BaseModel):
    """One curve: what is known of it, and its points as `hub.protocol.codecs.points` packs them, in base64."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    curve: Curve
    points: Annotated[Base64Bytes, Field(max_length=MAX_PACKED_BYTES)]


class PutCurves(BaseModel):
    """All curves of a version; they take the place of those it had."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: Annotated[tuple[PutCurve, ...], Field(min_length=1, max_length=MAX_CURVES)]
    damages: Annotated[tuple[Damage, ...], Field(max_length=MAX_DAMAGES)] = ()

    @model_validator(mode="after")
    def _no_curve_twice(self) -> Self:
        if len({(item.curve.run, item.curve.tag) for item in self.items}) < len(self.items):
            raise ValueError("a tag of a run is there twice")
        return self


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class CurvePage(_Answer):
    """Curves by tag and run, without their points; pass ``next`` as ``after`` for more.

    ``summaries`` is None where the version was pushed without any.
    """

    summaries: SummariesFacts | None
    items: tuple[Curve, ...] = ()
    next: int | None = None


class HeadlineMetric(_Answer):
    """One metric by which versions are compared, and what it is for each that has it, by number."""

    tag: str
    run: str
    better: Better | None
    values: dict[int, Metric]


class DrawnCurve(_Answer):
    """A curve with its points, by rising step; ``walls`` are seconds since 1970, a value None is no finite number.

    ``is_thinned`` says that the hub has more points of it than were asked for.
    """

    curve: Curve
    is_thinned: bool = False
    steps: tuple[int, ...]
    walls: tuple[float, ...]
    values: tuple[float | None, ...]


class DrawnPage(_Answer):
    """Curves of one tag with their points, by run; pass ``next`` as ``after`` for more."""

    items: tuple[DrawnCurve, ...]
    next: int | None = None
