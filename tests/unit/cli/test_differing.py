"""A metric is one line: what it was and is, by how much, and whether that is better."""

import pytest

from hub.cli.differing import _metric_text
from hub.domain.curves import Curve, Reading
from hub.services.measured import metric_rows


def curve(tag: str, last: float | None, best: float, run: str = "train") -> Curve:
    reading = None if last is None else Reading(step=9, value=last)
    extreme = Reading(step=3, value=best)
    return Curve(run=run, tag=tag, count=9, not_finite=0, last=reading, min=extreme, max=extreme)


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (curve("loss", 2, 1.5), curve("loss", 1, 0.5), "~ loss (train)  2 -> 1  -1 better  best 1.5 -> 0.5"),
        (curve("acc", 0.9, 0.9, "."), curve("acc", 0.8, 0.8, "."), "~ acc  0.9 -> 0.8  -0.1 worse"),
        (curve("lr", 0.1, 0.1), curve("lr", 0.01, 0.01), "~ lr (train)  0.1 -> 0.01  -0.09"),
        (None, curve("loss", 0.5, 0.5), "+ loss (train)  none -> 0.5"),
        (curve("loss", 0.5, 0.4), None, "- loss (train)  0.5 -> none  best 0.4 -> none"),
        (curve("loss", 0.5, 0.4), curve("loss", None, 0.4), "~ loss (train)  0.5 -> none  best 0.4 -> 0.4"),
    ],
)  # fmt: skip
def test_a_metric_is_a_line(before: Curve | None, after: Curve | None, text: str):
    [row] = metric_rows([before] if before else [], [after] if after else [], is_whole=False).rows
    assert _metric_text(row) == text
