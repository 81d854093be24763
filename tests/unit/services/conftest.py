"""A real catalog in a file of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.storage.catalog import Catalog


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(f"sqlite:///{tmp_path / 'hub.db'}")
    made.migrate()
    yield made
    made.close()
