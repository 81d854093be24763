"""A model's versions, put together from pages that are each summed up on their own."""

from typing import Any

import pytest

from hub.cli.measuring import metric_head, metric_text, whole_list
from hub.domain.curves import Reading
from hub.domain.metrics import Better, Metric
from hub.protocol.curves import HeadlineMetric
from hub.protocol.schemas import VersionPage


class Pages:
    """A hub that has one metric on each page of versions, by rising age."""

    def __init__(self, *metrics: HeadlineMetric | None) -> None:
        self.left = list(metrics)

    def versions_page(self, name: str, *, before: int | None = None) -> VersionPage:
        metric = self.left.pop(0)
        return VersionPage(items=(), next=len(self.left) or None, metric=metric)


def measured(tag: str, run: str = ".", **values: float | None) -> HeadlineMetric:
    found = {
        int(number.removeprefix("at")): Metric(last=None if value is None else Reading(step=1, value=value), best=None)
        for number, value in values.items()
    }
    return HeadlineMetric(tag=tag, run=run, better=Better.HIGHER, values=found)


def joined(*metrics: HeadlineMetric | None) -> HeadlineMetric | None:
    client: Any = Pages(*metrics)
    return whole_list(client, "acme/echo").metric


def test_pages_that_are_summed_up_by_the_same_metric_are_one():
    found = joined(None, measured("accuracy", at7=0.9), None, measured("accuracy", at3=0.8, at2=None))
    assert found is not None
    assert [metric_text(found, number) for number in (7, 3, 2, 1)] == ["0.9", "0.8", "-", "-"]
    assert joined(None, None) is None


@pytest.mark.parametrize("other", [measured("loss", at3=0.1), measured("accuracy", "train", at3=0.1)])
def test_older_versions_that_are_summed_up_otherwise_have_a_dash(other: HeadlineMetric):
    found = joined(measured("accuracy", "validation", at7=0.9), other)
    assert found is not None
    assert metric_text(found, 3) == "-"
    assert metric_head(found) == "accuracy validation"


def test_the_only_run_has_no_name():
    assert metric_head(measured("accuracy")) == "accuracy"
