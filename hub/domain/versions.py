"""Models and versions as people see them.

Laws: numbers grow by one per model and are never reused; a state only moves forward
(``validating → ready | rejected``, ``ready → yanked``); only ready versions are found by name, alias or interface.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from hub.domain.manifest import Kind


class State(StrEnum):
    """Where a version is in its life."""

    VALIDATING = "validating"
    READY = "ready"
    REJECTED = "rejected"
    YANKED = "yanked"


NEXT_STATES: dict[State, frozenset[State]] = {
    State.VALIDATING: frozenset({State.READY, State.REJECTED}),
    State.READY: frozenset({State.YANKED}),
    State.REJECTED: frozenset(),
    State.YANKED: frozenset(),
}


class Version(BaseModel):
    """One immutable state of a model."""

    model_config = ConfigDict(frozen=True)

    model: str
    number: int
    digest: str
    kind: Kind
    state: State
    interface: int | None
    size: int
    created_at: datetime
    created_by: str
    message: str = ""
    aliases: tuple[str, ...] = ()
    yanked_reason: str = ""

    @property
    def reference(self) -> str:
        """``owner/name@number``."""
        return f"{self.model}@{self.number}"


class Model(BaseModel):
    """A named stream of versions.

    ``facets`` are by what lists are narrowed, values by facet; ``heads`` is how many heads stand on it, None where
    nobody counted them; ``pulls`` is how often it was pulled in the last 30 days.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Kind
    is_private: bool
    card: str
    created_at: datetime
    updated_at: datetime
    latest: int | None
    aliases: dict[str, int] = {}
    facets: dict[str, tuple[str, ...]] = {}
    heads: int | None = None
    pulls: int = 0
