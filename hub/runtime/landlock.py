"""Landlock: which files a process may touch from now on, by ``Rules``. Linux 5.13 and later; free of TensorFlow.

Laws: what no rule allows is refused with ``EACCES``; nothing can be loosened afterwards, by anybody; a path that does
not exist allows nothing; nothing that is written can be executed. The kernel binds the calling thread and what it
starts later, not threads that run already: restrict before there are any. Files that are open stay usable.

The version of the kernel's interface (ABI) says what is covered: 1 files, 2 moving between folders, 3 cutting off,
4 TCP, 5 ioctl on devices, 6 signals and abstract Unix sockets. What no version covers is refused by ``seccomp``:
changing modes, owners and times.

Source: landlock(7), ``linux/landlock.h``.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hub.runtime.kernel import call, give_up_privileges

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every machine that has Landlock
_ASK_VERSION = 1
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_CHAR, _MAKE_DIR, _MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = (1 << bit for bit in range(6, 13))
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_HANDLED_SINCE = {1: (1 << 13) - 1, 2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEV}
_TCP_SINCE, _BIND_AND_CONNECT = 4, 3
_SCOPE_SINCE, _SOCKETS_AND_SIGNALS = 6, 3
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _READ_FILE | _READ_DIR
_CHANGE = _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SYM | _REFER


@dataclass(frozen=True, slots=True)
class Rules:
    """What a process may touch; files, or folders with all that is below them.

    Attributes:
        reads: What it may read.
        writes: What it may read and change.
        devices: Device files that it may use.
        runs: What it may read and execute.
    """

    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    devices: tuple[Path, ...] = ()
    runs: tuple[Path, ...] = ()


def version() -> int:
    """The kernel's version of the interface, at least 1.

    Raises:
        OSError: This kernel has no Landlock (``ENOSYS``), or it was switched off (``EOPNOTSUPP``).
    """
    return call(_CREATE_RULESET, None, 0, _ASK_VERSION)


def restrict(rules: Rules) -> int:
    """Put this thread under the rules, for good; without any TCP, and signals only for its own kind.

    Returns:
        The version of the interface, which says what is covered.

    Raises:
        OSError: The kernel cannot, or does not let us.
    """
    covers = version()
    handled = sum(bits for since, bits in _HANDLED_SINCE.items() if since <= covers)
    ruleset = _create(covers, handled)
    try:
        for paths, allowed in (
            (rules.reads, _READ),
            (rules.writes, _READ | _CHANGE),
            (rules.devices, _READ | _WRITE_FILE | _IOCTL_DEV),
            (rules.runs, _READ | _EXECUTE),
        ):
            _allow(ruleset, paths, allowed & handled)
        give_up_privileges()
        call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return covers


def _create(covers: int, handled: int) -> int:
    """A new set of rules; the structure is as long as the kernel knows it."""
    fields = [handled]
    if covers >= _TCP_SINCE:
        fields.append(_BIND_AND_CONNECT)
    if covers >= _SCOPE_SINCE:
        fields.append(_SOCKETS_AND_SIGNALS)
    attributes = ctypes.create_string_buffer(struct.pack(f"={len(fields)}Q", *fields), 8 * len(fields))
    return call(_CREATE_RULESET, attributes, len(attributes), 0)


def _allow(ruleset: int, paths: Iterable[Path], allowed: int) -> None:
    for path in paths:
        try:
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # it is not there, or not for us
        try:
            is_folder = stat.S_ISDIR(os.fstat(opened).st_mode)
            rights = allowed if is_folder else allowed & _OF_FILES
            call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.create_string_buffer(struct.pack("=Qi", rights, opened)), 0)
        finally:
            os.close(opened)
