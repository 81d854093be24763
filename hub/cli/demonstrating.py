"""What ``hub demo`` does: a hub in a process of its own, and the two-headed example as its user.

Laws: nothing of the user's is touched, the demo has its own data, credentials and cache; the hub is stopped however
the demo ends; a step whose claim does not hold, or that raises, makes the demo fail.
"""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any

import urllib3

from hub.cli.output import put, say
from hub.client.config import DEFAULT_URL, connection
from hub.domain.errors import Conflict, NotAvailable

EXAMPLE = "two_heads.py"
START_S = 180.0
STOP_S = 30.0
_POLL_S = 0.25
_LOG_LINES = 15
_TERMINATED = 128 + signal.SIGTERM


def demonstrate(*, port: int, data_dir: Path | None, keep_serving: bool) -> bool:
    """Run the demo.

    Args:
        port: The hub's port; 0 takes a free one.
        data_dir: Where the hub's data stays; a temporary folder where None.
        keep_serving: Go on serving after the last step, until Ctrl-C.

    Returns:
        Whether every claim held.

    Raises:
        Conflict: The port is in use.
        NotAvailable: The hub did not start.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))  # through every ``finally``, as Ctrl-C does
    with tempfile.TemporaryDirectory(prefix="hub-demo-") as temporary:
        work = Path(temporary)
        url = f"http://127.0.0.1:{_free_port(port)}"
        # The example runs in this process: it shall use the demo's credentials and cache, not the user's.
        os.environ |= {"HUB_CONFIG_DIR": str(work / "config"), "HUB_CACHE": str(work / "cache"), "HUB_URL": url}
        os.environ.pop("HUB_TOKEN", None)
        os.environ.setdefault("HUB_GRPC_PORT", "0")  # the one after the hub's may be somebody else's
        with _running_hub(url, (data_dir or work / "data").absolute(), work / "hub.log") as process:
            put(f"Trunk Hub is at {url}")
            token = connection(url).token
            all_held = _run_steps(url, token, work)
            put(f"Dashboard: {url}")
            put("All claims held." if all_held else "NOT all claims held.")
            if keep_serving:
                put(f"Try: HUB_URL={url} HUB_TOKEN={token} hub ls        (Ctrl-C stops the hub)")
                process.wait()
    return all_held


def _run_steps(url: str, token: str | None, work: Path) -> bool:
    all_held = True
    folder = work / "example"
    folder.mkdir()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _quiet(work / "import.log"):
        example = _load_example()
    for number, step in enumerate(example.run(url, token, folder), start=1):
        put(f"{'ok  ' if step.holds else 'FAIL'} {number:2}. {step.title}\n        {step.claim}\n        {step.detail}")
        sys.stdout.flush()
        all_held = all_held and bool(step.holds)
    return all_held


def _load_example() -> ModuleType:
    """The example, from the installed package or from the repository."""
    package = Path(__file__).resolve().parent.parent
    places = (package / "examples" / EXAMPLE, package.parent / "examples" / EXAMPLE)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise NotAvailable(f"The example {EXAMPLE} is not installed.", remedy="Install Trunk Hub from its wheel again.")
    spec = importlib.util.spec_from_file_location("hub_demo_example", path)
    if spec is None or spec.loader is None:
        raise NotAvailable(f"{path} cannot be loaded.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def _quiet(log: Path) -> Iterator[None]:
    """Send this process' stderr to a file: TensorFlow greets there when it is imported, whatever it is told."""
    sys.stderr.flush()
    kept = os.dup(sys.stderr.fileno())
    try:
        with log.open("wb") as out:
            os.dup2(out.fileno(), sys.stderr.fileno())
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, sys.stderr.fileno())
        os.close(kept)


@contextmanager
def _running_hub(url: str, data_dir: Path, log: Path) -> Iterator[subprocess.Popen[Any]]:
    command = [sys.executable, "-m", "hub.cli.main", "serve", "--port", url.rpartition(":")[2]]
    with log.open("wb") as out:
        # A group of its own: Ctrl-C is for the demo, which then stops the hub in order.
        process = subprocess.Popen(
            [*command, "--data-dir", str(data_dir)], stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _await_ready(process, url, log)
            yield process
        finally:
            _stop(process)


def _await_ready(process: subprocess.Popen[Any], url: str, log: Path) -> None:
    say("Starting a hub …")
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if urllib3.request("GET", f"{url}/readyz", retries=False).status == HTTPStatus.OK:
                return
        except urllib3.exceptions.HTTPError:
            pass
        time.sleep(_POLL_S)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
    raise NotAvailable("The demo's hub did not get ready. The end of its log:", remedy=last)


def _stop(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port(wanted: int) -> int:
    """The wanted port; for 0 the usual one, or another where that is taken."""
    usual = int(DEFAULT_URL.rpartition(":")[2])
    for candidate in (wanted,) if wanted else (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Conflict(f"Port {wanted or usual} is in use by another program.", remedy="Choose another with --port.")
