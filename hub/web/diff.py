"""The page that holds two versions side by side, and the way there from the list of versions.

Laws: the page shows what ``GET /api/v1/diff`` would tell the same reader; which versions, and whether what is the same
is shown too, is in its URL.
"""

from urllib.parse import quote, urlencode

from starlette.responses import RedirectResponse, Response

from hub.domain.errors import VersionNotFound
from hub.domain.names import ModelName
from hub.domain.tensors import format_shape
from hub.protocol import paths
from hub.protocol.diffs import MetricRow, TensorRow, VersionDiff
from hub.web.formats import bytes_text, value_text
from hub.web.kin import WORDS
from hub.web.shell import base_url, render
from hub.web.visits import NUMBER, Visit

BAR_WIDTH = 96
_MARKS = {"added": "+", "removed": "−", "changed": "~", "same": "="}
_MARKDOWN_ROWS = 30
_SHOWN_CHARS = 200


def show_diff(visit: Visit) -> Response:
    """Two versions side by side; the second may be of another model."""
    name, params = visit.model_name, visit.request.path_params
    model = visit.house.browse.model(visit.principal, name)
    before, after = (_reference(name, params[side]) for side in ("before", "after"))
    is_whole = visit.request.query_params.get("all") == "1"
    found = visit.house.diffs.diff(visit.principal, before, after, is_whole=is_whole)
    references = {"from": found.before.reference, "to": found.after.reference}
    return render(
        visit.request,
        "diff.html",
        api=f"{paths.DIFF}?" + urlencode(references | ({"all": "true"} if is_whole else {})),
        model=model,
        diff=found,
        is_whole=is_whole,
        markdown=markdown(found, base_url(visit.request) + visit.request.url.path),
        bars=bars(found.tensors.rows),
        marks=_MARKS,
        words=WORDS,
        swapped=_path(found.after.model, found.after.number, found.before.model, found.before.number),
    )


def choose_diff(visit: Visit) -> Response:
    """From the form on the list of versions to the page of the two; back where they are not two numbers."""
    name = visit.model_name
    visit.house.browse.model(visit.principal, name)
    before, after = visit.number("a"), visit.number("b")
    if before is None or after is None:
        return RedirectResponse(f"/{name}/versions", status_code=303)
    return RedirectResponse(_path(name, before, name, after), status_code=303)


def _path(before_model: str, before: int, after_model: str, after: int) -> str:
    other = f"{after_model}@{after}" if after_model != before_model else str(after)
    return f"/{before_model}/diff/{before}..{quote(other, safe='/@')}"


def _reference(name: str, text: str) -> str:
    """A side of the path: a number of this model, or a whole reference.

    Raises:
        VersionNotFound: It is neither.
    """
    if NUMBER.fullmatch(text):
        return f"{ModelName.parse(name)}@{text}"
    if "/" in text:
        return text[: _SHOWN_CHARS * 2]
    raise VersionNotFound(
        f"{text[:40]!r} is not a version number.",
        remedy=f"Choose two versions on /{name}/versions, or write /{name}/diff/1..2.",
    )


def bars(rows: tuple[TensorRow, ...]) -> dict[str, int]:
    """How long each tensor's bar is, in pixels: the one that moved most has a full one."""
    most = max((row.drift or 0.0 for row in rows), default=0.0)
    return {row.name: max(1, round(BAR_WIDTH * row.drift / most)) for row in rows if row.drift and most}


def markdown(found: VersionDiff, url: str) -> str:
    """The diff as Markdown, for a pull request or a chat."""
    lines = [f"**{_plain(found.summary)}**", ""]
    lines += [f"- {change.effect.value} `{change.rule}`: {_plain(change.message)}" for change in found.changes]
    lines += [f"- {row.name}: {_plain(row.before)} → {_plain(row.after)}" for row in found.facts]
    lines += [_markdown_metric(row) for row in found.metrics.rows[:_MARKDOWN_ROWS]]
    tensors = found.tensors
    if tensors.rows:
        lines += ["", f"{tensors.changed:,} tensors changed, {tensors.added:,} added, {tensors.removed:,} removed.", ""]
        lines += ["| tensor | before | after | moved |", "|---|---|---|---|"]
        lines += [_markdown_row(row) for row in tensors.rows[:_MARKDOWN_ROWS]]
    if found.heads is not None and found.heads.breaking:
        lines += ["", f"Heads that would break: {found.heads.breaking} of {found.heads.total}", ""]
        broken = [row for row in found.heads.rows if not row.is_compatible]
        lines += [f"- {row.head.reference}: {_plain('; '.join(row.reasons))}" for row in broken]
    return "\n".join([*lines, "", url])


def _markdown_metric(row: MetricRow) -> str:
    name = row.tag if row.run == "." else f"{row.tag} ({row.run})"
    lasts = [side.last.value if side and side.last else None for side in (row.before, row.after)]
    figures = " → ".join("–" if value is None else value_text(value) for value in lasts)
    return f"- {_plain(name)}: {figures}"


def _markdown_row(row: TensorRow) -> str:
    sides = [
        f"{side.dtype}{format_shape(side.shape)} {bytes_text(side.size)}" if side else "–"
        for side in (row.before, row.after)
    ]
    moved = f"{row.drift:.2%}" if row.drift is not None else _plain(row.note)
    return f"| {_plain(row.name)} | {sides[0]} | {sides[1]} | {moved} |"


def _plain(text: str) -> str:
    """Text that a pusher chose, without what Markdown would take for markup."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else " " if char in "\r\n" else char for char in text)
