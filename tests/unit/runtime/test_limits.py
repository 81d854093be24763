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


BOUNDED = """
import mmap
from hub.runtime.limits import WORKING_BYTES, bound_memory
print(bound_memory(1 << 20) > WORKING_BYTES)
try:
    bytearray(WORKING_BYTES + (2 << 20))
except MemoryError:
    print("no memory")
print(len(mmap.mmap(-1, WORKING_BYTES + (2 << 20), flags=mmap.MAP_SHARED)) > WORKING_BYTES)
print(len(bytearray(1 << 20)))
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout


def test_limits_hold_and_only_ever_shrink() -> None:
    assert run(LIMITED).split("\n")[:3] == ["True 40", "1", "no memory"]


def test_a_process_whose_parent_has_gone_already_ends_at_once() -> None:
    assert run(ORPHAN) == ""
    assert run(ORPHAN.replace("1 << 22", str(os.getpid()))) == "alive\n"


def test_a_worker_may_have_what_its_versions_take_and_room_to_work_and_no_more() -> None:
    assert run(BOUNDED).split("\n")[:4] == ["True", "no memory", "True", "1048576"]
