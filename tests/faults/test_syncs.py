"""A disk whose syncs fail now and then: what is refused is refused in words, and what is accepted is whole."""

import shutil
from collections.abc import Callable

import httpx2
import pytest

from tests.faults.conftest import flaws
from tests.faults.mortal import MortalHub, nursery
from tests.integration.api.conftest import write_saved_model

pytestmark = pytest.mark.faults
EIO = 5
TIMES = 20


def failing(share: float) -> list[str]:
    """A command under which that share of all syncs fails as on a broken disk."""
    names = ("fsync", "fdatasync")
    faults = [f"enable_random name=posix/io/sync/{name},probability={share},failinfo={EIO}" for name in names]
    return ["fiu-run", "-x", *(word for fault in faults for word in ("-c", fault))]


def start(hub: MortalHub) -> None:
    """Start a hub, again where a sync failed that it needed."""
    for _ in range(TIMES):
        try:
            hub.start()
        except AssertionError:
            assert "Traceback" not in (hub.folder / "log").read_text()
        else:
            return
    pytest.fail("it never started")


@pytest.mark.skipif(shutil.which("fiu-run") is None, reason="fiu-utils is not installed")
@pytest.mark.timeout(600)
def test_syncs_that_fail_now_and_then_leave_nothing_half(mortal: Callable[..., MortalHub]):
    hub = mortal()
    right = hub.nursery
    hub.end()
    pushed = {f"acme/m{number}": {"saved_model.pb": write_saved_model(producer=str(number))} for number in range(TIMES)}
    statuses: list[int] = []
    with nursery(*failing(0.06)) as broken:
        hub.nursery = broken
        start(hub)
        for model, files in pushed.items():
            try:
                assert hub.push(model, files) in ("ready", "validating")
            except httpx2.HTTPStatusError as error:
                statuses.append(error.response.status_code)
        hub.end()
    assert set(statuses) == {503}, "no sync failed, or one was told in another way"
    hub.nursery = right
    hub.start()
    assert flaws(hub.settings) == []
    assert {hub.push(model, files) for model, files in pushed.items()} == {"ready"}
    assert flaws(hub.settings) == []
