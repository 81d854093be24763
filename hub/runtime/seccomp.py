"""seccomp: system calls that a process may make no more from now on. Linux on x86_64; free of TensorFlow.

Laws: what is refused answers ``EPERM``, so that errors can be read, and nothing is killed; calls that are newer than
this file, and ``clone3``, whose flags a filter cannot see, answer ``ENOSYS``, upon which the C library takes an older
one; a call made in another way than this machine's own (32 bits) is refused; the filter binds all threads at once and
can never be taken off. Everything else stays allowed: TensorFlow and drivers need much that is hard to list, and files
are Landlock's business.

Source: seccomp(2), ``linux/seccomp.h``, ``linux/filter.h``, ``asm/unistd_64.h``.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator

from hub.runtime.kernel import call, give_up_privileges

MACHINE = "x86_64"
_SECCOMP, _SET_MODE_FILTER = 317, 1
_ALL_THREADS, _KEEP_SPECULATION = 1, 4  # without the latter, kernels before 5.16 slow the process down
_ARCHITECTURE = 0xC000003E  # AUDIT_ARCH_X86_64
_NEWEST_KNOWN = 462  # mseal, Linux 6.10; calls of the x32 ABI have numbers far above
_LOAD, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06  # BPF_LD|W|ABS, BPF_JMP|…|K, BPF_RET|K
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_ARGUMENTS = 0, 4, 16
_CLONE, _CLONE3, _KILL, _TGKILL, _PRLIMIT64, _SOCKETPAIR, _IOCTL = 56, 435, 62, 234, 302, 53, 16
_AF_UNIX, _TIOCSTI, _CLONE_THREAD = 1, 0x5412, 0x00010000
_CLONE_NAMESPACES = 0x7E020000
_REFUSED = {
    "sockets": "41 socket, 42 connect, 43 accept, 49 bind, 50 listen, 288 accept4",
    "io_uring": "425 io_uring_setup, 426 io_uring_enter, 427 io_uring_register",
    "others' memory": "101 ptrace, 310 process_vm_readv, 311 process_vm_writev, 312 kcmp, 434 pidfd_open, "
    "438 pidfd_getfd, 440 process_madvise, 448 process_mrelease, 256 migrate_pages",
    "others' signals": "129 rt_sigqueueinfo, 200 tkill, 297 rt_tgsigqueueinfo, 424 pidfd_send_signal",
    "kernel": "298 perf_event_open, 321 bpf, 323 userfaultfd, 175 init_module, 313 finit_module, 176 delete_module, "
    "246 kexec_load, 320 kexec_file_load, 169 reboot, 103 syslog, 156 _sysctl, 172 iopl, 173 ioperm, 154 modify_ldt, "
    "135 personality, 134 uselib, 136 ustat, 139 sysfs, 153 vhangup, 163 acct, 167 swapon, 168 swapoff, "
    "179 quotactl, 443 quotactl_fd, 180 nfsservctl, 212 lookup_dcookie, 447 memfd_secret",
    "keys": "248 add_key, 249 request_key, 250 keyctl",
    "mounts and namespaces": "165 mount, 166 umount2, 155 pivot_root, 161 chroot, 272 unshare, 308 setns, "
    "428 open_tree, 429 move_mount, 430 fsopen, 431 fsconfig, 432 fsmount, 433 fspick, 442 mount_setattr",
    "clocks and names": "159 adjtimex, 164 settimeofday, 227 clock_settime, 305 clock_adjtime, 170 sethostname, "
    "171 setdomainname",
    "files past their folder": "303 name_to_handle_at, 304 open_by_handle_at, 300 fanotify_init, 301 fanotify_mark, "
    "133 mknod, 259 mknodat",
    "modes, owners, times": "90 chmod, 91 fchmod, 268 fchmodat, 452 fchmodat2, 92 chown, 93 fchown, 94 lchown, "
    "260 fchownat, 188 setxattr, 189 lsetxattr, 190 fsetxattr, 197 removexattr, 198 lremovexattr, 199 fremovexattr, "
    "132 utime, 235 utimes, 261 futimesat, 280 utimensat",
    "System V": "29 shmget, 30 shmat, 64 semget, 68 msgget, 240 mq_open",
}
_PROCESSES = "57 fork, 58 vfork, 59 execve, 322 execveat"


def unavailable() -> str:
    """Why there is no filter for this machine; empty where there is one."""
    machine = platform.machine()
    if machine != MACHINE or struct.calcsize("P") != struct.calcsize("Q"):
        return f"the filter is written for {MACHINE}, and this is {machine}"
    return ""


def install(*, may_start_processes: bool = False) -> None:
    """Refuse the calls to all threads of this process, for good.

    Args:
        may_start_processes: Whether other programs may still be started; they are under the same filter.

    Raises:
        OSError: The kernel cannot, or does not let us.
    """
    if reason := unavailable():
        raise OSError(errno.ENOSYS, reason)
    program = b"".join(_program(os.getpid(), may_start_processes=may_start_processes))
    instructions = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
    give_up_privileges()
    flags = _ALL_THREADS | _KEEP_SPECULATION
    if call(_SECCOMP, _SET_MODE_FILTER, flags, ctypes.create_string_buffer(header)):
        raise OSError(errno.EBUSY, "a thread has a filter of its own")  # the kernel gave that thread's number


def _program(pid: int, *, may_start_processes: bool) -> Iterator[bytes]:
    """The filter's instructions."""
    yield _step(_LOAD, _OFFSET_ARCHITECTURE)
    yield _step(_EQUAL, _ARCHITECTURE, on_true=1)
    yield _refuse()
    yield _step(_LOAD, _OFFSET_NUMBER)
    yield _step(_GREATER, _NEWEST_KNOWN, on_false=1)
    yield _refuse(errno.ENOSYS)
    yield _step(_EQUAL, _CLONE3, on_false=1)
    yield _refuse(errno.ENOSYS)
    for number in _numbers(*_REFUSED.values(), *(() if may_start_processes else (_PROCESSES,))):
        yield _step(_EQUAL, number, on_false=1)
        yield _refuse()
    yield from _only_if(_SOCKETPAIR, 0, _EQUAL, _AF_UNIX)
    yield from _not_if(_IOCTL, 1, _EQUAL, _TIOCSTI)
    yield from _not_if(_CLONE, 0, _ANY_BIT, _CLONE_NAMESPACES)
    if not may_start_processes:
        yield from _only_if(_CLONE, 0, _ANY_BIT, _CLONE_THREAD)
        yield from _only_if(_KILL, 0, _EQUAL, pid)
        yield from _only_if(_TGKILL, 0, _EQUAL, pid)
        yield from _only_if(_PRLIMIT64, 0, _EQUAL, 0, pid)
    yield _step(_RETURN, _ALLOW)


