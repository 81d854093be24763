"""What the serving benchmark found: dataclasses that become JSON and come back from it, each with a line for people."""

import json
import os
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.processes import ROOT
from bench.serving_bodies import Kind
from bench.serving_heads import Crowd
from bench.serving_load import Asked, median


@dataclass(frozen=True, slots=True)
class Limit:
    """What one process with TensorFlow and nothing else reaches.

    In the plain way, with the graph that TensorFlow freezes (nothing where it cannot), and in the way that measured
    best. ``one_row_ms``, and ``rows_per_s_ROWSxTIMES``: rows a second in batches, one or two at a time. Medians of
    rounds.
    """

    model: str
    way: str
    plain: dict[str, float]
    frozen: dict[str, float]
    best: dict[str, float]

    @classmethod
    def of(cls, model: str, way: str, plain: dict[str, float], rounds: Sequence[dict[str, Any]]) -> "Limit":
        """Of several rounds."""
        frozen = [found for each in rounds for found in each["frozen"]]
        return cls(model, way, plain, _medians(frozen), _medians([each["best"] for each in rounds]))

    @property
    def line(self) -> str:
        """For people."""
        told = {"plain": self.plain, "frozen": self.frozen, self.way: self.best}
        shown = {way: "".join(f", {name} {value:.1f}" for name, value in found.items()) for way, found in told.items()}
        return "\n".join(f"  {self.model:<13}in process, {way}{each}" for way, each in shown.items() if each)


def most_per_s(found: dict[str, float]) -> float:
    """Rows a second, of whichever batches are best."""
    return max(value for name, value in found.items() if name.startswith("rows_per_s"))


def _medians(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(each[name] for each in rounds) for name in (rounds[0] if rounds else ())}


@dataclass(frozen=True, slots=True)
class Alone:
    """A hub with nobody beside it; medians."""

    model: str
    kind: str
    concurrency: int
    ours: Asked

    @property
    def line(self) -> str:
        """For people."""
        ours = self.ours
        return (
            f"  {self.model:<13}{self.kind:<11}{self.concurrency:>3}  hub {ours.rate:8,.0f}/s  "
            f"p50 {ours.p50_ms:.1f} ms  p99 {ours.p99_ms:.1f} ms  CPU {ours.cpu_ms:.2f} ms  "
            f"{ours.memory_mb:,.0f} MB  failed {ours.failed}"
        )


@dataclass(frozen=True, slots=True)
class Compared:
    """A hub and a peer on one kind of body; medians of rounds, and of each round's ratio also the extremes."""

    model: str
    kind: str
    form: str
    peer: str
    concurrency: int
    ours: Asked
    theirs: Asked
    ratio: float
    least: float
    most: float

    @classmethod
    def of(
        cls, model: str, peer: str, kind: Kind, concurrency: int, runs: Sequence[Sequence[Asked]]
    ) -> "Compared | None":
        """Of rounds of ours and theirs; None where they answered nothing."""
        ratios = sorted(ours.rate / theirs.rate for ours, theirs in runs if theirs.rate)
        if not ratios:
            return None
        ours, theirs = (median(side) for side in zip(*runs, strict=True))
        middle = statistics.median(ratios)
        return cls(model, kind.name, kind.form, peer, concurrency, ours, theirs, middle, ratios[0], ratios[-1])

    @property
    def line(self) -> str:
        """For people."""
        ours, theirs = self.ours, self.theirs
        return (
            f"  {self.model:<13}{self.kind:<11}{self.concurrency:>3}  hub {ours.rate:8,.0f}/s  "
            f"{self.peer:<9}{theirs.rate:8,.0f}/s  x {self.ratio:5.2f} [{self.least:.2f}–{self.most:.2f}]  "
            f"p50 {ours.p50_ms:.1f}/{theirs.p50_ms:.1f} ms  p99 {ours.p99_ms:.1f}/{theirs.p99_ms:.1f} ms  "
            f"CPU {ours.cpu_ms:.2f}/{theirs.cpu_ms:.2f} ms  {ours.memory_mb:,.0f}/{theirs.memory_mb:,.0f} MB  "
            f"failed {ours.failed}/{theirs.failed}"
        )


@dataclass(frozen=True, slots=True)
class Results:
    """All of one run, and what it ran on; ``troubles`` tells what did not."""

    machine: dict[str, Any]
    limits: list[Limit] = field(default_factory=list)
    alone: list[Alone] = field(default_factory=list)
    compared: list[Compared] = field(default_factory=list)
    heads: list[Crowd] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    @classmethod
    def begun(cls, plan: dict[str, Any]) -> "Results":
        """Of a run that begins."""
        return cls({"processor": _processor(), "cores": os.cpu_count(), "commit": _commit()} | _versions() | plan)

    @classmethod
    def read(cls, file: Path) -> "Results":
        """Of a run that was written."""
        found = json.loads(file.read_bytes())
        return cls(
            found["machine"],
            [Limit(**each) for each in found["limits"]],
            [Alone(**_asked(each)) for each in found["alone"]],
            [Compared(**_asked(each)) for each in found["compared"]],
            [Crowd(**_asked(each)) for each in found["heads"]],
            found["troubles"],
        )

    def write(self, file: Path) -> None:
        """Keep them as JSON."""
        file.write_text(json.dumps(asdict(self), indent=2))

    def best_peers(self) -> Iterator[Compared]:
        """For each model, form and concurrency the comparison that is worst for us."""
        best: dict[tuple[str, str, int], Compared] = {}
        for each in self.compared:
            key = (each.model, each.form, each.concurrency)
            if key not in best or each.ratio < best[key].ratio:
                best[key] = each
        yield from best.values()


def _asked(found: dict[str, Any]) -> dict[str, Any]:
    return {name: Asked(**value) if name in {"ours", "theirs", "asked"} else value for name, value in found.items()}


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _versions() -> dict[str, str]:
    found = {}
    for name in ("trunkhub", "tensorflow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
