"""When a worker that says that it leaks is worth replacing, and what is known of one that has just ended."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hub.engine.supervisor import Batching, Supervisor, _Life
from hub.runtime.devices import Device
from hub.runtime.limits import AnswerLimits


def serving(age_s: float) -> tuple[Supervisor, _Life]:
    """A supervisor that sends its requests to a process of that age."""
    supervisor = Supervisor(
        Device("cpu", 0),
        Path(),
        budget_bytes=None,
        batching=Batching(),
        grace_s=1,
        on_change=lambda: None,
        on_tuned=lambda _digest, _choices: None,
        on_death=lambda _digest: None,
        prepare=lambda _link: asyncio.sleep(0),
        answers=AnswerLimits(),
    )
    stand_in: Any = SimpleNamespace(pid=1, loaded={}, in_flight=0)
    loop = asyncio.get_running_loop()
    life = _Life(stand_in, stand_in, stand_in, Path("marks"), loop.time() - age_s, loop.create_future())
    supervisor._adopt(life)
    return supervisor, life


@pytest.mark.parametrize(("age_s", "is_replaced"), [(601, True), (599, False)])
def test_a_worker_that_leaks_is_replaced_unless_another_would_soon_be_as_it_is(age_s: float, is_replaced: bool) -> None:
    async def hear() -> bool:
        supervisor, life = serving(age_s)
        supervisor._hear(life, {"leaked_bytes": 1 << 30})
        return supervisor._wants_another.is_set()

    assert asyncio.run(hear()) == is_replaced


def test_what_an_old_worker_still_says_does_not_replace_its_successor() -> None:
    async def hear() -> bool:
        supervisor, old = serving(601)
        supervisor._hear(old, {"leaked_bytes": 1 << 30})
        supervisor._adopt(_Life(old.child, old.link, old.door, old.marks, 0.0, old.death))
        supervisor._hear(old, {"leaked_bytes": 1 << 30})
        return supervisor._wants_another.is_set()

    assert not asyncio.run(hear())


def test_nothing_is_sent_to_a_worker_from_the_moment_that_it_ended() -> None:
    async def end() -> tuple[str, str, object]:
        supervisor, life = serving(1)
        before = supervisor.status().state
        supervisor._lose(life)
        return before, supervisor.status().state, supervisor.link

    assert asyncio.run(end()) == ("ready", "restarting", None)
