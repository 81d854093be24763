"""Measures how a hub serves, next to other servers with the same SavedModels, and to one process alone.

Two servers are up at a time, ours and another; they are asked in turns, so that what else the machine does strikes
both, and what is compared is each round's ratio. Before they are measured their answers are checked. Nothing fails
because something is slow, and a server that cannot run is reported: figures go to ``build/bench`` as JSON, tables and
a plot (`bench.serving_report`).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import servers, serving_heads, serving_report
from bench.processes import ROOT, CannotRun, end_cleanly_when_told, environment
from bench.servers import Server
from bench.serving_bodies import FORMS, KINDS, OWNER
from bench.serving_load import Asked, Asking, Load, median
from bench.serving_peers import PEERS, Peer, serving
from bench.serving_results import Alone, Compared, Limit, Results
from hub.client.client import Client
from hub.client.operations import Operations

_HEADS = "heads"
_MODELS = ("tiny", "text", "rnn", "mobilenet96", "mobilenet224", _HEADS)
_BY_ITSELF = ("bin", "tfs.grpc")
_QUICK_MODELS, _QUICK_PEERS = ("tiny", "mobilenet96"), ("triton", "mlserver", "litserve")
_MEASURED_WITHIN_S = 240


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, how long and how often."""

    models: Sequence[str]
    peers: Sequence[str]
    forms: Sequence[str]
    concurrencies: Sequence[int]
    seconds: int
    rounds: int
    device: str


