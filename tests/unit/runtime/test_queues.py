"""Who is computed next, and with whom."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.runtime.queues import Lane, Queues


@dataclass(frozen=True)
class Asked:
    id: int
    rows: int = 1
    priority: int = 0


BIRD, CAT = Lane("bird", (), 8), Lane("cat", (), 8)


def ids(taken: tuple[Lane, list[Asked]] | None) -> list[int]:
    assert taken is not None
    return [item.id for item in taken[1]]


def filled(lane: Lane, *items: Asked, delay_s: float = 0.0) -> Queues[Asked]:
    queues: Queues[Asked] = Queues(delay_s)
    for item in items:
        queues.add(lane, item, 0.0)
    return queues


def test_what_waits_is_taken_together_up_to_the_most_rows() -> None:
    queues = filled(BIRD, *(Asked(number) for number in range(10)))
    assert ids(queues.take(0.0)) == list(range(8))
    assert ids(queues.take(0.0)) == [8, 9]
    assert queues.take(0.0) is None
    assert len(queues) == 0


def test_a_request_larger_than_a_batch_goes_alone() -> None:
    queues = filled(BIRD, Asked(1, rows=20), Asked(2))
    assert ids(queues.take(0.0)) == [1]
    assert ids(queues.take(0.0)) == [2]


@pytest.mark.parametrize("rows", [0, 1])
def test_what_must_stay_alone_stays_alone(rows: int) -> None:
    queues = filled(Lane("counter", (), 0), Asked(1, rows), Asked(2, rows))
    assert ids(queues.take(0.0)) == [1]
    assert ids(queues.take(0.0)) == [2]


def test_those_who_could_compute_share_what_waits() -> None:
    queues = filled(BIRD, *(Asked(number) for number in range(6)))
    assert ids(queues.take(0.0, idle=2)) == [0, 1, 2]
    assert ids(queues.take(0.0, idle=1)) == [3, 4, 5]


def test_what_is_urgent_goes_first_then_who_came_first() -> None:
    queues = filled(Lane("counter", (), 0), Asked(1, priority=2), Asked(2), Asked(3, priority=2), Asked(4))
    assert [ids(queues.take(0.0))[0] for _ in range(4)] == [2, 4, 1, 3]


def test_an_urgent_request_of_a_busy_version_goes_before_others() -> None:
    queues = filled(BIRD, Asked(1, priority=1))
    queues.charge(CAT, 10.0)
    queues.add(CAT, Asked(2, priority=0), 0.0)
    assert ids(queues.take(0.0)) == [2]


def test_a_flood_for_one_version_does_not_starve_another() -> None:
    queues = filled(Lane("bird", (), 1), *(Asked(number) for number in range(100)))
    cat = Lane("cat", (), 1)
    for number in range(100, 110):
        queues.add(cat, Asked(number), 0.0)
    order = []
    for _ in range(30):
        taken = queues.take(0.0)
        assert taken is not None
        order.append(taken[0].version)
        queues.charge(taken[0], 0.004 if taken[0].version == "bird" else 0.001)
    # A cat costs a quarter of a bird, so four go for each.
    assert order[:12].count("cat") >= 8
    assert order.count("cat") == 10


def test_who_rested_has_saved_up_nothing() -> None:
    queues: Queues[Asked] = Queues()
    for number in range(50):
        queues.add(BIRD, Asked(number), 0.0)
        queues.take(0.0)
        queues.charge(BIRD, 1.0)
    queues.add(BIRD, Asked(99), 0.0)
    queues.add(BIRD, Asked(98), 0.0)
    queues.take(0.0)
    queues.charge(BIRD, 1.0)
    one = Lane("cat", (), 0)
    for number in range(100, 104):
        queues.add(one, Asked(number), 0.0)
    queues.add(BIRD, Asked(105), 0.0)
    taken = []
    for _ in range(4):
        lane, _ = queues.take(0.0) or pytest.fail("nothing was due")
        queues.charge(lane, 1.0)
        taken.append(lane.version)
    assert "bird" in taken


def test_a_request_that_is_not_wanted_any_more_is_not_computed() -> None:
    queues = filled(BIRD, Asked(1), Asked(2))
    assert queues.remove(1) == Asked(1)
    assert queues.remove(1) is None
    assert ids(queues.take(0.0)) == [2]
    assert queues.remove(2) is None


def test_a_delay_holds_back_what_is_no_full_batch() -> None:
    queues = filled(BIRD, Asked(1), delay_s=0.5)
    assert queues.take(0.1) is None
    assert queues.next_due(0.1) == pytest.approx(0.4)
    assert ids(queues.take(0.5)) == [1]
    for number in range(8):
        queues.add(BIRD, Asked(number), 1.0)
    assert len(ids(queues.take(1.0))) == 8
    assert queues.next_due(1.0) is None


def test_shapes_that_differ_are_never_together() -> None:
    queues: Queues[Asked] = Queues()
    for number in range(6):
        queues.add(Lane("bird", ("x", number % 2), 8), Asked(number), 0.0)
    assert {tuple(ids(queues.take(0.0))) for _ in range(2)} == {(0, 2, 4), (1, 3, 5)}


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 2), st.integers(0, 3)), max_size=40),
    st.integers(1, 3),
)
def test_everything_is_taken_once_and_no_batch_is_too_large(asked: list[tuple[int, int, int]], idle: int) -> None:
    queues: Queues[Asked] = Queues()
    for number, (rows, priority, lane) in enumerate(asked):
        queues.add(Lane(str(lane), (), 4), Asked(number, rows, priority), float(number))
    seen: list[int] = []
    while taken := queues.take(0.0, idle):
        seen += ids(taken)
        assert sum(item.rows for item in taken[1]) <= 4 or len(taken[1]) == 1
    assert sorted(seen) == list(range(len(asked)))
    assert len(queues) == 0
