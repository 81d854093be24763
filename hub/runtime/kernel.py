"""System calls that Python has no function for. Linux only; free of TensorFlow.

Law: a call that fails raises ``OSError`` with the kernel's number.

Source: syscall(2), prctl(2).
"""

import ctypes
import errno
import functools
import os
import sys

_PR_SET_NO_NEW_PRIVS = 38


def call(number: int, *arguments: int | ctypes.c_void_p | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make a system call; numbers are passed as wide as a register.

    Raises:
        OSError: It fails.
    """
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "this is not Linux")  # there the numbers mean other calls
    wide = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return _checked(_libc().syscall(ctypes.c_long(number), *wide))


def prctl(option: int, value: int) -> None:
    """Change an attribute of this thread.

    Raises:
        OSError: The kernel refuses.
    """
    _checked(_libc().prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))))


def give_up_privileges() -> None:
    """Have this thread, and all that it starts, never gain privileges, whatever they execute."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


@functools.cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
