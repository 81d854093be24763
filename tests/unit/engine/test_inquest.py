"""Whom the hub blames for a worker's death."""

import signal
from pathlib import Path

import pytest

from hub.domain.errors import ModelFailed, WorkerLost
from hub.engine.inquest import Death, inquire, verdict
from hub.runtime.marks import Marks, Running, read_marks

ONE, OTHER = (f"sha256:{digit * 64}" for digit in "ab")
ABORTED = -signal.SIGABRT
OF_OUTLET = 3 << 48 | 7


def blamed(*running: Running, code: int | None = ABORTED) -> int:
    return inquire(1, code, running).request


def test_a_request_that_ran_alone_is_what_its_worker_died_of() -> None:
    assert blamed(Running(ONE, True, 5)) == 5
    assert inquire(1, ABORTED, [Running(ONE, True, 5)]).ending == "was killed by SIGABRT"
    assert inquire(1, 0, [Running(ONE, True, 5)]) == Death(1, "ended with exit code 0", request=5)


def test_so_is_the_load_of_a_version_that_nobody_asks_yet() -> None:
    assert blamed(Running(ONE, False, 5)) == 5


def test_measuring_the_same_version_beside_it_makes_it_no_less_certain() -> None:
    assert blamed(Running(ONE, True, 5), Running(ONE, False)) == 5


@pytest.mark.parametrize("code", [None, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT])
def test_nobody_is_blamed_for_what_somebody_else_may_have_killed(code: int | None) -> None:
    assert blamed(Running(ONE, True, 5), code=code) == 0


@pytest.mark.parametrize(
    "beside",
    [
        pytest.param(Running(OTHER, True, 6), id="a request to another version"),
        pytest.param(Running(ONE, True, 6), id="another request"),
        pytest.param(Running(ONE, True), id="a batch"),
        pytest.param(Running(OTHER, False), id="another version that is measured"),
    ],
)
def test_nobody_is_blamed_where_it_may_have_been_another(beside: Running) -> None:
    assert blamed(Running(ONE, True, 5), beside) == 0


def test_nobody_is_blamed_where_nothing_ran_or_a_batch_did() -> None:
    assert inquire(1, ABORTED, []) == Death(1, "ended")
    assert inquire(1, ABORTED, [Running(ONE, True)]) == Death(1, "was killed by SIGABRT")


def test_a_version_that_is_only_measured_fails_all_who_wait_for_it() -> None:
    death = inquire(1, ABORTED, [Running(ONE, False)])
    assert death == Death(1, "was killed by SIGABRT", version=ONE)
    for asked in (
        {"digest": ONE},
        {"digest": OTHER, "trunk": ONE},
        {"heads": [(ONE, "y")]},
        {"orders": [{"digest": ONE}]},
    ):
        assert isinstance(verdict(death, 0, 5, asked), ModelFailed)
    for asked in ({"digest": OTHER, "trunk": None}, {"op": "settle"}):
        assert isinstance(verdict(death, 0, 5, asked), WorkerLost)


def test_only_who_asked_is_told_that_it_was_his_request() -> None:
    death, asked = Death(1, "was killed by SIGSEGV", request=OF_OUTLET), {"digest": ONE}
    assert isinstance(verdict(death, 3, 7, asked), ModelFailed)
    others = [verdict(death, stream, number, asked) for stream, number in ((3, 8), (0, 7), (2, 7))]
    assert [type(each) for each in others] == [WorkerLost] * 3
    assert isinstance(verdict(None, 0, 0, asked), WorkerLost)
    assert isinstance(verdict(Death(1, "ended"), 0, 0, {}), WorkerLost)


def test_a_mark_keeps_the_number_of_the_request_that_runs_alone(tmp_path: Path) -> None:
    marks = Marks(tmp_path / "marks")
    with marks.doing(ONE, is_asked=False, request=OF_OUTLET) as mark:
        assert read_marks(tmp_path / "marks") == (Running(ONE, False, OF_OUTLET),)
        mark.request(0)
        assert read_marks(tmp_path / "marks") == (Running(ONE, False),)
        mark.request(1 << 70)  # no stream has such a number, and marking never fails
    with marks.doing(ONE) as mark:
        assert read_marks(tmp_path / "marks") == (Running(ONE, True),)