class Bench:
    """One run."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        """Work below ``folder``.

        Raises:
            CannotRun: wrk is missing.
        """
        self._folder = folder
        self._models = folder / "models"
        self._plan = plan
        self._load = Load(folder, plan.seconds)
        self._short = Load(folder, 1)
        self.results = Results.begun(asdict(plan))

    def run(self) -> None:
        """Measure all that is planned."""
        _say(f"Making {', '.join(self._plan.models)} …")
        self._make()
        plain = [model for model in self._plan.models if model != _HEADS]
        if plain:
            with self._hub(plain) as hub:
                for model in plain:
                    with self._tried(f"hub, {model}"):
                        self._by_itself(hub, model)
                for peer in (peer for peer in PEERS if peer.name in self._plan.peers):
                    for model in plain:
                        with self._tried(f"{peer.name}, {model}"):
                            self._against(hub, peer, model)
        if _HEADS in self._plan.models:
            with self._tried("hub, heads"):
                self._heads()

    def _make(self) -> None:
        command = [sys.executable, "-m", "bench.serving_models", str(self._models), *self._plan.models]
        done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotRun(done.stderr[-1_000:])

    @contextmanager
    def _hub(self, models: Sequence[str]) -> Iterator[Server]:
        with servers.hub(self._folder / "hub", device=self._plan.device) as server:
            with Client(server.url, server.environment["HUB_TOKEN"]) as client:
                for model in models:
                    client.push(self._models / model / "1", f"{OWNER}/{model}")
            yield server

    @contextmanager
    def _tried(self, what: str) -> Iterator[None]:
        try:
            yield
        except CannotRun as error:
            self.results.troubles.append(f"{what}: {error}")
            _say(f"  {what}: {error}")

    def _ours(self, hub: Server, model: str, kind: str) -> Asking:
        name = f"{OWNER}/{model}"
        path = f"/v1/models/{name}:predict" if kind == "tfs.json" else f"/v2/models/{name}/infer"
        place = name if KINDS[kind].form == "grpc" else path
        return Asking.model(hub, kind, place, self._models / model / "requests")

    def _by_itself(self, hub: Server, model: str) -> None:
        """The hub with nobody beside it, and one process with TensorFlow and nothing else, in turns."""
        askings = [self._ours(hub, model, kind) for kind in _BY_ITSELF if KINDS[kind].form in self._plan.forms]
        askings = askings or [self._ours(hub, model, "bin")]
        for asking in askings:
            asking.check()
        _say(f"  {model:<13}{_until_measured(hub, f'{OWNER}/{model}@1')}")
        limits: list[dict[str, float]] = []
        runs: dict[tuple[str, int], list[Asked]] = {}
        with self._process(model) as (plain, way, process):
            for _ in range(self._plan.rounds):
                limits.append(_told(process))
                for asking in askings:
                    for concurrency in self._plan.concurrencies:
                        runs.setdefault((asking.kind.name, concurrency), []).append(self._load.ask(asking, concurrency))
        limit = Limit.of(model, way, plain, limits)
        self.results.limits.append(limit)
        _say(limit.line)
        for (kind, concurrency), asked in runs.items():
            alone = Alone(model, kind, concurrency, median(asked))
            self.results.alone.append(alone)
            _say(alone.line)

    @contextmanager
    def _process(self, model: str) -> Iterator[tuple[dict[str, float], str, "subprocess.Popen[str]"]]:
        """A process that measures itself: what it reached in the plain way, the way it chose, and the process."""
        command = [sys.executable, "-m", "bench.serving_limit", str(self._models), model, self._plan.device]
        with (
            (self._folder / "limit.log").open("ab") as log,
            subprocess.Popen(
                command, cwd=ROOT, env=environment(), stdin=-1, stdout=-1, stderr=log, text=True
            ) as process,
        ):
            try:
                begun = _told(process, asked=False)
                yield begun["plain"], begun["way"], process
            finally:
                process.kill()

    def _against(self, hub: Server, peer: Peer, model: str) -> None:
        """Compare with a peer."""
        places = {kind: place for kind, place in peer.places.items() if KINDS[kind].form in self._plan.forms}
        if not places:
            return
        with serving(peer, self._folder / f"{peer.name}-{model}", self._models, model) as other:
            for kind, place in places.items():
                theirs = Asking.model(other, kind, place, self._models / model / "requests")
                with self._tried(f"{peer.name}, {model}, {kind}"):
                    self._in_turns(model, peer.name, self._ours(hub, model, KINDS[kind].ours), theirs)

    def _in_turns(self, model: str, peer: str, ours: Asking, theirs: Asking) -> None:
        sides = (ours, theirs)
        ours.check()
        theirs.check(peer)
        for side in sides:
            self._short.ask(side, 4)
        for concurrency in self._plan.concurrencies:
            runs = [[self._load.ask(side, concurrency) for side in sides] for _ in range(self._plan.rounds)]
            found = Compared.of(model, peer, theirs.kind, concurrency, runs)
            if found is None:
                raise CannotRun(f"answered nothing at {concurrency}")
            self.results.compared.append(found)
            _say(found.line)

    def _heads(self) -> None:
        folder = self._models / _HEADS
        with servers.hub(self._folder / "hub-of-one", device=self._plan.device) as hub:
            one_mb = serving_heads.memory_of_one(hub, folder)
        with servers.hub(self._folder / "hub-of-heads", device=self._plan.device) as hub:
            serving_heads.push(hub, folder)
            plan = self._plan
            found = serving_heads.compare(hub, folder, self._load, plan.concurrencies, plan.rounds, one_mb)
        self.results.heads.extend(found)
        for each in found:
            _say(serving_heads.line(each))


def _told(process: "subprocess.Popen[str]", *, asked: bool = True) -> dict:
    """The next that the process alone says."""
    assert process.stdin is not None
    assert process.stdout is not None
    if asked:
        process.stdin.write("\n")
        process.stdin.flush()
    for line in process.stdout:
        if line.startswith("{"):  # what else it says is its log
            return json.loads(line)
    raise CannotRun("the process that measures itself ended")


def _until_measured(hub: Server, reference: str) -> str:
    """Wait until the hub knows how a version is called best, and give that."""
    with Operations(hub.url, hub.environment["HUB_TOKEN"]) as operations:
        until = time.monotonic() + _MEASURED_WITHIN_S
        while time.monotonic() < until:
            loaded = [version for worker in operations.workers().items for version in worker.loaded]
            calls = [call for version in loaded if version.reference == reference for call in version.calls.values()]
            if calls:
                return f"called {calls[0].way}, ratios {calls[0].ratios}"
            time.sleep(0.5)
    raise CannotRun(f"{reference} was not measured within {_MEASURED_WITHIN_S} s")


def _say(text: str) -> None:
    print(text, flush=True)


def _plan(arguments: Sequence[str] | None = None) -> tuple[Plan, Path]:
    parser = argparse.ArgumentParser(prog="bench.serving", description=__doc__)
    names = tuple(peer.name for peer in PEERS)

    def several(*known: str) -> dict:
        return {"type": lambda text: _several(text, known), "metavar": ",".join(known)}

    parser.add_argument("--models", help="also mobilenetSIDE", **several(*_MODELS))
    parser.add_argument("--peers", help="'none' for the hub alone", **several(*names, "none"))
    parser.add_argument("--forms", help="of bodies", **several(*FORMS))
    parser.add_argument("--device", default="cpu:0", help="what the hub serves on; on a GPU it is measured alone")
    parser.add_argument("--concurrency", help="connections: 1,8,32")
    parser.add_argument("--seconds", type=int, help="of each run")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true", help="a first look: two models, three peers, one short round")
    parser.add_argument("--out", type=Path, default=serving_report.OUT)
    given = parser.parse_args(arguments)
    quick = given.quick
    concurrency = given.concurrency or ("8" if quick else "1,8,32")
    plan = Plan(
        models=given.models or (_QUICK_MODELS if quick else _MODELS),
        peers=(given.peers or (_QUICK_PEERS if quick else names)) if given.device.startswith("cpu") else (),
        forms=given.forms or FORMS,
        concurrencies=[int(each) for each in concurrency.split(",")],
        seconds=given.seconds or (1 if quick else 4),
        rounds=given.rounds or (1 if quick else 3),
        device=given.device,
    )
    return plan, given.out


def _several(text: str, known: Sequence[str]) -> list[str]:
    chosen = text.split(",")
    for each in chosen:
        if each not in known and not (each.startswith("mobilenet") and "tiny" in known):
            raise argparse.ArgumentTypeError(f"{each!r} is none of {', '.join(known)}")
    return chosen


def main() -> None:
    """Run what was asked for."""
    plan, out = _plan()
    end_cleanly_when_told()
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as place:
        bench = Bench(Path(place), plan)
        try:
            bench.run()
        finally:
            _say(serving_report.write(bench.results, out))


if __name__ == "__main__":
    main()
