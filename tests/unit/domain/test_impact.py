"""What a withdrawal does to names."""

from datetime import UTC, datetime

from hub.domain.impact import moves_of_yank
from hub.domain.manifest import Kind
from hub.domain.versions import State, Version


def version(number: int, *, state: State = State.READY, interface: int | None = 1, aliases: tuple[str, ...] = ()):
    return Version(
        model="acme/trunk",
        number=number,
        digest="sha256:" + "0" * 64,
        kind=Kind.TRUNK,
        state=state,
        interface=interface,
        size=1,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        created_by="ada",
        aliases=aliases,
    )


def moves(of: Version, *ready: tuple[int, int | None]) -> dict[str, int | None]:
    return {move.reference: move.after for move in moves_of_yank(of, ready)}


def test_the_newest_hands_its_names_to_the_one_before() -> None:
    assert moves(version(3), (3, 1), (2, 1)) == {"acme/trunk": 2, "acme/trunk:latest": 2, "acme/trunk~1": 2}


def test_an_interface_that_only_it_has_leads_nowhere() -> None:
    found = moves(version(3, interface=2), (3, 2), (2, 1))
    assert found == {"acme/trunk": 2, "acme/trunk:latest": 2, "acme/trunk~2": None}


def test_an_old_one_keeps_only_what_names_it() -> None:
    assert moves(version(2, aliases=("stable",)), (3, 1), (2, 1)) == {"acme/trunk:stable": None}
    assert moves(version(2), (3, 2), (2, 1), (1, 1)) == {"acme/trunk~1": 1}


def test_the_only_one_leaves_nothing() -> None:
    assert set(moves(version(1, aliases=("a", "b")), (1, 1)).values()) == {None}


def test_what_no_name_leads_to_moves_nothing() -> None:
    assert moves(version(2, state=State.YANKED), (1, 1)) == {}
    assert moves(version(2, state=State.REJECTED, interface=None), (1, 1)) == {}
