"""Metrics: what the last and the best value of a curve say of a version, and which way is better.

Laws: whether a metric is better low or high is read from its name alone, and where the name says nothing, nothing is
called better; which metric stands for a version is one rule for every place that shows it, so that versions with the
same curves are compared by it.
"""

import re
from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from hub.domain.curves import Curve, Reading

_WORD = re.compile(r"[a-z]+[0-9]*")
_LOW = frozenset(
    {"loss", "losses", "error", "errors", "mae", "mape", "mse", "msle", "rmse", "nll", "perplexity", "wer", "cer"}
    | {"crossentropy", "divergence", "fid"}
)
_HIGH = frozenset(
    {"accuracy", "acc", "auc", "precision", "recall", "f1", "iou", "dice", "bleu", "rouge", "r2", "psnr", "ssim"}
    | {"score", "ndcg", "mrr"}
)
_HELD_OUT = frozenset({"validation", "valid", "val", "evaluation", "eval", "test", "dev"})


class Better(StrEnum):
    """Which way a metric is better."""

    LOWER = "lower"
    HIGHER = "higher"


class Metric(BaseModel):
    """A curve's last and best finite value; ``best`` is None where the name does not say what is better."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    last: Reading | None
    best: Reading | None


def better(tag: str) -> Better | None:
    """Which way a tag is better; its last word that says so decides (``loss/accuracy`` is an accuracy)."""
    for word in reversed(_words(tag)):
        if word in _LOW or word in _HIGH:
            return Better.LOWER if word in _LOW else Better.HIGHER
    return None


def metric_of(curve: Curve) -> Metric:
    """The metric that a curve is."""
    way = better(curve.tag)
    best = curve.min if way is Better.LOWER else curve.max if way is Better.HIGHER else None
    return Metric(last=curve.last, best=best)


def headline_tag(tags: Iterable[str]) -> str | None:
    """The tag that stands for a version: best an accuracy or the like, held out, over epochs; None where none is."""
    return min(tags, key=lambda tag: _rank(tag, ""), default=None)


def headline_run(tag: str, runs: Iterable[str]) -> str:
    """Whose curve of that tag it is, of at least one run: best a held-out one."""
    return min(runs, key=lambda run: _rank(tag, run))


def _rank(tag: str, run: str) -> tuple[int, bool, bool, str, str]:
    way = better(tag)
    words = _words(f"{tag} {run}")
    is_held_out = not _HELD_OUT.isdisjoint(words)
    order = (Better.HIGHER, Better.LOWER, None).index(way)
    return order, not is_held_out, "epoch" not in words, tag, run


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
