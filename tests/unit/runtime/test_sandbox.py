"""The sandbox, in processes of its own."""

import errno
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from hub.domain.errors import NotAvailable
from hub.runtime import landlock, sandbox, seccomp
from hub.runtime.sandbox import Level

LEVEL = sandbox.tried()
needs_landlock = pytest.mark.skipif(not LEVEL.landlock, reason=str(LEVEL))
needs_seccomp = pytest.mark.skipif(not LEVEL.seccomp, reason=str(LEVEL))
LOCKED = """
import ctypes, errno, fcntl, json, os, signal, socket, subprocess, sys, threading
sys.path.insert(0, os.getcwd())  # as for a module that is run
from pathlib import Path
from hub.runtime.sandbox import Access, lock_down

own, other, shown = map(Path, sys.argv[1:4])
has_gpu = sys.argv[4:] == ["gpu"]
libc = ctypes.CDLL(None, use_errno=True)
left, right = socket.socketpair()
os.chdir(own)
mode = "require" if has_gpu else "auto"
lock_down(mode, Access(reads=(shown,), writes=(own,), has_gpu=has_gpu))
found = {}

def attempt(name, work):
    try:
        work()
        found[name] = ""
    except OSError as error:
        found[name] = errno.errorcode[error.errno]

def call(number, *arguments):
    if libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), "")

attempt("inet", socket.socket)
attempt("inet6", lambda: socket.socket(socket.AF_INET6))
attempt("unix", lambda: socket.socket(socket.AF_UNIX))
attempt("netlink", lambda: socket.socket(socket.AF_NETLINK))
attempt("pair", socket.socketpair)
attempt("pair of netlink", lambda: call(53, socket.AF_NETLINK, socket.SOCK_RAW, 0, 0))
attempt("open pair", lambda: left.send(b"x") and right.recv(1))
attempt("connect", lambda: left.connect(str(other / "socket")))
attempt("read outside", lambda: (other / "canary").read_bytes())
attempt("list outside", lambda: os.listdir(other))
attempt("write outside", lambda: (other / "written").write_bytes(b"x"))
attempt("append outside", lambda: open(other / "canary", "ab"))
attempt("cut outside", lambda: os.truncate(other / "canary", 0))
attempt("remove outside", lambda: (other / "canary").unlink())
attempt("link in", lambda: os.link(other / "canary", own / "linked"))
attempt("move in", lambda: (other / "canary").rename(own / "moved"))
(own / "link").symlink_to(other / "canary")
attempt("read by a symlink", lambda: (own / "link").read_bytes())
attempt("chmod outside", lambda: os.chmod(other / "canary", 0))
attempt("chown outside", lambda: os.chown(other / "canary", 0, 0))
attempt("touch outside", lambda: os.utime(other / "canary"))
attempt("read shown", lambda: (shown / "shown").read_bytes())
attempt("write shown", lambda: (shown / "written").write_bytes(b"x"))
attempt("own", lambda: (own / "a").write_bytes(b"x"))
attempt("own folder", lambda: (own / "folder").mkdir())
attempt("own rename", lambda: (own / "a").rename(own / "folder" / "b"))
attempt("own removal", lambda: (own / "folder" / "b").unlink())
attempt("own device", lambda: os.mknod(own / "device", 0o020600, os.makedev(1, 3)))
has_gpu or attempt("execve", lambda: os.execv("/bin/true", ["true"]))
attempt("subprocess", lambda: subprocess.run(["/bin/true"], check=True))
attempt("fork", lambda: os.fork() or os._exit(0))
attempt("kill", lambda: os.kill(os.getppid(), 0))
attempt("kill self", lambda: os.kill(os.getpid(), 0))
attempt("parent's environment", lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes())
attempt("own status", lambda: Path("/proc/self/status").read_text())
attempt("own memory", lambda: open("/proc/self/mem", "r+b"))
attempt("null", lambda: open("/dev/null", "r+b"))
attempt("terminal", lambda: fcntl.ioctl(right, 0x5412, b"x"))
numbers = {"ptrace": 101, "keyctl": 250, "bpf": 321, "perf": 298, "mount": 165, "userfaultfd": 323}
numbers |= {"io_uring": 425, "unshare": 272}
for name, number in numbers.items():
    attempt(name, lambda: call(number, 0, 0, 0, 0, 0, 0))
attempt("namespace by clone", lambda: call(56, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0))
attempt("clone3", lambda: call(435, 0, 0))
attempt("newer", lambda: call(463, 0, 0))
attempt("x32", lambda: call(0x40000000 + 39))
thread = threading.Thread(target=lambda: attempt("inet in a thread", socket.socket))
thread.start()
thread.join()
print(json.dumps(found))
"""
BY_SECCOMP = {
    **dict.fromkeys(("inet", "inet6", "unix", "netlink", "inet in a thread", "connect", "pair of netlink"), "EPERM"),
    **dict.fromkeys(("chmod outside", "chown outside", "touch outside", "own device", "terminal"), "EPERM"),
    **dict.fromkeys(("ptrace", "keyctl", "bpf", "perf", "mount", "userfaultfd", "io_uring", "unshare"), "EPERM"),
    **dict.fromkeys(("namespace by clone",), "EPERM"),
    **dict.fromkeys(("clone3", "newer", "x32"), "ENOSYS"),
}
NO_PROCESSES = dict.fromkeys(("execve", "subprocess", "fork", "kill"), "EPERM")
BY_LANDLOCK = dict.fromkeys(
    (
        *("read outside", "list outside", "write outside", "append outside", "cut outside", "remove outside"),
        *("read by a symlink", "write shown", "parent's environment", "own memory"),
    ),
    "EACCES",
)
ALLOWED = dict.fromkeys(
    (
        *("pair", "open pair", "read shown", "own", "own folder", "own rename", "own removal", "own status", "null"),
        "kill self",
    ),
    "",
)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Its own folder, somebody else's, and one that it is shown."""
    made = [tmp_path / name for name in ("own", "other", "shown")]
    for folder in made:
        folder.mkdir()
    (made[1] / "canary").write_bytes(b"secret")
    (made[2] / "shown").write_bytes(b"x")
    return made