def _numbers(*groups: str) -> list[int]:
    return [int(entry.split()[0]) for group in groups for entry in group.split(",")]


def _only_if(number: int, argument: int, test: int, *values: int) -> Iterator[bytes]:
    """Refuse a call unless one of its arguments, of 32 bits, passes the test with one of the values."""
    yield _step(_EQUAL, number, on_false=3 + len(values))
    yield _step(_LOAD, _OFFSET_ARGUMENTS + 8 * argument)
    for left in range(len(values), 0, -1):
        yield _step(test, values[-left], on_true=left)
    yield _refuse()
    yield _step(_LOAD, _OFFSET_NUMBER)


def _not_if(number: int, argument: int, test: int, value: int) -> Iterator[bytes]:
    """Refuse a call if one of its arguments, of 32 bits, passes the test."""
    yield _step(_EQUAL, number, on_false=4)
    yield _step(_LOAD, _OFFSET_ARGUMENTS + 8 * argument)
    yield _step(test, value, on_false=1)
    yield _refuse()
    yield _step(_LOAD, _OFFSET_NUMBER)


def _refuse(number: int = errno.EPERM) -> bytes:
    return _step(_RETURN, _ERRNO | number)


def _step(code: int, operand: int, *, on_true: int = 0, on_false: int = 0) -> bytes:
    """One instruction; jumps count the instructions that are passed over."""
    return struct.pack("=HBBI", code, on_true, on_false, operand)
