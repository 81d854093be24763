"""A hub killed at any step of a push: nothing half is seen, and the same push again makes the one whole version."""

import os
from collections.abc import Callable
from contextlib import suppress

import pytest

from hub.maintenance import sweep
from hub.protocol import paths
from tests.faults.conftest import flaws
from tests.faults.mortal import Died, MortalHub
from tests.integration.api.conftest import write_saved_model

LARGE = 3 << 20  # more than an object store's blob that is put from memory


def files(number: int) -> dict[str, bytes]:
    """A model that shares nothing with the others."""
    return {"saved_model.pb": write_saved_model(producer=f"push {number}"), "assets/words": os.urandom(LARGE)}


def states(hub: MortalHub, model: str) -> list[str]:
    """The states of a model's versions."""
    with hub.client() as client:
        answer = client.get(paths.versions(model))
    return [item["state"] for item in answer.json()["items"]] if answer.is_success else []


def die_at_every_step(hub: MortalHub) -> list[str]:
    """Push as often as a push has steps, and die at another one each time; gives the steps."""
    hub.arm()
    assert hub.push("acme/whole", files(0)) == "ready"
    steps = hub.disarm()
    for number, step in enumerate(steps, 1):
        model, pushed = f"acme/m{number}", files(number)
        hub.arm(number)
        with suppress(Died):  # what comes after the answer kills it all the same
            hub.push(model, pushed)
        hub.wait_until_gone()
        assert hub.disarm() == steps[:number]
        hub.start()
        assert states(hub, model) in ([], ["validating"], ["ready"]), step
        assert hub.push(model, pushed) == "ready", step
        assert states(hub, model) == ["ready"], step
    assert flaws(hub.settings) == []
    return steps


def check_nothing_is_left(hub: MortalHub) -> None:
    """After the grace time the store has what versions need, and nothing else."""
    settings = hub.settings.model_copy(update={"sweep_grace_s": 0.0})
    for _ in range(2):
        assert sweep(settings, dry_run=False).lost == ()
    assert sweep(settings, dry_run=True).condemned == 0
    assert flaws(hub.settings) == []


def test_a_hub_on_its_defaults_killed_at_any_step_of_a_push(mortal: Callable[..., MortalHub]):
    hub = mortal()
    steps = die_at_every_step(hub)
    commits = {f"commit of {name}" for name in ("begin", "_put_manifest", "_publish", "_keep_golden", "_finish")}
    assert set(steps) == commits | {"link", "keep", "end"}
    check_nothing_is_left(hub)


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_a_hub_on_postgresql_and_an_object_store_killed_at_any_step_of_a_push(
    mortal: Callable[..., MortalHub], postgresql_url: str, s3_url: str
):
    hub = mortal(HUB_DATABASE_URL=postgresql_url, HUB_STORAGE_URL=s3_url)
    steps = die_at_every_step(hub)
    assert {"_put", "_copy", "_delete", "commit of _finish", "end"} <= set(steps)
    check_nothing_is_left(hub)
