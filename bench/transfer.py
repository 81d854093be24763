"""Measures how a hub moves models, against other programs that move the same bytes on the same machine.

Contenders take turns in one run, in another order every round. Nothing fails because something is slow: the figures
are printed, and written to ``build/bench``.
"""

import argparse
import json
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.arena import STORES, Arena, counted_hub, timed_arena
from bench.contenders import Subject, pulls, pushes, warm_pulls
from bench.contents import Contents
from bench.measure import Contender, Result, Setting, run_rounds
from bench.processes import ROOT, CannotRun, end_cleanly_when_told, own_folder
from bench.report import Measured, as_json, figure_lines, figures, resent_lines, table
from bench.resent import SCENARIOS as RESENT
from bench.resent import Resent, push_again
from hub.domain.errors import HubError

_LARGE, _SMALL = "large", "small"
TIMED: dict[str, tuple[str, Callable[[Subject], list[Contender]]]] = {
    "push": (_LARGE, pushes),
    "pull": (_LARGE, pulls),
    "warm": (_LARGE, warm_pulls),
    "small-push": (_SMALL, pushes),
    "small-pull": (_SMALL, pulls),
}
_QUICK_MB, _QUICK_ROUNDS = 128, 1
_OUT = ROOT / "build" / "bench"


@dataclass(slots=True)
class Bench:
    """One run of everything that was asked for.

    Attributes:
        contents: What is moved.
        rounds: How often.
        scenarios: Which ones.
        chance: Shuffles the contenders.
        folder: Where everything is while it runs.
    """

    contents: Contents
    rounds: int
    scenarios: Sequence[str]
    chance: random.Random
    folder: Path
    measured: list[Measured] = field(default_factory=list)
    resent: list[Resent] = field(default_factory=list)

    def run(self, store: str) -> None:
        """Measure on one store, and tell."""
        timed = [name for name in TIMED if name in self.scenarios]
        if timed:
            self._timed(store, timed)
        again = [name for name in RESENT if name in self.scenarios]
        if again:
            self._again(store, again)

    def _timed(self, store: str, scenarios: Sequence[str]) -> None:
        left = list(scenarios)
        try:
            with own_folder("bench-timed-") as folder, timed_arena(store, folder, self.contents.folder) as arena:
                while left:
                    self._scenario(arena, left.pop(0))
        except CannotRun as error:
            for scenario in left:
                self._note(store, scenario, str(error))

    def _note(self, store: str, scenario: str, trouble: str) -> None:
        """Keep that a scenario could not be measured."""
        self.measured.append(Measured(store, scenario, (Result("every contender", 0, trouble=trouble),)))
        print(f"\n{store}: {scenario}: cannot run: {trouble}", flush=True)

    def _scenario(self, arena: Arena, scenario: str) -> None:
        print(f"\n{arena.store}: {scenario} …")
        word, contenders_of = TIMED[scenario]
        model = self.contents.large if word == _LARGE else self.contents.small
        arena.clean()
        try:
            contenders = contenders_of(Subject(arena, word, model))
        except (CannotRun, HubError, subprocess.CalledProcessError) as error:
            self._note(arena.store, scenario, str(error))
            return
        setting = Setting(arena.environment(), arena.pids)
        results = run_rounds(contenders, self.rounds, self.chance, setting)
        self.measured.append(Measured(arena.store, scenario, tuple(results)))
        _say(table(self.measured[-1]))

    def _again(self, store: str, scenarios: Sequence[str]) -> None:
        found = []
        try:
            with own_folder("bench-resent-") as folder, counted_hub(store, folder) as hub:
                for scenario in scenarios:
                    print(f"\n{store}: {RESENT[scenario]} …")
                    found.append(push_again(scenario, store, hub, self.contents))
        except (CannotRun, HubError) as error:
            found += [Resent(store, name, trouble=str(error)) for name in scenarios[len(found) :]]
        self.resent += found
        _say(resent_lines(found))


def main() -> None:
    """Measure what was asked for."""
    end_cleanly_when_told()
    given = _arguments()
    size_mb, rounds = (_QUICK_MB, _QUICK_ROUNDS) if given.quick else (given.size_mb, given.rounds)
    scenarios = given.only or [*TIMED, *RESENT]
    settings = {
        "size_mb": size_mb,
        "rounds": rounds,
        "stores": given.stores,
        "scenarios": scenarios,
        "seed": given.seed,
    }
    _require_room(size_mb, rounds)
    with own_folder("bench-contents-") as folder:
        bench = Bench(Contents(folder, size_mb), rounds, scenarios, random.Random(given.seed), folder)
        print(f"Making models of {size_mb} MiB …")
        bench.contents.make_large(rounds)
        for store in given.stores:
            bench.run(store)
    found = list(figures(bench.measured, bench.resent))
    print("\nWhat the project cares about (ratios of rates, medians of all rounds)")
    _say(figure_lines(found))
    given.out.mkdir(parents=True, exist_ok=True)
    report = as_json(settings, bench.measured, bench.resent, found)
    (given.out / "transfer.json").write_text(json.dumps(report, indent=1) + "\n")
    _draw(bench.measured, given.out / "transfer.png")
    print(f"\nIn {given.out}: transfer.json, transfer.png")


def _draw(measured: Sequence[Measured], target: Path) -> None:
    try:
        from bench.plot import draw

        draw(measured, target)
    except ImportError as error:
        print(f"No plot: {error.name} is missing, it is in the bench group.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-mb", type=int, default=1_024, help="MiB of the large model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stores", type=_stores, default=list(STORES), help="directory,seaweedfs")
    parser.add_argument("--only", action="append", choices=[*TIMED, *RESENT], help="this scenario; may be repeated")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_MB} MiB, one round")
    parser.add_argument("--seed", type=int, default=0, help="of the order of contenders")
    parser.add_argument("--out", type=Path, default=_OUT)
    return parser.parse_args()


def _stores(text: str) -> list[str]:
    chosen = text.split(",")
    if unknown := set(chosen) - set(STORES):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: there is {' and '.join(STORES)}")
    return chosen


def _require_room(size_mb: int, rounds: int) -> None:
    """Models, the hub's blobs and snapshots, and what an object store keeps of deleted things until it cleans up."""
    needed = (10 + 8 * rounds) * (size_mb << 20)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < needed:
        raise SystemExit(
            f"{tempfile.gettempdir()} has {free >> 30} GiB free, this may need {needed >> 30}: set TMPDIR, "
            "or ask for fewer --rounds or a smaller --size-mb."
        )


def _say(lines: Iterator[str]) -> None:
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()
