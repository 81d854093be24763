"""Impact: what becomes of names and of other versions when a version is withdrawn. Pure.

Law: a name that leads to the version now leads afterwards to the newest other ready version that it may mean, or
nowhere; an alias is never moved by a withdrawal, so it leads nowhere; what is pinned to the version stays so and works.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from hub.domain.names import LATEST
from hub.domain.versions import State, Version


class Move(BaseModel):
    """A name that leads elsewhere afterwards; ``after`` None where it leads nowhere."""

    model_config = ConfigDict(frozen=True)

    reference: str
    before: int
    after: int | None


class Impact(BaseModel):
    """What a withdrawal does.

    Attributes:
        version: What is withdrawn.
        moves: Names that lead to it now.
        heads: Ready heads that are pinned to it; they go on answering.
        derived: Ready versions that were made from it otherwise.
        hidden: Further ones of either sort, which may not be shown.
        is_cut: Whether there are more heads and derived versions than are listed.
    """

    model_config = ConfigDict(frozen=True)

    version: Version
    moves: tuple[Move, ...]
    heads: tuple[Version, ...] = ()
    derived: tuple[Version, ...] = ()
    hidden: int = 0
    is_cut: bool = False


def moves_of_yank(version: Version, ready: Sequence[tuple[int, int | None]]) -> tuple[Move, ...]:
    """Where names lead once a version is withdrawn.

    Args:
        version: It.
        ready: Number and interface of every ready version of its model, newest first.
    """
    if version.state is not State.READY:
        return ()
    moves: list[Move] = []
    numbers = [number for number, _ in ready]
    if numbers and numbers[0] == version.number:
        after = _next(numbers)
        moves += [Move(reference=name, before=version.number, after=after) for name in _plain_names(version)]
    alike = [number for number, interface in ready if interface == version.interface]
    if version.interface is not None and alike and alike[0] == version.number:
        name = f"{version.model}~{version.interface}"
        moves.append(Move(reference=name, before=version.number, after=_next(alike)))
    moves += [
        Move(reference=f"{version.model}:{alias}", before=version.number, after=None) for alias in version.aliases
    ]
    return tuple(moves)


def _plain_names(version: Version) -> tuple[str, str]:
    return version.model, f"{version.model}:{LATEST}"


def _next(newest_first: Sequence[int]) -> int | None:
    return newest_first[1] if len(newest_first) > 1 else None
