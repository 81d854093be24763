"""The page of a model's training: its curves, of one version or of several beside each other.

Laws: the page is drawn from facts alone, charts ask for their points when they come into view; all of its state is in
its URL; of more than :data:`MAX_TAGS` tags nothing is drawn until some are chosen; without scripts its tables say
everything that is known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import orjson
from starlette.responses import Response, StreamingResponse

from hub.domain.curves import LEAST_POINTS, MAX_CURVES, MAX_POINTS, MAX_TAG_CHARS, Curve, SummariesFacts
from hub.domain.errors import InvalidRequest
from hub.domain.versions import Model
from hub.protocol import paths
from hub.protocol.codecs.drawn import csv_lines, packed_for
from hub.protocol.schemas import VersionDetail
from hub.web.looks import Look, chosen_number
from hub.web.shell import render
from hub.web.snippets import push_command
from hub.web.visits import NUMBER, Visit

MAX_TAGS = 200
MAX_VERSIONS = 6
MAX_CHOICES = 12
_OPEN_CHARTS = 12
_AXES = ("step", "relative", "wall")


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a version: ``key`` is ``7/train``, ``index`` chooses colour and dashes."""

    key: str
    label: str
    index: int
    is_shown: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """One tag: its runs with what is known of their curves, and where the points are had."""

    tag: str
    rows: tuple[tuple[Run, Curve], ...]
    sources: str

    @property
    def runs(self) -> str:
        """The runs as the chart's script reads them."""
        return orjson.dumps([[run.key, run.label, run.index] for run, _ in self.rows]).decode()


@dataclass(frozen=True, slots=True)
class Group:
    """Charts whose tags begin alike."""

    prefix: str
    charts: tuple[Chart, ...]
    is_open: bool


@dataclass(frozen=True, slots=True)
class View:
    """What the reader asked to see; whatever is not well-formed is as if it had not been asked."""

    numbers: tuple[int, ...]
    words: str
    runs: frozenset[str]
    smooth: float
    axis: str
    is_log: bool

    @classmethod
    def of(cls, visit: Visit, offered: Sequence[int], latest: int | None) -> "View":
        """Read it from the URL; by default the newest ready version, or the newest that has curves.

        Raises:
            VersionNotFound: The version that was chosen on another tab is no number.
        """
        query = visit.request.query_params
        chosen = chosen_number(query.get("version", ""), visit.model_name)
        asked = [int(text) for text in query.get("versions", "").split(",")[:50] if NUMBER.fullmatch(text.strip())]
        default = [latest] if latest in offered or not offered else list(offered[:1])
        default = [chosen] if chosen is not None else default
        numbers = list(dict.fromkeys(asked)) or [number for number in default if number is not None]
        axis = query.get("x", "")
        return cls(
            numbers=tuple(numbers[:MAX_VERSIONS]),
            words="".join(char for char in query.get("tags", "") if char.isprintable())[:MAX_TAG_CHARS].strip(),
            runs=frozenset(query.getlist("runs")),
            smooth=_share(query.get("smooth", "")),
            axis=axis if axis in _AXES else _AXES[0],
            is_log=query.get("log") == "1",
        )

    def wants(self, tag: str) -> bool:
        """Whether a tag has one of the words, which are parted by ``|``; all have, where there are none."""
        words = [word.strip().lower() for word in self.words.split("|") if word.strip()]
        return not words or any(word in tag.lower() for word in words)

    def url(self, *, numbers: Iterable[int] | None = None, words: str | None = None) -> str:
        """The query of the same view with other versions or words."""
        chosen = ",".join(map(str, self.numbers if numbers is None else numbers))
        asked = {"versions": chosen, "tags": self.words if words is None else words}
        asked |= {"x": self.axis if self.axis != _AXES[0] else "", "log": "1" if self.is_log else ""}
        asked |= {"smooth": f"{self.smooth:g}" if self.smooth else ""}
        return "?" + urlencode({key: value for key, value in asked.items() if value})


def training(visit: Visit) -> Response:
    """The page."""
    house, name = visit.house, visit.model_name
    model = house.browse.model(visit.principal, name)
    offered = house.curves.versions(visit.principal, name)
    view = View.of(visit, offered, model.latest)
    known: dict[int, SummariesFacts] = {}
    curves: list[tuple[int, Curve]] = []
    for number in view.numbers:
        page = house.curves.page(visit.principal, name, number, limit=MAX_CURVES)
        if page.summaries is not None:
            known[number] = page.summaries
        curves += [(number, curve) for curve in page.items]
    tags = {curve.tag for _, curve in curves}
    wanted = [(number, curve) for number, curve in curves if view.wants(curve.tag)]
    is_too_much = len({curve.tag for _, curve in wanted}) > MAX_TAGS
    runs = _runs(view, curves)
    look = _look(visit, model, view)
    return render(
        visit.request,
        "training.html",
        api=paths.curves(name, view.numbers[0]) if view.numbers else paths.model(name),
        look=look,
        view=view,
        known=known,
        tag_count=len(tags),
        runs=tuple(runs.values()),
        groups=() if is_too_much else _groups(model, wanted, runs),
        prefixes=_prefixes(curve.tag for _, curve in wanted) if is_too_much else (),
        others=[number for number in offered if number not in view.numbers][:MAX_CHOICES],
        push_command=f"{push_command(model, _newest(visit, model, look))} --summaries ./logs",
    )


