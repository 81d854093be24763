"""Measures how a hub serves, next to other servers with the same SavedModels, and to one process alone.

Two servers are up at a time, ours and another; they are asked in turns, so that what else the machine does strikes
both, and what is compared is each round's ratio. wrk sends one fixed body over and over. Nothing fails because
something is slow: the figures are printed, and written to ``build/bench``.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import servers
from bench.measure import tree_cpu_s
from bench.processes import ROOT, CannotRun, environment, needed
from bench.servers import Server
from bench.serving_peers import PEERS, Peer, serving
from hub.client.client import Client
from hub.client.operations import Operations

_MODELS = ("tiny", "rnn", "mobilenet96", "mobilenet224")
_OUT = ROOT / "build" / "bench"
_SETTLE_S = 6
_MEASURED_WITHIN_S = 240
_WRK = """
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
wrk.method, wrk.body = "POST", file:read("*a")
file:close()
local length = os.getenv("BENCH_HEADER_LENGTH")
wrk.headers["Content-Type"] = length and "application/octet-stream" or "application/json"
if length then wrk.headers["Inference-Header-Content-Length"] = length end
function done(summary, latency, requests)
  local wrong = summary.errors
  local failed = wrong.status + wrong.connect + wrong.read + wrong.write + wrong.timeout
  io.write(string.format('RESULT {"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "failed": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, failed))
end
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one run of wrk saw."""

    rate: float
    p50_ms: float
    p99_ms: float
    failed: int
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Compared:
    """A hub and a peer on one body, round by round; medians."""

    model: str
    body: str
    peer: str
    concurrency: int
    ours: Asked
    theirs: Asked
    ratio: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Alone:
    """A hub with nobody beside it; medians."""

    model: str
    concurrency: int
    ours: Asked


class Bench:
    """One run over some models."""

    def __init__(self, folder: Path, device: str, seconds: int, rounds: int) -> None:
        """Serve on ``device`` and work below ``folder``; each run of wrk takes ``seconds``."""
        self._folder = folder
        self._device = device
        self._seconds = seconds
        self._rounds = rounds
        self._wrk = needed("wrk", "a package of the system: apt-get install wrk")
        (folder / "post.lua").write_text(_WRK)
        self.alone: list[Alone] = []
        self.compared: list[Compared] = []
        self.troubles: list[str] = []

    def make(self, models: list[str]) -> None:
        """Make the models and bodies."""
        _say(f"Making {', '.join(models)} …")
        self._tensorflow(str(self._folder / "models"), *models)

    def limit(self, model: str) -> dict[str, dict[str, float]]:
        """What one process alone reaches."""
        answer = self._tensorflow("limit", str(self._folder / "models"), model, self._device)
        found: dict[str, dict[str, float]] = json.loads(answer.splitlines()[-1])
        return found

    def _tensorflow(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "bench.serving_models", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotRun(done.stderr[-1_000:])
        return done.stdout

    @contextmanager
    def hub(self, models: list[str]) -> Iterator[Server]:
        """A hub that has the models."""
        with servers.hub(self._folder / "hub", device=self._device) as server:
            with Client(server.url, server.environment["HUB_TOKEN"]) as client:
                for model in models:
                    client.push(self._folder / "models" / model / "1", f"bench/{model}")
            yield server

    def by_itself(self, hub: Server, model: str, concurrencies: list[int]) -> None:
        """Measure the hub alone, in binary."""
        path = f"/v2/models/bench/{model}/infer"
        self._ask(hub, path, model, "bin", 4)
        _say(f"  {model:<13}{_until_measured(hub, f'bench/{model}@1')}")
        for concurrency in concurrencies:
            ours = _median([self._ask(hub, path, model, "bin", concurrency) for _ in range(self._rounds)])
            self.alone.append(Alone(model, concurrency, ours))
            _say(
                f"  {model:<13}bin        {concurrency:>3}  hub {ours.rate:8,.0f}/s  p50 {ours.p50_ms:.1f} ms  "
                f"p99 {ours.p99_ms:.1f} ms  CPU {ours.cpu_ms:.2f} ms  failed {ours.failed}"
            )

    def against(self, hub: Server, peer: Peer, model: str, concurrencies: list[int]) -> None:
        """Compare with a peer."""
        folder = self._folder / f"{peer.name}-{model}"
        try:
            with serving(peer, folder, self._folder / "models", model) as other:
                for body, place in peer.places.items():
                    ours = f"/v2/models/bench/{model}/infer"
                    our_body = "oip.json" if body == "lists.json" else body
                    for server, path, kind in ((hub, ours, our_body), (other, place, body)):
                        self._ask(server, path, model, kind, 4)
                    time.sleep(_SETTLE_S)  # the hub measures how the model is called best
                    for concurrency in concurrencies:
                        runs = [
                            [
                                self._ask(server, path, model, kind, concurrency)
                                for server, path, kind in ((hub, ours, our_body), (other, place, body))
                            ]
                            for _ in range(self._rounds)
                        ]
                        self._note(model, body, peer.name, concurrency, runs)
        except CannotRun as error:
            self.troubles.append(f"{peer.name}: {error}")
            _say(f"  {peer.name} cannot run: {error}")

    def _note(self, model: str, body: str, peer: str, concurrency: int, runs: list[list[Asked]]) -> None:
        ratios = sorted(ours.rate / theirs.rate for ours, theirs in runs if theirs.rate)
        if not ratios:
            self.troubles.append(f"{peer} answered nothing on {model}, {body}, at {concurrency}")
            return
        ours, theirs = (_median(list(side)) for side in zip(*runs, strict=True))
        ratio = statistics.median(ratios)
        found = Compared(model, body, peer, concurrency, ours, theirs, ratio, ratios[0], ratios[-1])
        self.compared.append(found)
        _say(line(found))

    def _ask(self, server: Server, path: str, model: str, body: str, concurrency: int) -> Asked:
        base = self._folder / "models"
        variables = environment({"BENCH_BODY": str(base / f"{model}.{body}")})
        if body == "bin":
            variables["BENCH_HEADER_LENGTH"] = (base / f"{model}.length").read_text()
        command = [self._wrk, "-t1", f"-c{concurrency}", f"-d{self._seconds}s", "--timeout", "30s"]
        command += ["-s", str(self._folder / "post.lua"), f"{server.url}{path}"]
        before = tree_cpu_s([server.pid])
        said = subprocess.run(command, env=variables, capture_output=True, text=True, check=False).stdout
        cpu_s = tree_cpu_s([server.pid]) - before
        match = re.search(r"RESULT (\{.*\})", said)
        seen = json.loads(match[1]) if match else {"requests": 0, "seconds": 1, "p50_ms": 0, "p99_ms": 0, "failed": 1}
        requests = seen["requests"]
        return Asked(
            requests / seen["seconds"], seen["p50_ms"], seen["p99_ms"], seen["failed"], cpu_s * 1e3 / max(1, requests)
        )


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


def _median(asked: list[Asked]) -> Asked:
    middle = {name: statistics.median(getattr(one, name) for one in asked) for name in ("rate", "p50_ms", "p99_ms")}
    return Asked(
        **middle,
        failed=sum(one.failed for one in asked),
        cpu_ms=statistics.median(one.cpu_ms for one in asked),
    )


def line(found: Compared) -> str:
    """One comparison as a line."""
    ours, theirs = found.ours, found.theirs
    return (
        f"  {found.model:<13}{found.body:<11}{found.concurrency:>3}  hub {ours.rate:8,.0f}/s  "
        f"{found.peer:<9}{theirs.rate:8,.0f}/s  x {found.ratio:5.2f} [{found.least:.2f}–{found.most:.2f}]  "
        f"p50 {ours.p50_ms:.1f}/{theirs.p50_ms:.1f} ms  p99 {ours.p99_ms:.1f}/{theirs.p99_ms:.1f} ms  "
        f"CPU {ours.cpu_ms:.2f}/{theirs.cpu_ms:.2f} ms  failed {ours.failed}/{theirs.failed}"
    )


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="bench.serving", description=__doc__)
    parser.add_argument("--models", default=",".join(_MODELS))
    parser.add_argument("--peers", default=",".join(peer.name for peer in PEERS))
    parser.add_argument("--device", default="cpu:0", help="what the hub serves on; on a GPU it is measured alone")
    parser.add_argument("--concurrency", default="1,8,32")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="tiny and mobilenet96, one short round")
    parser.add_argument("--out", type=Path, default=_OUT)
    given = parser.parse_args()
    models = given.models.split(",") if not given.quick else ["tiny", "mobilenet96"]
    rounds, seconds = (1, 2) if given.quick else (given.rounds, given.seconds)
    concurrencies = [int(one) for one in given.concurrency.split(",")]
    wanted = given.peers.split(",") if given.device.startswith("cpu") else []
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as place:
        bench = Bench(Path(place), given.device, seconds, rounds)
        bench.make(models)
        limits = {model: bench.limit(model) for model in models}
        for model, found in limits.items():
            for way, reached in found.items():
                shown = ", ".join(f"{name} {value:.1f}" for name, value in reached.items())
                _say(f"  {model:<13}in process, {way:<15}{shown}")
        with bench.hub(models) as hub:
            for model in models:
                bench.by_itself(hub, model, concurrencies)
            for peer in (peer for peer in PEERS if peer.name in wanted):
                for model in models:
                    bench.against(hub, peer, model, concurrencies)
    given.out.mkdir(parents=True, exist_ok=True)
    written = {
        "device": given.device,
        "cores": os.cpu_count(),
        "limits": limits,
        "alone": [asdict(one) for one in bench.alone],
        "compared": [asdict(one) for one in bench.compared],
        "troubles": bench.troubles,
    }
    (given.out / "serving.json").write_text(json.dumps(written, indent=2))
    _say(f"In {given.out / 'serving.json'}")


if __name__ == "__main__":
    main()
