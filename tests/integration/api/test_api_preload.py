"""Versions that are loaded before anybody asks for them."""

import time
from collections.abc import Callable

GIVE_UP_S = 30


def test_a_hub_loads_at_its_start_what_it_was_told_to_and_goes_on_without_what_is_not_there(
    start_hub: Callable, saved_model: Callable[..., bytes]
):
    pushed = start_hub().admin.push("acme/echo", {"saved_model.pb": saved_model()}, is_private=True)
    hub = start_hub(preload=("acme/gone", "acme/echo"))
    give_up = time.monotonic() + GIVE_UP_S
    while not hub.engine.loaded and time.monotonic() < give_up:
        time.sleep(0.02)
    assert hub.engine.loaded == [pushed.version.digest]
