"""The command line as a process of its own, with folders of its own and no hub."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

NOBODY = "http://127.0.0.1:9"  # the discard port: nothing answers there
Hub = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment that names a hub which is not there."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HUB_")}
    folders = {"HUB_CONFIG_DIR": str(tmp_path / "config"), "HUB_CACHE": str(tmp_path / "cache")}
    return kept | folders | {"HUB_URL": NOBODY, "HUB_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture
def hub(environment: dict[str, str]) -> Hub:
    """Runs one command."""

    def run(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "hub.cli.main", *arguments]
        return subprocess.run(command, env=environment | more, capture_output=True, text=True, input="", check=False)

    return run
