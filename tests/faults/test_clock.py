"""A hub whose clock is wrong: what is needed stays, and nothing young is deleted."""

import shutil
from collections.abc import Callable

import pytest

from tests.faults.conftest import flaws
from tests.faults.mortal import MortalHub, nursery
from tests.integration.api.conftest import write_saved_model

pytestmark = pytest.mark.faults


@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed")
@pytest.mark.parametrize("shift", ["+2y", "-1h"])
def test_a_hub_that_starts_with_a_wrong_clock_and_comes_back_to_the_right_one_keeps_everything(
    mortal: Callable[..., MortalHub], shift: str
):
    hub = mortal()
    right = hub.nursery
    files = {"saved_model.pb": write_saved_model()}
    assert hub.push("acme/before", files) == "ready"
    hub.end()
    with nursery("faketime", "-f", shift) as wrong:
        hub.nursery = wrong
        hub.start()  # which sweeps at once
        assert hub.push("acme/before", files) == "ready"
        assert hub.push("acme/meanwhile", files | {"assets/more": b"more"}) == "ready"
        hub.end()
    hub.nursery = right
    hub.start()
    assert hub.push("acme/meanwhile", files | {"assets/more": b"more"}) == "ready"
    assert flaws(hub.settings) == []
