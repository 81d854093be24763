"""Hubs that go wrong on purpose, and the check that holds after each fault."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.maintenance import deep_check
from hub.protocol.upkeep import DeepReport
from hub.settings import Settings
from tests.faults.mortal import MortalHub, Nursery, nursery
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


@pytest.fixture(scope="session")
def hatchery() -> Iterator[Nursery]:
    """The program that forks hub processes."""
    with nursery() as started:
        yield started


@pytest.fixture
def mortal(hatchery: Nursery, tmp_path: Path) -> Iterator[Callable[..., MortalHub]]:
    """Makes hubs that are processes of their own; more settings are given as ``HUB_…``."""
    made: list[MortalHub] = []

    def make(**more: str) -> MortalHub:
        folder = tmp_path / f"mortal{len(made)}"
        folder.mkdir()
        made.append(MortalHub(hatchery, folder, more))
        made[-1].start()
        return made[-1]

    yield make
    for hub in made:
        hub.end()
