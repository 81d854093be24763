"""What the event loop computes itself: what is short, and what has nobody beside it."""

from hub.runtime.solo import ALONE, MODEST_S, SHORT_S, Solo

LONG_S = 5 * SHORT_S
V, OTHER = ("v", "f", ((2,),)), ("other", "f", ((2,),))


def one_by_one(solo: Solo, count: int, seconds: float = LONG_S) -> None:
    for _ in range(count):
        solo.came(is_idle=True)
        solo.took(V, 1, seconds)


def test_what_is_not_known_is_handed_over_and_what_is_short_is_not() -> None:
    solo = Solo()
    assert not solo.is_for(V, 1, is_idle=True)
    solo.took(V, 1, SHORT_S / 2)
    assert solo.is_for(V, 1, is_idle=True)
    assert solo.is_for(V, 1, is_idle=False)
    assert not solo.is_for(OTHER, 1, is_idle=True)


def test_one_that_took_long_counts_at_once_and_others_by_and_by() -> None:
    solo = Solo()
    solo.took(V, 1, 0.0)
    solo.took(V, 1, LONG_S)  # it may have waited for a core
    assert solo.is_for(V, 1, is_idle=False)
    solo.took(V, 1, 20 * SHORT_S)
    solo.took(V, 1, 0.0)
    assert not solo.is_for(V, 1, is_idle=False)
    for _ in range(40):
        solo.took(V, 1, 0.0)
    assert solo.is_for(V, 1, is_idle=False)
    for _ in range(3):
        solo.took(V, 1, LONG_S)
    assert not solo.is_for(V, 1, is_idle=False)


def test_who_comes_alone_often_enough_is_computed_by_the_loop() -> None:
    solo = Solo()
    one_by_one(solo, ALONE - 1)
    assert not solo.is_for(V, 1, is_idle=True)
    one_by_one(solo, 1)
    assert solo.is_for(V, 1, is_idle=True)
    assert not solo.is_for(V, 1, is_idle=False)


def test_company_ends_it_whether_it_was_seen_before_or_after() -> None:
    for meet in (lambda solo: solo.came(is_idle=False), lambda solo: solo.took(V, 1, LONG_S, has_company=True)):
        solo = Solo()
        one_by_one(solo, ALONE)
        meet(solo)
        assert not solo.is_for(V, 1, is_idle=True)
        one_by_one(solo, ALONE)
        assert solo.is_for(V, 1, is_idle=True)


def test_what_takes_very_long_is_always_handed_over_and_so_is_all_that_is_not_short_where_that_is_wanted() -> None:
    solo = Solo()
    one_by_one(solo, 2 * ALONE, MODEST_S)
    assert not solo.is_for(V, 1, is_idle=True)
    on_a_gpu = Solo(SHORT_S)
    one_by_one(on_a_gpu, 2 * ALONE)
    assert not on_a_gpu.is_for(V, 1, is_idle=True)


def test_short_ones_say_nothing_about_who_comes_beside_long_ones() -> None:
    solo = Solo()
    for _ in range(2 * ALONE):
        solo.took(OTHER, 1, SHORT_S / 2)
    one_by_one(solo, 1)
    assert not solo.is_for(V, 1, is_idle=True)


def test_what_is_not_known_is_handed_over_whoever_was_alone_before() -> None:
    solo = Solo()
    one_by_one(solo, 2 * ALONE)
    assert solo.is_for(V, 1, is_idle=True)
    assert not solo.is_for(OTHER, 1, is_idle=True)


def test_more_rows_than_usual_are_thought_to_take_as_much_longer() -> None:
    solo = Solo()
    one_by_one(solo, 2 * ALONE)
    assert solo.is_for(V, 9, is_idle=True)
    assert not solo.is_for(V, 11, is_idle=True)
    short = Solo()
    for _ in range(40):
        short.took(V, 8, SHORT_S / 10)
    assert short.is_for(V, 70, is_idle=False)
    assert not short.is_for(V, 90, is_idle=False)


def test_of_a_batch_that_is_like_no_other_nothing_is_learned_but_that_it_was_alone() -> None:
    solo = Solo()
    for _ in range(ALONE):
        solo.took(None, 1, SHORT_S)
    assert not solo.is_for(None, 1, is_idle=True)
    solo.took(V, 1, LONG_S)
    assert solo.is_for(V, 1, is_idle=True)
