"""Folders of the client's own for every test: nothing of the user's is read or written."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point configuration and cache into the test's folder, and forget which hub the environment names."""
    for name in ("HUB_URL", "HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HUB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path
