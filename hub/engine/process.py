"""Child processes of the engine: Python modules that speak frames over an inherited socket.

Laws: a child sees no secret of the hub (its environment is an allow-list); it dies with the hub; what it writes to
stderr becomes log lines of this process.
"""

import asyncio
import logging
import os
import re
import socket
import sys
from asyncio import StreamReader
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
import structlog

from hub.domain.errors import NotAvailable
from hub.runtime.devices import Device

_PASSED = ("PATH", "LANG", "TZ", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LD_PRELOAD")
_PASSED_PREFIXES = ("LC_", "PYTHON", "CUDA_", "NVIDIA_", "TF_", "XLA_", "OMP_", "MALLOC_")
_MAX_LINE_CHARS = 2000
_SECRETS = re.compile(r"TF_(VAR|CLI)_|(^|_)(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_|$)")
_log = structlog.get_logger()


class Child:
    """A running module and our end of the socket to it."""

    def __init__(self, name: str, process: Process, connected: socket.socket) -> None:
        """Take over a process that was just started."""
        self.name = name
        self.process = process
        self.socket = connected
        self._logging = asyncio.create_task(self._log_stderr())

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def kill(self) -> None:
        """End the process at once; it may have ended already."""
        if self.process.returncode is None:
            self.process.kill()

    async def code(self, within_s: float) -> int | None:
        """Its exit code, below zero for a signal; None where it does not end in time."""
        try:
            async with asyncio.timeout(within_s):
                return await self.process.wait()
        except TimeoutError:
            return None

    async def ended(self) -> int:
        """Wait until the process has ended and its last words are logged; gives its exit code."""
        code = await self.process.wait()
        await self._logging
        return code

    async def _log_stderr(self) -> None:
        if self.process.stderr is None:
            return
        while line := await _next_line(self.process.stderr):
            relay(line, child=self.name, pid=self.pid)


def relay(line: bytes, *, child: str, pid: int) -> None:
    """Log a line that a child wrote: its own events as they are, TensorFlow's chatter for who wants to debug."""
    try:
        event = orjson.loads(line)
        _log.log(logging.getLevelNamesMapping()[event.pop("level").upper()], **event, child=child, pid=pid)
    except (ValueError, KeyError, AttributeError, TypeError):
        text = line.decode(errors="replace").rstrip()
        _log.debug("child.said", child=child, pid=pid, line=text[:_MAX_LINE_CHARS])


async def _next_line(stream: StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than the stream's limit: what was read so far is dropped
        return b"(a line that is too long)\n"


async def start_module(
    name: str,
    module: str,
    arguments: list[str],
    device: Device,
    home: Path,
    lock: Sequence[str] = ("-m",),
    passed: Sequence[socket.socket] = (),
) -> Child:
    """Run ``python -m module --fd N --parent PID …``.

    Args:
        name: For the log.
        module: What to run.
        arguments: Its further arguments.
        device: What it may compute on.
        home: A directory of its own.
        lock: What comes before the module, where it runs locked in; see ``hub.runtime.locked``.
        passed: Sockets that ``arguments`` name by number; they stay open here.

    Raises:
        NotAvailable: It cannot be started.
    """
    ours, theirs = socket.socketpair()
    command = [*lock, module, "--fd", str(theirs.fileno()), "--parent", str(os.getpid()), *arguments]
    try:
        await asyncio.to_thread(home.mkdir, parents=True, exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            pass_fds=[theirs.fileno(), *(each.fileno() for each in passed)],
            start_new_session=True,  # Ctrl-C in a terminal is for the hub, which lets requests inside finish
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=child_environment(os.environ, device, home),
        )
    except OSError as error:
        ours.close()
        raise NotAvailable(f"{name} cannot be started: {error.strerror}.") from error
    finally:
        theirs.close()
    return Child(name, process, ours)


def child_environment(environment: Mapping[str, str], device: Device, home: Path) -> dict[str, str]:
    """What a child sees of ``environment``: nothing but what Python, TensorFlow and the driver need.

    Others use the same prefixes for their secrets: Terraform (``TF_TOKEN_…``, ``TF_VAR_…``), ``NVIDIA_API_KEY``.
    """
    passed = {
        name: value
        for name, value in environment.items()
        if (name in _PASSED or name.startswith(_PASSED_PREFIXES)) and not _SECRETS.search(name)
    }
    own = {
        "HOME": str(home),
        "TMPDIR": str(home),
        "KERAS_HOME": str(home),  # TensorFlow imports Keras, which reads and writes there
        "CUDA_VISIBLE_DEVICES": device.visible_gpus(environment),
    }
    return {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1", **passed, **own}
