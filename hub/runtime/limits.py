"""What a process that runs unknown models may use, and how it is tied to its parent. Linux only; free of TensorFlow.

Laws: limits only ever shrink; a limited process cannot gain privileges; it dies with the process that started it.
"""

import os
import resource
import signal
from dataclasses import dataclass
from pathlib import Path

from hub.runtime.kernel import give_up_privileges, prctl

_PR_SET_PDEATHSIG = 1
_GIB = 1 << 30
WORKING_BYTES = 4 * _GIB
"""What a worker may have beside its versions: to load and compile them, to compute, and for what is on its way."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one probe may use.

    The address space is more than the memory in use: TensorFlow alone maps about 2 GiB.
    """

    wall_s: float = 180.0
    cpu_s: int = 300
    address_space_bytes: int = 8 * _GIB
    file_bytes: int = _GIB // 4
    open_files: int = 512


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """What one answer may have, all its outputs together."""

    elements: int = 1 << 24
    size_bytes: int = 128 << 20


def bound_memory(budget_bytes: int) -> int:
    """Keep this process from ever having much more memory of its own than its versions may take.

    Counted is what it may write to and shares with nobody, with what it has now: not files or libraries it maps.

    Returns:
        The bytes it may have.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    now = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData:"))
    _shrink(resource.RLIMIT_DATA, now + budget_bytes + WORKING_BYTES)
    return resource.getrlimit(resource.RLIMIT_DATA)[0]


def apply(limits: Limits) -> None:
    """Put this process under the limits, for good."""
    _shrink(resource.RLIMIT_CPU, limits.cpu_s, spare=1)
    _shrink(resource.RLIMIT_AS, limits.address_space_bytes)
    _shrink(resource.RLIMIT_FSIZE, limits.file_bytes)
    _shrink(resource.RLIMIT_NOFILE, limits.open_files)
    _shrink(resource.RLIMIT_CORE, 0)
    give_up_privileges()


def die_with_parent(parent: int) -> None:
    """Have this process killed when ``parent`` ends; exits at once when it has ended already.

    The kernel watches the thread that started the process: for a child of asyncio, the thread of the event loop.
    """
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _shrink(kind: int, value: int, *, spare: int = 0) -> None:
    """Lower a limit; with ``spare`` the kernel warns first (``SIGXCPU``), so that the ending says why."""
    hard = resource.getrlimit(kind)[1]
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard - spare)
    resource.setrlimit(kind, (allowed, allowed + spare))
