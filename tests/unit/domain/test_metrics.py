"""Which way a metric is better is read from its name, and which one stands for a version is one rule."""

import pytest

from hub.domain.curves import Curve, Reading
from hub.domain.metrics import Better, better, headline_run, headline_tag, metric_of
from hub.services.measured import metric_rows


def curve(tag: str, last: float, low: float, high: float, run: str = "train") -> Curve:
    readings = {
        "last": Reading(step=9, value=last),
        "min": Reading(step=3, value=low),
        "max": Reading(step=5, value=high),
    }
    return Curve(run=run, tag=tag, count=10, not_finite=0, **readings)


@pytest.mark.parametrize(
    ("tag", "way"),
    [
        ("loss", Better.LOWER),
        ("epoch_loss", Better.LOWER),
        ("val/mean_squared_error", Better.LOWER),
        ("evaluation_loss_vs_iterations", Better.LOWER),
        ("kl_divergence", Better.LOWER),
        ("sparse_categorical_accuracy", Better.HIGHER),
        ("top5_acc", Better.HIGHER),
        ("F1", Better.HIGHER),
        ("AUC", Better.HIGHER),
        ("loss/accuracy", Better.HIGHER),
        ("learning_rate", None),
        ("steps per second", None),
        ("glossy", None),
        ("日本", None),
    ],
)
def test_a_name_says_which_way_is_better_or_nothing(tag: str, way: Better | None):
    assert better(tag) is way


def test_the_best_value_is_on_the_side_that_the_name_says():
    assert metric_of(curve("loss", 0.3, 0.1, 2.0)).best == Reading(step=3, value=0.1)
    assert metric_of(curve("accuracy", 0.3, 0.1, 0.9)).best == Reading(step=5, value=0.9)
    assert metric_of(curve("learning_rate", 0.3, 0.1, 0.9)).best is None


def test_what_was_measured_on_held_out_data_stands_for_a_version():
    assert headline_tag(["epoch_loss", "epoch_accuracy", "epoch_lr"]) == "epoch_accuracy"
    assert headline_run("epoch_accuracy", ["train", "validation"]) == "validation"
    assert headline_tag(["accuracy", "val_accuracy", "loss"]) == "val_accuracy"
    assert headline_tag(["val_loss", "accuracy"]) == "accuracy"
    assert headline_tag(["lr", "loss"]) == "loss"
    assert headline_tag(["lr"]) == "lr"
    assert headline_tag([]) is None


def test_rows_say_what_changed_and_whether_for_the_better():
    before = [curve("loss", 0.31, 0.3, 2), curve("accuracy", 0.884, 0.1, 0.89), curve("lr", 1e-3, 1e-4, 1e-3)]
    after = [curve("loss", 0.27, 0.2, 2), curve("accuracy", 0.88, 0.1, 0.91), curve("lr", 3e-4, 1e-4, 1e-3)]
    same = curve("auc", 0.5, 0.4, 0.6)
    found = metric_rows([*before, same, curve("old", 1, 1, 1)], [*after, same], is_whole=False)
    told = {row.tag: (row.status, row.improved, row.delta and round(row.delta, 6)) for row in found.rows}
    assert told == {
        "accuracy": ("changed", False, -0.004),
        "loss": ("changed", True, -0.04),
        "lr": ("changed", None, -0.0007),
        "old": ("removed", None, None),
    }
    assert metric_rows([same], [same], is_whole=False).total == 0
    assert metric_rows([same], [same], is_whole=True).rows[0].status == "same"


def test_curves_of_other_runs_are_other_metrics():
    rows = metric_rows([curve("loss", 1, 1, 1)], [curve("loss", 1, 1, 1, run="eval")], is_whole=False).rows
    assert [(row.run, row.status) for row in rows] == [("eval", "added"), ("train", "removed")]
