"""The sandbox: what a process that runs unknown models gives up before it loads the first one. Free of TensorFlow.

Two layers of the kernel: Landlock leaves it the interpreter and the libraries to read, and the files it was started
for; seccomp leaves it no network, no other program, no other process. ``python -m hub.runtime.sandbox`` tries both on
this machine and prints what holds.

Laws: nothing is ever loosened; a layer that the kernel lacks is left out and said, or, where it is required, is an
error; ``tried`` tells what holds here, not what ought to.

Source: landlock(7), seccomp(2).
"""

import errno
import functools
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

import orjson

import hub
from hub.domain.errors import NotAvailable
from hub.runtime import landlock, seccomp

Mode = Literal["auto", "require", "off"]
_TRIAL_S = 30
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
_FACTS = (
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/vm",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/dev/random",
    "/dev/urandom",
)
_GPU_FACTS = (
    "/proc/devices",
    "/proc/driver",
    "/proc/modules",
    "/proc/version",
    "/sys",
    "/etc/nvidia",
    "/usr/share/nvidia",
    "/dev/nvidia-caps",
)
_GPU_PROGRAMS = ("/usr/bin", "/usr/local/cuda")
_DEVICES = ("/dev/null", "/dev/zero")
_INSTALLED = ("site-packages", "dist-packages")
_UNTRIED = "it has not been tried with a GPU's driver; HUB_SANDBOX=require has it there, too"
_REMEDY = (
    "Run it on Linux 5.13 or later with Landlock, on x86_64, and let the container use both; or set HUB_SANDBOX=auto."
)


@dataclass(frozen=True, slots=True)
class Access:
    """What a locked process may touch besides the interpreter and its libraries.

    Attributes:
        reads: Files and folders to read.
        writes: Folders to work in.
        has_gpu: Whether it computes on a GPU: then it may use the driver's devices and start installed programs.
    """

    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    has_gpu: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """What is in force.

    Attributes:
        landlock: The version of its interface that covers the process; 0 where it does not.
        seccomp: Whether the filter holds.
        missing: Why what does not hold does not.
    """

    landlock: int = 0
    seccomp: bool = False
    missing: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether both layers hold."""
        return self.landlock > 0 and self.seccomp

    def __str__(self) -> str:
        layers = [f"Landlock {self.landlock}"] if self.landlock else []
        layers += ["seccomp"] if self.seccomp else []
        return "; ".join([" and ".join(layers) or "none", *self.missing])

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read what the module prints.

        Raises:
            ValueError: It is something else.
        """
        found = orjson.loads(data)
        return cls(int(found["landlock"]), bool(found["seccomp"]), tuple(found["missing"]))


OFF = Level(missing=("it is switched off by HUB_SANDBOX=off",))


def _here() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:  # it was removed meanwhile
        return None


_STARTED_IN = _here()  # Python looks for modules there, too; it may be anybody's folder


def lock_down(mode: Mode, access: Access) -> Level:
    """Lock this process, for good; before it has threads, because Landlock does not bind those.

    Raises:
        NotAvailable: A layer is required that the kernel lacks.
    """
    if mode == "off":
        return OFF
    missing, covers, is_filtered = [], 0, False
    try:
        if access.has_gpu and mode == "auto":
            raise OSError(errno.ENOTSUP, _UNTRIED)
        covers = landlock.restrict(_rules(access))
    except OSError as error:
        missing.append(f"Landlock is off: {error.strerror}")
    try:
        seccomp.install(may_start_processes=access.has_gpu)
        is_filtered = True
    except OSError as error:
        missing.append(f"seccomp is off: {error.strerror}")
    level = Level(covers, is_filtered, tuple(missing))
    if mode == "require":
        require(level)
    return level


def require(level: Level) -> None:
    """Insist on both layers.

    Raises:
        NotAvailable: One does not hold.
    """
    if not level.is_whole:
        raise NotAvailable(f"Models cannot be locked in as HUB_SANDBOX=require asks: {level}.", remedy=_REMEDY)


@functools.cache
def tried() -> Level:
    """What holds on this machine: tried once, in a process of its own."""
    command = [sys.executable, "-m", "hub.runtime.sandbox"]
    try:
        said = subprocess.run(command, capture_output=True, timeout=_TRIAL_S, check=True, stdin=subprocess.DEVNULL)
        return Level.parse(said.stdout)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        return Level(missing=(f"the trial failed: {type(error).__name__}",))


def in_force(mode: Mode) -> str:
    """What processes of this machine that run models are locked in by, in words.

    Raises:
        NotAvailable: A layer is required that does not hold.
    """
    if mode == "off":
        return str(OFF)
    level = tried()
    if mode == "require":
        require(level)
    return str(level)


def _rules(access: Access) -> landlock.Rules:
    _hold_own_facts()
    installed = (*_interpreter(), *map(Path, _LIBRARIES))
    programs = (*installed, *map(Path, _GPU_PROGRAMS)) if access.has_gpu else ()
    facts = (*_FACTS, *(_GPU_FACTS if access.has_gpu else ()))
    drivers = tuple(Path("/dev").glob("nvidia*")) if access.has_gpu else ()
    return landlock.Rules(
        reads=(*installed, *map(Path, facts), *access.reads),
        writes=access.writes,
        devices=(*map(Path, _DEVICES), *drivers),
        runs=programs,
    )


@functools.cache
def _interpreter() -> tuple[Path, ...]:
    """Where Python, its packages and the libraries that were asked for are; not the folder that it was started in."""
    package = Path(hub.__file__).parent
    entries = [Path(entry) for entry in sys.path if entry]
    checkouts = {package.parent, _STARTED_IN}
    packages = [entry for entry in entries if entry.name in _INSTALLED or entry not in checkouts]
    listed = (
        os.environ.get("LD_LIBRARY_PATH", "").split(":") + os.environ.get("LD_PRELOAD", "").replace(":", " ").split()
    )
    roots = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *filter(None, listed)]
    return tuple(dict.fromkeys([package, *packages, *map(Path, roots)]))


def _hold_own_facts() -> None:
    """Keep ``/proc/self`` open for as long as this process lives.

    A rule holds for one inode, and the kernel may make another one for a folder of ``/proc`` that nobody has open.
    """
    os.open("/proc/self", os.O_PATH | os.O_CLOEXEC)


def main() -> None:
    """Lock this process and print what holds."""
    level = lock_down("auto", Access())
    sys.stdout.write(orjson.dumps(asdict(level)).decode() + "\n")


if __name__ == "__main__":
    main()
