"""The serving benchmark's results as Markdown and as a plot.

``python -m bench.serving_report`` writes them anew from ``build/bench/serving.json``; with ``--publish`` they also go
into ``docs/performance.md``, between its two marks, and ``docs/images``.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench.processes import ROOT
from bench.serving_bodies import BINARY, FORMS, HEADS
from bench.serving_plot import draw
from bench.serving_results import Compared, Results, most_per_s

OUT = ROOT / "build" / "bench"
_PAGE = ROOT / "docs" / "performance.md"
_PLOT = ROOT / "docs" / "images" / "serving.svg"
_SHOWN_TROUBLE = 300
_BEGIN, _END = "<!-- bench.serving begins -->", "<!-- bench.serving ends -->"


def write(results: Results, out: Path) -> str:
    """Write all forms, and say where."""
    out.mkdir(parents=True, exist_ok=True)
    results.write(out / "serving.json")
    (out / "serving.md").write_text("\n".join(page(results)) + "\n")
    draw(results, out / "serving.svg")
    return "\n".join(
        ["", *_best(results), "", *_did_not_run(results), f"In {out}: serving.json, serving.md, serving.svg"]
    )


def publish(results: Results) -> None:
    """Put them into the project's pages."""
    text = _PAGE.read_text()
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise SystemExit(f"{_PAGE} lacks the marks {_BEGIN} and {_END}")
    picture = ["![A hub next to other servers](images/serving.svg)", ""] if draw(results, _PLOT) else []
    shown = "\n".join([*_told(results), "", *picture, *_tables(results, "####")])
    _PAGE.write_text(f"{before}{begin}\n{shown}\n{end}{after}")


def page(results: Results) -> Iterator[str]:
    """Everything, as Markdown."""
    yield "# Serving"
    yield ""
    yield from _told(results)
    yield ""
    yield from _tables(results, "##")
    yield ""
    yield "## Every comparison"
    yield ""
    yield from _compared(results.compared)


def _told(results: Results) -> Iterator[str]:
    machine = results.machine
    yield (
        f"{machine['processor']}, {machine['cores']} cores; at commit `{machine['commit']}`; medians of "
        f"{machine['rounds']} rounds of {machine['seconds']} s."
    )


def _tables(results: Results, level: str) -> Iterator[str]:
    if results.compared:
        yield f"{level} Next to the best other server"
        yield ""
        yield from _best(results)
        yield ""
    if results.limits:
        yield f"{level} Next to one process without a server"
        yield ""
        yield from _limits(results)
        yield ""
    if results.heads:
        yield f"{level} {HEADS} heads on one trunk next to {HEADS} full models"
        yield ""
        yield from _heads(results)
        yield ""
    yield from _did_not_run(results)


def _best(results: Results) -> Iterator[str]:
    order = {form: number for number, form in enumerate(FORMS)}
    yield from _compared(sorted(results.best_peers(), key=lambda each: order[each.form]))


def _compared(compared: Iterable[Compared]) -> Iterator[str]:
    rows = [
        (
            each.form,
            each.model,
            str(each.concurrency),
            f"{each.peer} ({each.kind})",
            f"**{each.ratio:.2f}** [{each.least:.2f}–{each.most:.2f}]",
            f"{each.ours.rate:,.0f} / {each.theirs.rate:,.0f}",
            f"{each.ours.p50_ms:.1f} / {each.theirs.p50_ms:.1f}",
            f"{each.ours.p99_ms:.1f} / {each.theirs.p99_ms:.1f}",
            f"{each.ours.cpu_ms:.2f} / {each.theirs.cpu_ms:.2f}",
            f"{each.ours.memory_mb:,.0f} / {each.theirs.memory_mb:,.0f}",
            f"{each.ours.failed} / {each.theirs.failed}",
        )
        for each in compared
    ]
    heads = (
        "form",
        "model",
        "connections",
        "other",
        "hub ÷ other",
        "answers/s",
        "p50 ms",
        "p99 ms",
        "CPU ms",
        "MB",
        "failed",
    )
    yield from _table(heads, rows)


def _limits(results: Results) -> Iterator[str]:
    rows = []
    for limit in results.limits:
        hub = {each.concurrency: each.ours for each in results.alone if (each.model, each.kind) == (limit.model, "bin")}
        if not hub:
            continue
        least, most = hub[min(hub)], max(each.rate for each in hub.values())
        found = (limit.frozen, limit.best)
        rows.append(
            (
                limit.model,
                f"{limit.plain['one_row_ms']:.2f}",
                *[f"{each['one_row_ms']:.2f}" if each else "–" for each in found],
                f"{least.p50_ms:.2f} at {min(hub)}",
                *[f"{least.p50_ms - each['one_row_ms']:+.2f}" if each else "–" for each in found],
                *[f"{most_per_s(each):,.0f}" if each else "–" for each in found],
                f"{most:,.0f}",
                *[f"{most / most_per_s(each):.2f}" if each else "–" for each in found],
                f"{least.memory_mb:,.0f}",
                limit.way,
            )
        )
    heads = (
        "model",
        "one row, plain, ms",
        "frozen",
        "the hub's way",
        f"hub p50, {BINARY}",
        "− frozen",
        "− its way",
        "rows/s, frozen",
        "its way",
        "hub",
        "÷ frozen",
        "÷ its way",
        "MB",
        "its way is",
    )
    yield from _table(heads, rows)


def _heads(results: Results) -> Iterator[str]:
    rows = [
        (
            each.way,
            str(each.concurrency),
            f"{each.answers_per_s:,.0f}",
            f"{each.ratio:.2f}",
            f"{each.asked.p50_ms:.1f}",
            f"{each.asked.p99_ms:.1f}",
            f"{each.memory_mb:,.0f}",
            f"{each.memory_mb / each.one_mb:.2f}",
            str(each.asked.failed),
        )
        for each in results.heads
    ]
    heads = ("", "connections", "answers/s", "÷ full models", "p50 ms", "p99 ms", "MB more", "÷ one model", "failed")
    yield from _table(heads, rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (heads, ["---"] * len(heads), *rows):
        yield f"| {' | '.join(row)} |"


def _did_not_run(results: Results) -> Iterator[str]:
    if results.troubles:
        yield "Did not run:"
        yield ""
        for trouble in results.troubles:
            yield f"* {trouble.strip().splitlines()[0][:_SHOWN_TROUBLE]}"  # a log may follow, which the JSON has
        yield ""


def main() -> None:
    """Write anew, and publish where that is asked for."""
    parser = argparse.ArgumentParser(prog="bench.serving_report", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--publish", action="store_true", help="into docs/performance.md and docs/images/serving.svg")
    given = parser.parse_args()
    results = Results.read(given.out / "serving.json")
    print(write(results, given.out))
    if given.publish:
        publish(results)


if __name__ == "__main__":
    main()