def _look(visit: Visit, model: Model, view: View) -> Look:
    """The one version that the page is about; of several, the page is about the model."""
    if len(view.numbers) != 1:
        return Look(model, None, None, "training")
    query, number = visit.request.query_params, view.numbers[0]
    is_chosen = "version" in query or "versions" in query
    detail = visit.house.browse.version(visit.principal, model.name, number)
    return Look(model, detail, number if is_chosen else None, "training")


def _newest(visit: Visit, model: Model, look: Look) -> VersionDetail | None:
    if look.detail is not None and look.detail.version.number == model.latest:
        return look.detail
    return visit.house.browse.version(visit.principal, model.name, model.latest) if model.latest else None


def points(visit: Visit) -> Response:
    """What a chart is drawn from; the REST API's answer, for whoever signed in with a browser."""
    query = visit.request.query_params
    tag, number = query.get("tag", ""), visit.number("version")
    if number is None or not tag or len(tag) > MAX_TAG_CHARS or "\0" in tag:
        raise InvalidRequest("The points of a curve are asked for with ?version=1&tag=loss.")
    after, asked = visit.number("after") or 0, visit.number("most")
    most = MAX_POINTS if asked is None else min(max(asked, LEAST_POINTS), MAX_POINTS)
    page = visit.house.curves.points(visit.principal, visit.model_name, number, tag, after=after, most=most)
    body, headers = packed_for(page.model_dump_json().encode(), visit.request.headers.get("accept-encoding", ""))
    return Response(body, media_type="application/json", headers=headers)


def curves_csv(visit: Visit) -> Response:
    """All points of all curves of a version; the REST API's answer, for whoever signed in with a browser."""
    name, number = visit.model_name, visit.number("version")
    if number is None:
        raise InvalidRequest("The curves of a version are asked for with ?version=1.")
    rows = visit.house.curves.rows(visit.principal, name, number)
    headers = {"Content-Disposition": f'attachment; filename="{name.replace("/", "-")}-{number}-curves.csv"'}
    return StreamingResponse(csv_lines(rows), media_type="text/csv; charset=utf-8", headers=headers)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        return 0.0
    return share if 0 <= share < 1 else 0.0


def _runs(view: View, curves: Iterable[tuple[int, Curve]]) -> dict[str, Run]:
    pairs = sorted({(number, curve.run) for number, curve in curves}, key=lambda pair: (-pair[0], pair[1]))
    keys = {_key(number, run): f"@{number}" if run == "." else f"@{number}/{run}" for number, run in pairs}
    chosen = view.runs & keys.keys()
    return {key: Run(key, label, index, not chosen or key in chosen) for index, (key, label) in enumerate(keys.items())}


def _key(number: int, run: str) -> str:
    return f"{number}/{run}"


def _groups(model: Model, wanted: Sequence[tuple[int, Curve]], runs: dict[str, Run]) -> tuple[Group, ...]:
    by_prefix: dict[str, dict[str, list[tuple[int, Curve]]]] = {}
    for number, curve in sorted(wanted, key=lambda pair: pair[1].tag):
        by_prefix.setdefault(_prefix(curve.tag), {}).setdefault(curve.tag, []).append((number, curve))
    groups, before = [], 0
    for prefix, tags in sorted(by_prefix.items()):
        charts = tuple(_chart(model, tag, found, runs) for tag, found in tags.items())
        groups.append(Group(prefix, charts, is_open=before < _OPEN_CHARTS))
        before += len(charts)
    return tuple(groups)


def _chart(model: Model, tag: str, found: Sequence[tuple[int, Curve]], runs: dict[str, Run]) -> Chart:
    rows = sorted(((runs[_key(number, curve.run)], curve) for number, curve in found), key=lambda row: row[0].index)
    numbers = dict.fromkeys(number for number, _ in found)
    sources = {
        number: f"/{model.name}/training/points?{urlencode({'version': number, 'tag': tag})}" for number in numbers
    }
    return Chart(tag, tuple(rows), orjson.dumps(list(sources.items())).decode())


def _prefix(tag: str) -> str:
    return tag.rpartition("/")[0].partition("/")[0]


def _prefixes(tags: Iterable[str]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for tag in set(tags):
        counts[_prefix(tag)] = counts.get(_prefix(tag), 0) + 1
    return sorted(counts.items())
