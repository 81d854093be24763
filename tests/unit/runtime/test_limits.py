"""Limits, applied in processes of their own."""

import os
import subprocess
import sys

LIMITED = """
import resource
from hub.runtime.limits import Limits, apply
apply(Limits(cpu_s=7, address_space_bytes=1 << 30, file_bytes=1000, open_files=40))
apply(Limits(cpu_s=700, open_files=4000))
print(resource.getrlimit(resource.RLIMIT_CPU)[0] <= 7, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
print([line for line in open("/proc/self/status") if line.startswith("NoNewPrivs")][0].split()[1])
try:
    bytearray(2 << 30)
except MemoryError:
    print("no memory")
"""
ORPHAN = """
from hub.runtime.limits import die_with_parent
die_with_parent(1 << 22)
print("alive")
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout


def test_limits_hold_and_only_ever_shrink() -> None:
    assert run(LIMITED).split("\n")[:3] == ["True 40", "1", "no memory"]


def test_a_process_whose_parent_has_gone_already_ends_at_once() -> None:
    assert run(ORPHAN) == ""
    assert run(ORPHAN.replace("1 << 22", str(os.getpid()))) == "alive\n"
