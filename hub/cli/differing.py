"""What ``hub diff`` prints for people: the verdict first, then what differs, part by part."""

from collections.abc import Iterable, Iterator

from hub.cli.output import put, say, size_text
from hub.domain.curves import Reading
from hub.domain.tensors import format_shape, short_name
from hub.protocol.diffs import (
    MAX_ROWS,
    Counts,
    HeadRow,
    MetricRow,
    SignatureRow,
    StoredTensor,
    TensorRow,
    Tensors,
    VersionDiff,
)

_MOST_LINES = 20
_MARKS = {"added": "+", "removed": "-", "changed": "~", "same": " "}


def print_diff(found: VersionDiff) -> None:
    """Print all parts that have something to say."""
    put(found.summary)
    _print_part("Changes", (f"{c.effect.value:10}  {c.rule}: {c.message}" for c in found.changes), found.changes_total)
    same = (_signature_text(row) for row in found.signatures if row.effect == "same")
    _print_part("Signatures that stay", same, 0)
    _print_part("Facts", (f"{row.name:12}  {row.before} -> {row.after}" for row in found.facts), 0)
    _print_part("Metrics", map(_metric_text, found.metrics.rows), found.metrics.total)
    _print_part(_tensors_title(found.tensors), map(_tensor_text, found.tensors.rows), found.tensors.total)
    _print_part("Ops", _count_texts(found.ops), found.ops.total)
    _print_part("Files", _count_texts(found.files, in_bytes=True), found.files.total)
    _print_part(
        "Lineage",
        (f"{_MARKS[row.status]} {row.edge.kind.value} {row.edge.model}@{row.edge.number}" for row in found.lineage),
        0,
    )
    if found.heads is not None and (found.heads.total or found.heads.hidden):
        title = f"Heads on {found.before.reference} that would break: {found.heads.breaking} of {found.heads.total}"
        _print_part(title, map(_head_text, found.heads.rows), found.heads.total)
        if found.heads.hidden:
            say(f"{found.heads.hidden} more heads that you may not see.")


def _print_part(title: str, lines: Iterable[str], total: int) -> None:
    """A title with its first lines, where there are any; ``total`` is how many there would be."""
    found = list(lines)
    if not found:
        return
    shown = found[:_MOST_LINES]
    put("")
    put(title)
    for line in shown:
        put(f"  {line}")
    more = max(total, len(found)) - len(shown)
    if more:
        put(f"  and {more:,} more; --json lists up to {MAX_ROWS}")


def _signature_text(row: SignatureRow) -> str:
    arrow = {"input": "->", "output": "<-"}.get(row.side, "")
    return f"{row.signature} {arrow} {row.after or ''}"


def _metric_text(row: MetricRow) -> str:
    name = row.tag if row.run == "." else f"{row.tag} ({row.run})"
    lasts = [_value(side.last if side else None) for side in (row.before, row.after)]
    text = f"{_MARKS[row.status]} {name}  {' -> '.join(lasts)}"
    if row.delta:
        text += f"  {row.delta:+.4g}" + {True: " better", False: " worse", None: ""}[row.improved]
    bests = [_value(side.best if side else None) for side in (row.before, row.after)]
    return text if row.better is None or bests == lasts else f"{text}  best {' -> '.join(bests)}"


def _value(reading: Reading | None) -> str:
    return "none" if reading is None else f"{reading.value:.4g}"


def _tensors_title(tensors: Tensors) -> str:
    counts = (
        f"{tensors.changed:,} changed, {tensors.added:,} added, {tensors.removed:,} removed, {tensors.same:,} the same"
    )
    return f"Tensors: {counts}; {size_text(tensors.new_bytes)} new, {size_text(tensors.shared_bytes)} shared"


def _tensor_text(row: TensorRow) -> str:
    sides = dict.fromkeys(_stored_text(side) for side in (row.before, row.after) if side is not None)
    moved = f"moved {row.drift:.2%}" if row.drift is not None else row.note
    return f"{_MARKS[row.status]} {short_name(row.name)}  {' -> '.join(sides)}  {moved}".rstrip()


def _stored_text(stored: StoredTensor) -> str:
    return f"{stored.dtype}{format_shape(stored.shape)} {size_text(stored.size)}"


def _count_texts(counts: Counts, *, in_bytes: bool = False) -> Iterator[str]:
    for row in counts.rows:
        figures = [_figure(figure, in_bytes=in_bytes) for figure in (row.before, row.after)]
        yield f"{_MARKS[row.status]} {row.name}  {' -> '.join(dict.fromkeys(figures))}"


def _figure(figure: int | None, *, in_bytes: bool) -> str:
    if figure is None:
        return "none"
    return size_text(figure) if in_bytes else f"{figure:,}"


def _head_text(row: HeadRow) -> str:
    verdict = "keeps working" if row.is_compatible else "callers would break" if row.fits else "does not fit"
    reasons = f": {'; '.join(row.reasons)}" if row.reasons else ""
    return f"{row.head.reference} {verdict}{reasons}"
