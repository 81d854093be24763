"""Which worker takes a request."""

from hub.engine.engine import WorkerState, WorkerStatus
from hub.engine.placement import BUSY_REQUESTS, Choice, choose


def worker(*loaded: str, in_flight: int = 0, state: WorkerState = "ready") -> WorkerStatus:
    return WorkerStatus("cpu:0", 1, state, dict.fromkeys(loaded, 10), in_flight)


def test_no_worker_that_is_ready_means_no_choice() -> None:
    assert choose([], ["a"]) is None
    assert choose([worker("a", state="restarting"), worker(state="starting")], ["a"]) is None


def test_a_worker_that_has_the_target_is_preferred_to_an_idle_one() -> None:
    assert choose([worker(), worker("a", in_flight=1)], ["a"]) == Choice(1)


def test_a_head_needs_its_trunk_on_the_same_worker() -> None:
    assert choose([worker("head"), worker("trunk", "head", in_flight=1)], ["trunk", "head"]) == Choice(1)


def test_what_nobody_has_goes_to_the_idlest_worker() -> None:
    assert choose([worker("b", in_flight=2), worker("c"), worker()], ["a"]) == Choice(2)


def test_a_busy_target_is_loaded_on_an_idle_worker_while_the_busy_one_answers() -> None:
    busy = worker("a", in_flight=BUSY_REQUESTS)
    assert choose([busy, worker()], ["a"]) == Choice(0, also_load=1)
    assert choose([busy, worker(in_flight=1)], ["a"]) == Choice(0)


def test_among_those_that_have_it_the_idlest_answers() -> None:
    assert choose([worker("a", in_flight=3), worker("a", in_flight=1)], ["a"]) == Choice(1)
