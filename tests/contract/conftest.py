"""Catalogs for the contract tests: one on each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.storage.catalog.catalog import Catalog


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind that the hub can use."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/catalog/hub.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    """A migrated catalog on each database."""
    opened = Catalog(database_url)
    opened.migrate()
    yield opened
    opened.close()
