"""Versions whose workers keep dying."""

from pathlib import Path

import pytest

from hub.domain.errors import Quarantined
from hub.engine.inquest import suspects
from hub.engine.quarantine import WITHIN_S, Quarantine
from hub.runtime.marks import Marks, read_marks

ONE, OTHER = (f"sha256:{digit * 64}" for digit in "ab")


def test_the_third_death_within_ten_minutes_holds_a_version_back_until_they_are_over() -> None:
    now = 1_000.0
    quarantine = Quarantine(lambda: now)
    for _ in range(3):
        quarantine.check([ONE])
        quarantine.note_death(ONE)
        now += 10
    with pytest.raises(Quarantined) as refused:
        quarantine.check([OTHER, ONE])
    assert refused.value.facts["digest"] == ONE
    assert list(quarantine.held) == [ONE]
    quarantine.check([OTHER])
    now = 1_000.0 + WITHIN_S
    quarantine.check([ONE])
    quarantine.note_death(ONE)  # the first of the three is forgotten by now
    assert quarantine.held == {ONE: 10.0}


def test_deaths_far_apart_hold_nobody_back() -> None:
    now = 0.0
    quarantine = Quarantine(lambda: now)
    for _ in range(10):
        quarantine.note_death(ONE)
        now += WITHIN_S / 2
        quarantine.check([ONE])


def test_marks_say_what_ran_and_outlive_who_made_them(tmp_path: Path) -> None:
    marks = Marks(tmp_path / "marks")
    assert suspects(read_marks(tmp_path / "marks")) == set()
    with marks.doing(ONE) as mark:
        assert suspects(read_marks(tmp_path / "marks")) == {ONE}
        mark.at(OTHER)
        assert suspects(read_marks(tmp_path / "marks")) == {OTHER}
        with marks.doing(ONE):
            assert suspects(read_marks(tmp_path / "marks")) == {ONE, OTHER}
    assert suspects(read_marks(tmp_path / "marks")) == set()


def test_who_answers_requests_is_suspected_before_who_is_only_loaded(tmp_path: Path) -> None:
    marks = Marks(tmp_path / "marks")
    with marks.doing(ONE, is_asked=False):
        assert suspects(read_marks(tmp_path / "marks")) == {ONE}
        with marks.doing(OTHER):
            assert suspects(read_marks(tmp_path / "marks")) == {OTHER}
    with marks.doing(ONE):
        assert suspects(read_marks(tmp_path / "marks")) == {ONE}


def test_more_threads_than_there_are_slots_run_unmarked() -> None:
    marks = Marks()
    held = [marks.doing(ONE) for _ in range(40)]
    for one in held:
        one.__enter__()
    for one in held:
        one.__exit__(None, None, None)
    with marks.doing(OTHER) as mark:
        mark.at(ONE)


@pytest.mark.parametrize("written", [b"", b"\xff" * 10_000, b"asha256:" + b"g" * 64, b"asha256:" + b"a" * 200])
def test_nothing_that_a_hostile_process_writes_is_an_error(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "marks").write_bytes(written)
    assert suspects(read_marks(tmp_path / "marks")) == set()
    assert read_marks(tmp_path / "none") == ()
