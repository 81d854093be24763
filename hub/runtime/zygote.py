"""The zygote: imports TensorFlow once and forks a child for every probe (``python -m hub.runtime.zygote``).

A fork takes milliseconds where a fresh import takes seconds. It holds only while this process computes nothing: no
operation of TensorFlow ever runs here, and nothing starts a thread.

Laws: every request gets one reply, whatever its child does; a child that runs past its time is killed with everything
it started; no child outlives the zygote, and the zygote does not outlive its parent; a child is locked down before it
loads anything, while it is one thread: it reads its own versions and writes its own folder, and that is all.
"""

import argparse
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog

from hub.domain.errors import InvalidTensor
from hub.protocol.frames import MAX_FRAME_BYTES, Frame, decode_frame, encode_frame
from hub.runtime.journal import Ending
from hub.runtime.limits import Limits, apply, die_with_parent
from hub.runtime.orders import Order
from hub.runtime.probe import probe
from hub.runtime.reporting import report_to_engine
from hub.runtime.sandbox import Access, lock_down

_LENGTH_BYTES = 8
_FAILED = 70
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Running:
    """A child that probes."""

    request_id: int
    pid: int
    deadline: float


class Zygote:
    """Forks probes for the engine at the other end of a socket."""

    def __init__(self, connected: socket.socket) -> None:
        """Serve the socket."""
        self._socket = connected
        self._children: dict[int, _Running] = {}

    def serve(self) -> None:
        """Fork and reap until the socket ends; children that still run die with this process."""
        while True:
            readable, _, _ = select.select([self._socket, *self._children], [], [], self._patience())
            for watched in readable:
                if isinstance(watched, int):
                    self._reap(watched)
                elif not self._accept():
                    return
            self._kill_overdue()

    def _patience(self) -> float | None:
        if not self._children:
            return None
        return max(0.0, min(child.deadline for child in self._children.values()) - time.monotonic())

    def _accept(self) -> bool:
        frame = self._read_frame()
        if frame is None:
            return False
        if frame.header["op"] == "probe":
            self._fork(frame)
        else:
            self._kill(frame.number)
        return True

    def _fork(self, frame: Frame) -> None:
        request = frame.header
        limits = Limits(**request["limits"])
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._socket.close()
            _probe_and_exit(request, limits, parent)
        deadline = time.monotonic() + limits.wall_s
        self._children[os.pidfd_open(pid)] = _Running(frame.number, pid, deadline)

    def _reap(self, watched: int) -> None:
        child = self._children.pop(watched)
        os.close(watched)
        status = os.waitpid(child.pid, 0)[1]
        if os.WIFSIGNALED(status):
            is_overdue = os.WTERMSIG(status) == signal.SIGKILL and time.monotonic() >= child.deadline
            ending = Ending("timeout") if is_overdue else Ending("signal", os.WTERMSIG(status))
        else:
            ending = Ending("exit", os.WEXITSTATUS(status))
        self._socket.sendall(b"".join(encode_frame({"ending": asdict(ending)}, number=child.request_id)))

    def _kill_overdue(self) -> None:
        for child in self._children.values():
            if time.monotonic() >= child.deadline:
                _kill_group(child.pid)

    def _kill(self, request_id: int) -> None:
        for child in self._children.values():
            if child.request_id == request_id:
                _kill_group(child.pid)

    def _read_frame(self) -> Frame | None:
        size = int.from_bytes(self._read(_LENGTH_BYTES), "big")
        body = self._read(size) if 0 < size <= MAX_FRAME_BYTES else b""
        try:
            return decode_frame(body)
        except InvalidTensor:
            return None

    def _read(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self._socket.recv(size - len(parts))
            if not part:
                return b""
            parts += part
        return bytes(parts)


def _kill_group(pid: int) -> None:
    # The child leads a group of its own as soon as it runs; before that only it exists.
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _probe_and_exit(request: Mapping[str, Any], limits: Limits, parent: int) -> None:
    """What a child does; never returns."""
    code = _FAILED
    try:
        os.setsid()
        die_with_parent(parent)
        out = Path(request["out"])
        os.environ["HOME"] = os.environ["TMPDIR"] = os.environ["KERAS_HOME"] = str(out)
        os.chdir(out)
        apply(limits)
        order = Order.parse(request["order"])
        trunk = Order.parse(request["trunk"]) if request["trunk"] else None
        roots = (order.root, *((trunk.root,) if trunk else ()))
        lock_down(request["sandbox"], Access(reads=roots, writes=(out,)))
        probe(order, trunk, out)
        code = 0
    except BaseException:  # noqa: BLE001 - a forked child must not run its parent's code, whatever happens
        _log.exception("probe.failed")
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Run a zygote for the engine that started this process."""
    parser = argparse.ArgumentParser(prog="hub.runtime.zygote", description="Fork probes.")
    parser.add_argument("--fd", type=int, required=True, help="connected socket, inherited")
    parser.add_argument("--parent", type=int, required=True, help="process to die with")
    options = parser.parse_args()
    die_with_parent(options.parent)
    report_to_engine()
    Zygote(socket.socket(fileno=options.fd)).serve()


if __name__ == "__main__":
    main()