def locked(folders: list[Path], *more: str) -> dict[str, str]:
    command = [sys.executable, "-c", LOCKED, *map(str, folders), *more]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=folders[1])
    return json.loads(ended.stdout)


def chosen(found: dict[str, str], wanted: dict[str, str]) -> dict[str, str]:
    return {name: found[name] for name in wanted}


@needs_landlock
@needs_seccomp
def test_a_locked_process_has_its_own_folder_and_what_it_is_shown_and_nothing_else(folders: list[Path]) -> None:
    found = locked(folders)
    wanted = BY_SECCOMP | NO_PROCESSES | BY_LANDLOCK | ALLOWED
    assert chosen(found, wanted) == wanted
    assert found["link in"] in ("EACCES", "EXDEV")
    assert found["move in"] in ("EACCES", "EXDEV")
    assert found.keys() - wanted.keys() == {"link in", "move in"}
    assert [path.name for path in folders[1].iterdir()] == ["canary"]
    assert (folders[1] / "canary").read_bytes() == b"secret"


@needs_landlock
@needs_seccomp
def test_beside_a_gpu_programs_can_be_started_and_all_else_is_refused(folders: list[Path]) -> None:
    found = locked(folders, "gpu")
    wanted = BY_SECCOMP | BY_LANDLOCK | ALLOWED
    assert chosen(found, wanted) == wanted
    assert found["subprocess"] == ""
    assert found["fork"] == ""


OWN_PROGRAM = """
import os, shutil, sys
from pathlib import Path
from hub.runtime.sandbox import Access, lock_down
own = Path(sys.argv[1])
shutil.copy("/bin/true", own / "true")
lock_down("require", Access(writes=(own,), has_gpu=True))
try:
    os.execv(own / "true", ["true"])
except OSError as error:
    print(error.errno)
"""


BESIDE_A_GPU = """
from hub.runtime.sandbox import Access, lock_down
level = lock_down("auto", Access(has_gpu=True))
print(level.landlock, level.seccomp, "GPU" in level.missing[0])
"""


def test_beside_a_gpu_files_are_closed_only_where_that_is_required() -> None:
    done = subprocess.run([sys.executable, "-c", BESIDE_A_GPU], capture_output=True, text=True, check=True)
    assert done.stdout.split()[::2] == ["0", "True"]


@needs_landlock
def test_what_a_process_wrote_is_not_executed_even_where_programs_are(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWN_PROGRAM, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert int(said) == errno.EACCES


def test_off_is_off(folders: list[Path]) -> None:
    code = (
        "import socket; from hub.runtime.sandbox import *; level = lock_down('off', Access()); socket.socket().close();"
        f"open({str(folders[1] / 'canary')!r}).close(); print(level)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said == "none; it is switched off by HUB_SANDBOX=off\n"


def test_another_machine_has_no_filter_and_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert seccomp.unavailable() == "the filter is written for x86_64, and this is riscv64"
    with pytest.raises(OSError, match="riscv64"):
        seccomp.install()


def test_auto_says_what_is_missing_and_require_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(landlock, "restrict", absent)
    monkeypatch.setattr(seccomp, "install", absent)
    level = sandbox.lock_down("auto", sandbox.Access())
    assert not level.is_whole
    said = "none; Landlock is off: Function not implemented; seccomp is off: Function not implemented"
    assert str(level) == said
    with pytest.raises(NotAvailable, match="Landlock is off") as caught:
        sandbox.lock_down("require", sandbox.Access())
    assert "HUB_SANDBOX=auto" in str(caught.value.remedy)


def test_a_level_says_itself() -> None:
    assert str(Level(7, True)) == "Landlock 7 and seccomp"
    assert str(Level(7, False, ("seccomp is off: no",))) == "Landlock 7; seccomp is off: no"
    assert Level.parse(b'{"landlock": 7, "seccomp": false, "missing": ["x"]}') == Level(7, False, ("x",))
