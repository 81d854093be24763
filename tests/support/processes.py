"""Real servers on loopback for the tests: they die with the test process and leave nothing behind."""

import ctypes
import functools
import itertools
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START_S = 60
SET_DEATH_SIGNAL = 1
# The killed test process closes the pipe a moment before the kernel kills its servers, which write until then.
_JANITOR = """
read -r ended || sleep 1
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf -- "$@" && exit
    sleep 0.3
done
"""


@functools.cache
def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


@contextmanager
def running(
    command: list[str], log: Path, *, stop: signal.Signals, **popen: object
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that is stopped at the end, and by the kernel when the tests are killed."""
    libc = _libc()

    def die_with_parent() -> None:
        if libc:
            libc.prctl(SET_DEATH_SIGNAL, stop)

    with log.open("ab") as out:
        server = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent, **popen
        )
    try:
        yield server
    finally:
        server.send_signal(stop)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def run_to_its_end(command: list[str], log: Path, **popen: object) -> None:
    """A program that has to succeed before the next step; it dies with the tests too."""
    with running(command, log, stop=signal.SIGKILL, **popen) as program:
        try:
            failed = program.wait(START_S) != 0
        except subprocess.TimeoutExpired:
            failed = True
    if failed:
        pytest.fail(f"{command} failed:\n{log.read_text(errors='replace')[-3000:]}")


@contextmanager
def own_folder(prefix: str, *litter: Path) -> Iterator[Path]:
    """A folder that is removed at the end, together with the litter, and also when the tests are killed."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/", "start_new_session": True}
    command = ["/bin/sh", "-c", _JANITOR, "janitor", folder, *litter]
    with subprocess.Popen(command, stdin=subprocess.PIPE, **nowhere) as janitor:
        try:
            yield folder
        finally:
            janitor.communicate(b"\n")


def wait_until(is_up: Callable[[], bool], server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a server; what it wrote is the failure's message."""
    end = time.monotonic() + START_S
    while not is_up():
        if server.poll() is not None or time.monotonic() > end:
            pytest.fail(f"{server.args} did not start:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports that are free, and so is the one 10000 higher, which SeaweedFS takes for gRPC."""
    candidates = random.sample(range(20_000, 30_000), 1_000)
    return list(itertools.islice((port for port in candidates if is_free(port) and is_free(port + 10_000)), count))


def is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
