"""A real hub in processes of its own, as ``hub serve`` starts it."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

READY_WITHIN_S = 120
STOPPED_WITHIN_S = 60
HUB = (sys.executable, "-m", "hub.cli.main")


@dataclass(frozen=True, slots=True)
class RunningHub:
    """A hub that answers, and the account its commands run in."""

    url: str
    token: str
    environment: dict[str, str]
    pid: int
    data: Path
    grpc: str

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one ``hub`` command against it."""
        return subprocess.run(
            [*HUB, *arguments], env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )


@contextmanager
def serving(home: Path, *options: str, environment: Mapping[str, str] = MappingProxyType({})) -> Iterator[RunningHub]:
    """A hub on a free port with a data folder and an account of its own, ready; it must end cleanly."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("HUB_")}
    environment = (
        inherited
        | dict(environment)
        | {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "HUB_CACHE": str(home / "cache"),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
    )
    log = home / "hub.log"
    with log.open("wb") as output:
        command = [*HUB, "serve", "--port", "0", "--data-dir", str(home / "data"), "--device", "cpu:0", *options]
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        url, grpc = _announced(log, server)
        token = _admin_token(home)
        _wait_until_ready(url, log, server)
        account = environment | {"HUB_URL": url, "HUB_TOKEN": token}
        yield RunningHub(url, token, account, server.pid, home / "data", grpc)
        server.send_signal(signal.SIGTERM)
        assert server.wait(STOPPED_WITHIN_S) == 0, log.read_text()
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="module")
def running_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub on the embedded defaults."""
    with serving(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture(scope="session")
def start_hub() -> Callable[..., AbstractContextManager[RunningHub]]:
    """Starts a hub in a home folder, with options of ``hub serve``."""
    return serving


def _admin_token(home: Path) -> str:
    """As the first start kept it for the account's commands."""
    kept = (home / "config/trunkhub/credentials.json").read_text()
    return re.findall(r"trunkhub_[\w-]+", kept)[0]


def _announced(log: Path, server: "subprocess.Popen[bytes]") -> tuple[str, str]:
    """Where HTTP is, and gRPC."""
    give_up = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < give_up and server.poll() is None:
        said = re.search(r"Trunk Hub is at (http://\S+)\ngRPC is at (\S+)\n", log.read_text())
        if said:
            return said.group(1), said.group(2)
        time.sleep(0.1)
    pytest.fail(f"the hub did not say where it is:\n{log.read_text()}")


def _wait_until_ready(url: str, log: Path, server: "subprocess.Popen[bytes]") -> None:
    give_up = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < give_up and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the hub was not ready:\n{log.read_text()}")
