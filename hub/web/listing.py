"""The list of models: searched, narrowed by facets, sorted and paged; everything that was chosen is in its URL.

Laws: what is chosen can be dropped again, one by one; an unknown value in a URL is like none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.responses import Response

from hub.domain.errors import InvalidName, InvalidRequest, NotFound
from hub.domain.facets import Facet
from hub.domain.manifest import Kind
from hub.domain.names import ModelName
from hub.protocol import paths
from hub.protocol.schemas import FacetCounts
from hub.protocol.search import Cursor, ModelQuery, Sort, chosen_facets
from hub.web.shell import render
from hub.web.visits import Visit

PAGE_ROWS = 50
_MAX_CHARS = 100
_MAX_TAGS = 10
_WORDS = {
    "kind": "Kind",
    "task": "Task",
    "tag": "Tags",
    "input": "Input of a row",
    "dtype": "Takes",
    "owner": "Owner",
    "license": "License",
}
_SORTS = {Sort.UPDATED: "Recently changed", Sort.PULLS: "Most pulled", Sort.NAME: "Name"}
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Value:
    """One value that a list can be narrowed by; ``url`` chooses or drops it."""

    text: str
    url: str
    is_chosen: bool
    models: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page's URL asks for.

    Attributes:
        path: The page without its query: the list, or an owner's.
        chosen: What narrows it, as pairs of a facet and a value; an owner's page does not say its owner here.
        search: What is searched for.
        sort: In which order.
    """

    path: str
    chosen: Pairs
    search: str
    sort: Sort

    def url(self, chosen: Pairs, *, sort: Sort | None = None, search: str | None = None, after: str = "") -> str:
        """The page with something else chosen, from its beginning."""
        sort, search = sort or self.sort, self.search if search is None else search
        pairs = [("q", search), *chosen, ("sort", "" if sort is Sort.UPDATED else sort.value), ("after", after)]
        query = urlencode([(key, value) for key, value in pairs if value])
        return f"{self.path}?{query}" if query else self.path

    def toggled(self, facet: str, value: str) -> str:
        """The page with one value more, or one less; but for tags a facet has one value at a time."""
        pair = (facet, value)
        if pair in self.chosen:
            return self.url(tuple(one for one in self.chosen if one != pair))
        return self.url((*(one for one in self.chosen if one[0] != facet or facet == "tag"), pair))

    def query(self, owner: str | None) -> ModelQuery:
        """The same, for the service."""
        first = dict(reversed(self.chosen))
        kind = first.get("kind")
        facets = tuple((Facet(key), value) for key, value in self.chosen if key not in ("kind", "owner"))
        return ModelQuery(owner or first.get("owner"), Kind(kind) if kind else None, self.search or None, facets)

    def api(self, path: str, owner: str | None) -> str:
        """Where the REST API tells the same."""
        pairs = [("owner", owner or ""), ("search", self.search), *self.chosen, ("sort", self.sort.value)]
        return f"{path}?{urlencode([(key, value) for key, value in pairs if value])}"


def asked_of(path: str, query: QueryParams, *, has_owner: bool) -> Asked:
    """Read a page's URL.

    Args:
        path: Its path.
        query: Its query.
        has_owner: Whether the path names the owner already.
    """
    words = {key: _plain(query.get(key, "")) for key in ("q", "kind", "owner", "task", "license", "dtype", "input")}
    tags = [_plain(tag) for tag in query.getlist("tag")][:_MAX_TAGS]
    given = {key: words[key] or None for key in ("task", "license", "dtype")}
    facets = chosen_facets(tags=tags, shape=words["input"] or None, **given)
    kind = next((kind.value for kind in Kind if kind == words["kind"]), "")
    first = [("kind", kind), ("owner", "" if has_owner else words["owner"])]
    chosen = (*((key, value) for key, value in first if value), *((facet.value, value) for facet, value in facets))
    sort = next((sort for sort in Sort if sort == query.get("sort")), Sort.UPDATED)
    return Asked(path, chosen, words["q"], sort)


def _plain(text: str) -> str:
    return "".join(char for char in text.strip() if char.isprintable())[:_MAX_CHARS]


def show_models(visit: Visit) -> Response:
    """The list of all models."""
    return _list(visit, owner=None)


def show_owner(visit: Visit) -> Response:
    """The models of one owner.

    Raises:
        NotFound: There is nothing of this owner that the reader may see.
    """
    owner = visit.request.path_params["owner"]
    remedy = "Look for the model in the list of models."
    try:
        ModelName.parse(f"{owner}/x")
    except InvalidName as error:
        raise NotFound(f"There is no page /{owner[:120]}.", remedy=remedy) from error
    if not visit.house.browse.models(visit.principal, ModelQuery(owner), limit=1).items:
        raise NotFound(f"There is no page /{owner}, and no owner {owner} whose models could be shown.", remedy=remedy)
    return _list(visit, owner=owner)


def _list(visit: Visit, *, owner: str | None) -> Response:
    browse, request = visit.house.browse, visit.request
    asked = asked_of(f"/{owner}" if owner else "/", request.query_params, has_owner=owner is not None)
    query = asked.query(owner)
    after = _place(request.query_params.get("after", "")[:300], asked.sort)
    page = browse.models(visit.principal, query, sort=asked.sort, after=after, limit=PAGE_ROWS)
    counts = browse.facets(visit.principal, query)
    facts: dict[str, Any] = {"groups": _groups(asked, counts, has_owner=owner is not None), "chips": _chips(asked)}
    facts["sorts"] = [
        Value(word, asked.url(asked.chosen, sort=sort), sort is asked.sort) for sort, word in _SORTS.items()
    ]
    facts["next_url"] = asked.url(asked.chosen, after=page.next) if page.next else ""
    facts["first_url"] = asked.url(asked.chosen) if after else ""
    api = asked.api(paths.MODELS, owner)
    return render(request, "models.html", api=api, page=page, asked=asked, owner=owner, total=counts.total, **facts)


def _place(text: str, sort: Sort) -> str | None:
    try:
        return str(Cursor.parse(text, sort)) if text else None
    except InvalidRequest:
        return None


def _groups(asked: Asked, counts: FacetCounts, *, has_owner: bool) -> list[tuple[str, list[Value]]]:
    """The facets that could narrow the list further, or that do."""
    groups = []
    for facet, word in _WORDS.items():
        values = [
            Value(count.value, asked.toggled(facet, count.value), (facet, count.value) in asked.chosen, count.models)
            for count in counts.facets.get(facet, ())
        ]
        is_of_use = len(values) > 1 or any(value.is_chosen or value.models != counts.total for value in values)
        if is_of_use and not (facet == "owner" and has_owner):
            groups.append((word, values))
    return groups


def _chips(asked: Asked) -> Sequence[Value]:
    """What is chosen, each with the URL that drops it."""
    chips = [Value(f"{_WORDS[key]}: {value}", asked.toggled(key, value), is_chosen=True) for key, value in asked.chosen]
    if asked.search:
        chips.insert(0, Value(f"“{asked.search}”", asked.url(asked.chosen, search=""), is_chosen=True))
    return chips
