"""Models to look at: written byte by byte, copied, or real ones."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.savedmodel_writer import FIXTURES, ModelWriter, Write

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def write() -> type[Write]:
    return Write


@pytest.fixture
def model(tmp_path: Path) -> ModelWriter:
    return ModelWriter(tmp_path / "model")


@pytest.fixture(scope="session")
def fixtures() -> Path:
    return FIXTURES


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[str], Path]:
    """A writable copy of one of the committed models."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(FIXTURES / name, tmp_path / name))

    return copy


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Real SavedModels that nobody in this project wrote; absent in a plain checkout."""
    found = Path(os.environ.get("HUB_TEST_CORPUS") or REPOSITORY.parent / "shared" / "savedmodels")
    if not (found / "expected.json").is_file():
        pytest.skip("the corpus of real SavedModels is not here (HUB_TEST_CORPUS)")
    return found
