"""Runs one command and says when it began and ended, how much CPU it took and how much memory at its peak.

This is a program of its own because Linux counts into the peak of a process what its parent held when it was forked:
started from here, from a Python with next to nothing in it, a command is seen as it is. Whatever the command prints
passes through; what is said here are lines that begin with ``@bench``.
"""

import json
import os
import sys
import time


def main() -> int:
    """Run ``sys.argv[1:]``."""
    begun = time.monotonic()
    process = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
    _tell({"mark": "start", "at": begun, "cpu_s": 0.0})
    _, status, usage = os.wait4(process, 0)
    ended = time.monotonic()
    cpu_s = usage.ru_utime + usage.ru_stime
    _tell({"mark": "exit", "at": ended, "cpu_s": cpu_s, "peak_bytes": usage.ru_maxrss << 10})
    return os.waitstatus_to_exitcode(status) & 0xFF


def _tell(fact: dict[str, object]) -> None:
    print(f"@bench {json.dumps(fact)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
