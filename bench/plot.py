"""The rates of every contender as horizontal bars, one panel for each scenario on each store."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.measure import Result
from bench.report import Measured, best_rate, median_rate

_OURS, _OTHERS, _BEST = "#e4572e", "#7d8ca3", "#2f3b4c"
_BAR_INCHES, _PANEL_INCHES, _WIDTH_INCHES = 0.34, 1.1, 11.0


def draw(measured: Sequence[Measured], target: Path) -> None:
    """Write a PNG: a bar is the median, the mark on it the best run.

    Raises:
        ImportError: There is no matplotlib.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    panels = [each for each in measured if any(result.samples for result in each.results) and each.scenario != "warm"]
    if not panels:
        return
    bars = [sum(bool(result.samples) for result in each.results) for each in panels]
    heights = [count * _BAR_INCHES + _PANEL_INCHES for count in bars]
    figure, axes = plt.subplots(
        len(panels),
        1,
        figsize=(_WIDTH_INCHES, sum(heights)),
        gridspec_kw={"height_ratios": heights},
        squeeze=False,
        facecolor="white",
        layout="constrained",
    )
    for axis, each in zip(axes[:, 0], panels, strict=True):
        _panel(axis, each)
    figure.savefig(target, dpi=130)
    plt.close(figure)


def _panel(axis: Any, measured: Measured) -> None:
    results = sorted((result for result in measured.results if result.samples), key=median_rate)
    medians = [median_rate(result) for result in results]
    axis.barh(range(len(results)), medians, color=[_colour(result) for result in results], height=0.62)
    axis.plot([best_rate(result) for result in results], range(len(results)), "|", color=_BEST, markersize=13)
    axis.set_yticks(range(len(results)), [result.name for result in results])
    widest = max(best_rate(result) for result in results)
    for row, median in enumerate(medians):
        axis.text(widest * 1.02, row, f"{median:,.0f}", va="center", fontsize=9, color=_BEST)
    axis.set_xlim(0, widest * 1.1)
    axis.set_title(
        f"{measured.store}: {measured.scenario} — MB/s, median (bar) and best (mark)", loc="left", fontsize=11
    )
    axis.grid(axis="x", color="#e3e6ea")
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _colour(result: Result) -> str:
    return _OURS if result.name.startswith("hub") else _OTHERS
