"""When a worker that says that it leaks is worth replacing."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hub.engine.supervisor import Batching, Supervisor, _Life
from hub.runtime.devices import Device


@pytest.mark.parametrize(("age_s", "is_replaced"), [(601, True), (599, False)])
def test_a_worker_that_leaks_is_replaced_unless_another_would_soon_be_as_it_is(age_s: float, is_replaced: bool) -> None:
    async def hear() -> bool:
        supervisor = Supervisor(
            Device("cpu", 0),
            Path(),
            budget_bytes=None,
            batching=Batching(),
            grace_s=1,
            on_change=lambda: None,
            on_tuned=lambda _digest, _choices: None,
            prepare=lambda _link: asyncio.sleep(0),
        )
        child: Any = SimpleNamespace(pid=1)
        life = _Life(child, child, asyncio.get_running_loop().time() - age_s)
        supervisor._hear(life, {"leaked_bytes": 1 << 30})
        return supervisor._wants_another.is_set()

    assert asyncio.run(hear()) == is_replaced
