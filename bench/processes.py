"""Processes of a benchmark: servers and folders that go with it, ports, and an environment without proxies.

Laws: everything listens on loopback; a server dies with the benchmark, even when that is killed; what a benchmark wrote
outside of its results is gone afterwards.
"""

import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
START_S = 120
STOP_S = 20
_SET_DEATH_SIGNAL = 1
_PORTS = range(20_000, 30_000)
_PORTS_APART = 10_000
_SHOWN_LOG = 3_000


class CannotRun(Exception):
    """Something that a measurement needs is missing or does not work; the text says what."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without proxies, and without settings of a hub, of AWS or of rclone.

    Python keeps its byte code, as where a client is installed: else each start would compile every import.
    """
    ours = ("HUB_", "AWS_", "RCLONE_", "S3_", "PYTHONDONTWRITEBYTECODE")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ours) and not name.lower().endswith("_proxy")
    }
    return kept | {"NO_PROXY": "*", "TF_CPP_MIN_LOG_LEVEL": "2"} | dict(extra or {})


def tool(name: str) -> str | None:
    """A program, from this Python's environment first, then from the system."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def needed(name: str, where: str) -> str:
    """A program that has to be there.

    Raises:
        CannotRun: It is not; ``where`` says where it comes from.
    """
    found = tool(name)
    if found is None:
        raise CannotRun(f"{name} is missing ({where})")
    return found


@contextmanager
def own_folder(prefix: str) -> Iterator[Path]:
    """A folder below ``TMPDIR`` that is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(
    command: Sequence[str], log: Path, *, stop: signal.Signals = signal.SIGTERM, **popen: object
) -> Iterator[subprocess.Popen[bytes]]:
    """A server, stopped at the end; what it writes goes to ``log``."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def die_with_parent() -> None:
        if libc is not None:
            libc.prctl(_SET_DEATH_SIGNAL, stop)

    with log.open("ab") as out:
        server = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent, **popen
        )
    try:
        yield server
    finally:
        server.send_signal(stop)
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_until(
    is_up: Callable[[], bool], server: subprocess.Popen[bytes], log: Path, *, within_s: float = START_S
) -> None:
    """Wait until a server answers.

    Raises:
        CannotRun: It ended, or took too long.
    """
    end = time.monotonic() + within_s
    while not is_up():
        if server.poll() is not None or time.monotonic() > end:
            said = log.read_text(errors="replace")[-_SHOWN_LOG:]
            raise CannotRun(f"{Path(str(server.args[0])).name} did not start:\n{said}")
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports that are free together with the one 10,000 above, which SeaweedFS takes for gRPC."""
    chosen: list[int] = []
    while len(chosen) < count:
        port = random.choice(_PORTS)
        if port not in chosen and _is_free(port) and _is_free(port + _PORTS_APART):
            chosen.append(port)
    return chosen


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def end_cleanly_when_told() -> None:
    """Let SIGTERM end the benchmark like Ctrl-C does: through every ``finally``."""

    def leave(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough; the next would hit what cleans up
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, leave)
