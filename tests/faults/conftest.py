"""Hubs that go wrong on purpose, and the check that holds after each fault."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.maintenance import deep_check
from hub.protocol.upkeep import DeepReport
from hub.settings import Settings
from tests.integration.api.conftest import Hub, Landlord


@pytest.fixture
def landlord(tmp_path: Path) -> Iterator[Landlord]:
    """Whose hubs are over the test's data folder."""
    made = Landlord(tmp_path / "data")
    yield made
    made.stop()


@pytest.fixture
def start_hub(landlord: Landlord) -> Callable[..., Hub]:
    """Starts a hub in this process over the test's data folder."""
    return landlord.start


def flaws(settings: Settings) -> list[tuple[str, str]]:
    """What a deep check finds: code and thing of each flaw."""
    return [(flaw.code, flaw.thing) for flaw in looked(settings).flaws]


def looked(settings: Settings) -> DeepReport:
    """What a deep check tells."""
    return deep_check(settings)
