"""Measuring: one command at a time, its clock, its CPU and memory, and the CPU that servers spent meanwhile.

A contender runs as a process of its own, from its start to its end; programs of the benchmark may say in between where
they are (`tell`), so that a stretch of the way can be looked at by itself. Before each run the disk has caught up and
the servers have calmed down. CPU of servers is that of their whole process trees, ended children included.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import ROOT

TIMEOUT_S = 1_200
_LAUNCHER = str(ROOT / "bench" / "launch.py")
_PREFIX = b"@bench "
_TICKS = os.sysconf("SC_CLK_TCK")
_CALM_CPU = 0.05
_CALM_WAIT_S = 60.0
_SHOWN_ERROR = 600


def tell(mark: str, **facts: object) -> None:
    """Say from inside of a measured program where it is; the clock is the one that the measuring process reads."""
    fact = {"mark": mark, "at": time.monotonic(), "cpu_s": time.process_time()} | facts
    print(f"{_PREFIX.decode()}{json.dumps(fact)}", flush=True)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a run with a row of its own: from one mark to another."""

    label: str = ""
    begin: str = "start"
    end: str = "exit"


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do what a scenario is about.

    Attributes:
        name: What it is called.
        command: What to run in a round.
        size: Bytes that are moved.
        before: Makes ready for a round, outside of the clock.
        after: Cleans up after a round.
        stretches: What is reported of a run.
        missing: Why it cannot run; empty where it can.
    """

    name: str
    command: Callable[[int], Sequence[str]]
    size: int
    before: Callable[[int], None] = lambda _: None
    after: Callable[[int], None] = lambda _: None
    stretches: tuple[Stretch, ...] = (Stretch(),)
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run, or one stretch of it; ``ready_s`` is how long its program took to start, where it tells."""

    seconds: float
    client_cpu_s: float
    server_cpu_s: float
    peak_bytes: int
    ready_s: float | None = None


@dataclass(slots=True)
class Result:
    """All runs of a contender; ``trouble`` where it could not run, or did not always come to a good end."""

    name: str
    size: int
    samples: list[Sample] = field(default_factory=list)
    trouble: str = ""


def run_rounds(contenders: Sequence[Contender], rounds: int, chance: random.Random, setting: "Setting") -> list[Result]:
    """Run all contenders in every round, each round in another order, so that noise hits all alike."""
    results = {
        (each.name, stretch.label): Result(f"{each.name}{stretch.label}", each.size, trouble=each.missing)
        for each in contenders
        for stretch in each.stretches
    }
    able = [each for each in contenders if not each.missing]
    for number in range(rounds):
        for each in chance.sample(able, len(able)):
            run = setting.run(each, number)
            for stretch in each.stretches:
                result = results[each.name, stretch.label]
                sample = run.sample(stretch)
                result.trouble = run.trouble or ("" if sample else f"never came to {stretch.end!r}") or result.trouble
                if sample is not None and not run.trouble:
                    result.samples.append(sample)
    return list(results.values())


@dataclass(frozen=True, slots=True)
class Setting:
    """Where commands run: their environment, and the servers whose CPU counts."""

    environment: Mapping[str, str]
    servers: tuple[int, ...] = ()

    def run(self, contender: Contender, number: int) -> "Run":
        """Run a contender once."""
        contender.before(number)
        os.sync()
        calm_down(self.servers)
        try:
            run = self._run(contender.command(number))
        finally:
            contender.after(number)
        _progress(contender, number, run)
        return run

    def _run(self, command: Sequence[str]) -> "Run":
        launched = [sys.executable, "-I", "-S", _LAUNCHER, *command]
        options = {"env": dict(self.environment), "cwd": ROOT, "stdin": subprocess.DEVNULL, "start_new_session": True}
        run = Run(before_cpu_s=tree_cpu_s(self.servers))
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(launched, stdout=subprocess.PIPE, stderr=errors, **options) as process,
        ):
            timer = threading.Timer(TIMEOUT_S, os.killpg, (process.pid, signal.SIGKILL))
            timer.start()
            try:
                for line in process.stdout or ():
                    if line.startswith(_PREFIX):
                        fact = json.loads(line.removeprefix(_PREFIX))
                        run.marks[fact["mark"]] = fact | {"server_cpu_s": tree_cpu_s(self.servers)}
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            finally:
                timer.cancel()
            if process.wait() != 0:
                errors.seek(max(0, errors.seek(0, os.SEEK_END) - _SHOWN_ERROR))
                said = errors.read().decode(errors="replace").strip()
                run.trouble = f"ended with {process.returncode}: {said.splitlines()[-1] if said else 'said nothing'}"
        return run


@dataclass(slots=True)
class Run:
    """What was seen of one run: its marks by name."""

    before_cpu_s: float
    marks: dict[str, dict[str, float]] = field(default_factory=dict)
    trouble: str = ""

    def sample(self, stretch: Stretch) -> Sample | None:
        """A stretch of it; None where it never got there."""
        begin, end, last = (self.marks.get(name) for name in (stretch.begin, stretch.end, "exit"))
        if begin is None or end is None or last is None:
            return None
        servers_before = self.before_cpu_s if stretch.begin == "start" else begin["server_cpu_s"]
        ready = self.marks.get("ready")
        return Sample(
            seconds=end["at"] - begin["at"],
            client_cpu_s=end["cpu_s"] - begin["cpu_s"],
            server_cpu_s=end["server_cpu_s"] - servers_before,
            peak_bytes=int(last["peak_bytes"]),
            ready_s=ready["at"] - begin["at"] if ready and stretch.begin == "start" else None,
        )


def tree_cpu_s(roots: Sequence[int]) -> float:
    """CPU seconds of processes, of all that descend from them, and of those among these that have ended."""
    return sum(_tree(roots).values())


def tree_memory_bytes(roots: Sequence[int]) -> int:
    """Memory of processes and of all that descend from them; what several share counts once. Source: proc(5)."""
    total = 0
    for pid in _tree(roots):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # it has just ended
        total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
    return total


def tree(roots: Sequence[int]) -> list[int]:
    """Processes and all that descend from them."""
    return list(_tree(roots))


def _tree(roots: Sequence[int]) -> dict[int, float]:
    """CPU seconds by process."""
    if not roots:
        return {}
    found = dict(_processes())
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in found.items():
        children.setdefault(parent, []).append(pid)
    waiting, spent = list(roots), {}
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        if pid in found:
            spent[pid] = found[pid][1]
    return spent


def _processes() -> Iterator[tuple[int, tuple[int, float]]]:
    """Parent and CPU seconds, with those of children that were waited for, of every process. Source: proc(5)."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            yield int(folder.name), (int(fields[1]), sum(map(int, fields[11:15])) / _TICKS)


def calm_down(servers: Sequence[int], wait_s: float = _CALM_WAIT_S) -> None:
    """Wait until servers have next to nothing to do."""
    end = time.monotonic() + wait_s
    while servers and time.monotonic() < end:
        before = tree_cpu_s(servers)
        time.sleep(0.5)
        if tree_cpu_s(servers) - before <= _CALM_CPU:
            return


def _progress(contender: Contender, number: int, run: Run) -> None:
    took = [sample for stretch in contender.stretches if (sample := run.sample(stretch))]
    shown = ", ".join(f"{sample.seconds:.2f} s" for sample in took) if took and not run.trouble else run.trouble
    print(f"  round {number + 1}  {contender.name:<44} {shown}", file=sys.stderr, flush=True)
