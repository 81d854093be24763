"""What is evicted to make room."""

from hypothesis import given
from hypothesis import strategies as st

from hub.runtime.residency import make_room

SIZES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 50), max_size=8)


def test_the_least_recently_used_goes_first_and_no_more_than_must() -> None:
    assert make_room({"old": 10, "mid": 10, "new": 10}, 15, 40) == ["old"]
    assert make_room({"old": 10, "new": 10}, 20, 40) == []


def test_nothing_pinned_is_evicted() -> None:
    assert make_room({"old": 10, "new": 10}, 10, 20, pinned={"old"}) == ["new"]
    assert make_room({"old": 10}, 20, 20, pinned={"old"}) is None


def test_what_is_larger_than_the_budget_never_fits() -> None:
    assert make_room({}, 21, 20) is None


@given(SIZES, st.integers(0, 100), st.integers(0, 200), st.sets(st.sampled_from("abcdefgh")))
def test_a_plan_keeps_the_budget_and_the_pins_and_is_no_longer_than_it_must(
    sizes: dict[str, int], needed: int, budget: int, pinned: set[str]
) -> None:
    plan = make_room(sizes, needed, budget, pinned)
    stay = sum(size for digest, size in sizes.items() if digest in pinned)
    if plan is None:
        assert stay + needed > budget
        return
    left = sum(size for digest, size in sizes.items() if digest not in plan)
    assert left + needed <= budget
    assert not pinned.intersection(plan)
    assert not plan or left + sizes[plan[-1]] + needed > budget
