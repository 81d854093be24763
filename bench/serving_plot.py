"""A hub's rate over those of others, as a plot.

A panel for each model and form, a row for each server and kind of body, a dot for each number of connections, on a line
from the least to the most of its rounds.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.serving_bodies import FORMS
from bench.serving_results import Compared, Results

_DOTS = ("#f3b49f", "#e4572e", "#8f2d13", "#4a1508")
_INK, _GRID, _EVEN = "#2f3b4c", "#e3e6ea", "#7d8ca3"
_ROW_INCHES, _PANEL_INCHES, _WIDTH_INCHES = 0.26, 0.75, 12.0
_APART = 0.2


def draw(results: Results, target: Path) -> bool:
    """Write a picture; False where there is nothing to draw, or no matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    compared = results.compared
    models = list(dict.fromkeys(each.model for each in compared))
    forms = [form for form in FORMS if any(each.form == form for each in compared)]
    if not models:
        return False
    rows = {form: list(dict.fromkeys(_row(each) for each in compared if each.form == form)) for form in forms}
    height = max(map(len, rows.values())) * _ROW_INCHES + _PANEL_INCHES
    size = (_WIDTH_INCHES, height * len(models) + _PANEL_INCHES)
    with plt.rc_context({"svg.hashsalt": "bench", "font.size": 9, "text.color": _INK, "axes.labelcolor": _INK}):
        figure, axes = plt.subplots(
            len(models), len(forms), figsize=size, squeeze=False, sharex=True, facecolor="white", layout="constrained"
        )
        numbers = sorted({each.concurrency for each in compared})
        for line, model in zip(axes, models, strict=True):
            for axis, form in zip(line, forms, strict=True):
                _panel(
                    axis, [each for each in compared if (each.model, each.form) == (model, form)], rows[form], numbers
                )
                axis.set_title(f"{model}, {form}", loc="left", fontsize=10, color=_INK)
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), frameon=False)
        figure.suptitle("Answers a second: hub ÷ other server, log scale", x=0.01, ha="left", fontsize=11)
        figure.savefig(target, metadata={"Date": None} if target.suffix == ".svg" else None)
        plt.close(figure)
    return True


def _panel(axis: Any, found: Sequence[Compared], rows: Sequence[str], numbers: Sequence[int]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    for place, number in enumerate(numbers):
        dots = [each for each in found if each.concurrency == number]
        heights = [rows.index(_row(each)) + (place - (len(numbers) - 1) / 2) * _APART for each in dots]
        colour = _DOTS[place % len(_DOTS)]
        axis.hlines(heights, [each.least for each in dots], [each.most for each in dots], color=colour, linewidth=1)
        axis.plot([each.ratio for each in dots], heights, "o", color=colour, markersize=4.5, label=f"{number} at once")
    axis.axvline(1, color=_EVEN, linewidth=1)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.tick_params(labelbottom=True, colors=_INK, length=0)
    axis.set_yticks(range(len(rows)), rows)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.grid(axis="x", color=_GRID)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _row(compared: Compared) -> str:
    return f"{compared.peer} {compared.kind}"
