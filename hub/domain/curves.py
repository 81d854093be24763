"""Curves: what a training job wrote down of itself with ``tf.summary``, one curve for each tag of each run.

Laws: the facts of a curve (count, last, minimum, maximum) are exact, over everything that was written, while its points
are only as many as a chart can show; a value that is no finite number (NaN, infinite) is counted and None as a fact.
Curves are not part of a version's content: they may be put, and replaced, later.
"""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from hub.domain.names import PlainText

MAX_CURVES = 2_000
"""Curves of one version."""

MAX_POINTS = 1_000
"""Points of one curve."""

LEAST_POINTS = 5
"""Of a curve that is drawn with fewer points than it has: its ends, minimum and maximum, and one that is no number."""

MAX_POINTS_IN_ALL = 400_000
"""Points of all curves of one version."""

MAX_TAG_CHARS = 300
MAX_DAMAGES = 50
_MAX_STEP = (1 << 63) - 1

Step = Annotated[int, Field(ge=-_MAX_STEP - 1, le=_MAX_STEP)]
Label = Annotated[PlainText, Field(min_length=1, max_length=MAX_TAG_CHARS)]


class _Noun(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Reading(_Noun):
    """One value at its step."""

    step: Step
    value: float


class Curve(_Noun):
    """What is known of a curve besides its points.

    Attributes:
        run: The folder of the event files, relative to the one that was pushed; ``.`` is that one itself.
        tag: The name that the job gave it, such as ``loss`` or ``epoch/accuracy``.
        count: How many points were written.
        not_finite: How many of them are no finite number.
        last: The one with the highest step, written last; None where that is no finite number.
        min: The smallest finite one, the first of equals; None where there is none.
        max: The greatest, likewise.
    """

    run: Label
    tag: Label
    count: Annotated[int, Field(ge=1)]
    not_finite: Annotated[int, Field(ge=0)]
    last: Reading | None = None
    min: Reading | None = None
    max: Reading | None = None


class Damage(_Noun):
    """Something of an event file that could not be read: the file, the byte where it begins, and what is wrong."""

    file: Annotated[PlainText, Field(max_length=500)]
    byte: Annotated[int, Field(ge=0)]
    reason: Annotated[PlainText, Field(max_length=300)]


class SummariesFacts(_Noun):
    """When a version's curves were put, by whom, how many they are, and what could not be read of their files."""

    put_at: datetime
    put_by: str
    curves: int
    runs: tuple[str, ...]
    damages: tuple[Damage, ...]
