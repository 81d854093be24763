"""One look at a version of a model: the one that the URL names, else the newest ready one, else the newest.

Law: a version that a reader has chosen goes along from tab to tab.
"""

from dataclasses import dataclass

from hub.domain.errors import VersionNotFound
from hub.domain.versions import Model, Version
from hub.protocol.schemas import VersionDetail
from hub.web.visits import NUMBER, Visit


@dataclass(frozen=True, slots=True)
class Look:
    """What a page about a version shows.

    Attributes:
        model: The model.
        detail: The version; None for a model without any.
        chosen: The version's number where the URL names it.
        tab: The tab's part of the path; empty for the overview.
    """

    model: Model
    detail: VersionDetail | None
    chosen: int | None
    tab: str

    @property
    def version(self) -> Version | None:
        """The version that is looked at."""
        return self.detail.version if self.detail else None

    @property
    def previous(self) -> int | None:
        """The number before."""
        return self.detail.previous if self.detail else None

    @property
    def next(self) -> int | None:
        """The number after."""
        return self.detail.next if self.detail else None

    def url(self, number: int) -> str:
        """This tab of another version."""
        home = f"/{self.model.name}"
        return f"{home}/{self.tab}?version={number}" if self.tab else f"{home}/versions/{number}"


def look_at(visit: Visit, tab: str, field: str = "version") -> Look:
    """Find what a tab with ``?version=``, or another field with a number, is about.

    Raises:
        ModelNotFound: No such model that the reader may see.
        VersionNotFound: It has no such version.
    """
    name = visit.model_name
    chosen = chosen_number(visit.request.query_params.get(field, ""), name)
    model, detail = visit.house.browse.look(visit.principal, name, chosen)
    return Look(model, detail, chosen, tab)


def chosen_number(text: str, name: str) -> int | None:
    """A version's number from a URL; None where it says nothing.

    Raises:
        VersionNotFound: It says something that is no number.
    """
    if text and not NUMBER.fullmatch(text):
        raise VersionNotFound(
            f"{text[:40]!r} is not a version number.", remedy=f"See /{name}/versions for those there are."
        )
    return int(text) if text else None
