"""The family of a version as it travels: the versions around it, and how they are tied.

Laws: what may not be seen is neither a relative nor the end of a tie, but counted at the relative it is tied to; ties
go from what came later to what it came from, so they make no circle.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hub.domain.versions import Version

MAX_DEPTH = 4
MAX_RELATIVES = 400
TieKind = Literal["head_of", "finetuned_from", "converted_from", "follows"]
Depth = Annotated[int, Field(ge=1, le=MAX_DEPTH)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


def _plural(word: str, count: int) -> str:
    noun, of, rest = word.partition(" made from")
    return f"{noun}{'' if count == 1 else 's'}{of}{rest}"


class Hidden(_Answer):
    """How many private models stand next to a relative: those it came from, and those that came from it."""

    trunks_before: int = 0
    trunks_after: int = 0
    heads_after: int = 0

    def counted(self) -> list[tuple[int, str]]:
        """How many of what, for those that there are."""
        words = {
            "private trunk": self.trunks_before,
            "private head": self.heads_after,
            "private trunk made from it": self.trunks_after,
        }
        return [(count, _plural(word, count)) for word, count in words.items() if count]


class Relative(_Answer):
    """A version of the family; ``version`` None where it is not (or no longer) in this hub."""

    reference: str
    version: Version | None
    hidden: Hidden = Hidden()


class Tie(_Answer):
    """``child`` is ``kind`` of ``parent``, both by reference.

    ``follows`` is between versions of one model, ``signature`` (of ``head_of`` only) what feeds the head.
    """

    child: str
    parent: str
    kind: TieKind
    signature: str | None = None


class Family(_Answer):
    """The versions at most ``depth`` ties from one, nearest first.

    ``is_cut`` where there are more than :data:`MAX_RELATIVES`, and the others are left out.
    """

    centre: str
    depth: int
    relatives: tuple[Relative, ...]
    ties: tuple[Tie, ...]
    is_cut: bool = False
