"""Every command of the tutorial is executed, in order, as a reader would."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TUTORIAL = Path(__file__).parents[2] / "docs/tutorials/first-trunk.md"
FENCE = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        assert server.poll() is None, "the server stopped"
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    pytest.fail("the server was not ready within 120 s")


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """A reader's terminal: an empty directory, an account of its own, our commands on PATH, nothing set for them."""
    port = free_port()
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("HUB_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "HUB_CACHE": str(tmp_path / "cache"),
        "HUB_PORT": str(port),
        "HUB_GRPC_PORT": "0",
    }


def test_the_tutorial_works_from_top_to_bottom(tmp_path: Path, shell: dict[str, str]):
    directory = tmp_path / "reader"
    directory.mkdir()
    servers: list[subprocess.Popen[bytes]] = []
    ran, exported = 0, ""
    try:
        for language, info, code in FENCE.findall(TUTORIAL.read_text().replace(":8460", f":{shell['HUB_PORT']}")):
            if language == "console":
                continue
            if info == "server":
                servers.append(subprocess.Popen(["bash", "-ec", f"exec {code}"], cwd=directory, env=shell))
                wait_until_ready(f"http://127.0.0.1:{shell['HUB_PORT']}", servers[-1])
            elif code.startswith("export "):
                exported += code
            elif language == "python":
                (directory / info.removeprefix("file=")).write_text(code)
            else:
                program = ["bash", "-euc", exported + code]
                done = subprocess.run(program, cwd=directory, env=shell, capture_output=True, text=True)
                assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
            ran += 1
    finally:
        for server in servers:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
    assert ran >= 10
    assert [server.returncode for server in servers] == [0]
