"""Many heads on one trunk next to as many full models, on one hub: rates in turns, and the memory that each adds.

The memory of one full model, the first that a hub loads, is measured on a hub of its own.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import calm_down, tree_memory_bytes
from bench.servers import Server
from bench.serving_bodies import HEADS, KINDS, OWNER
from bench.serving_load import Asked, Asking, Load, Request, median
from hub.client.client import Client
from hub.protocol import paths

_CALM_WAIT_S = 300
TOGETHER, BY_ONE, FULL = "heads, asked at once", "heads, one a request", "full models"


@dataclass(frozen=True, slots=True)
class Crowd:
    """What one way to have many answers reached at one concurrency; medians.

    Attributes:
        way: `TOGETHER`, `BY_ONE` or `FULL`.
        concurrency: Connections.
        asked: Requests.
        answers_per_s: A request for all heads has as many answers as there are heads.
        ratio: Of its answers to those of full models, in each round.
        memory_mb: What the hub took more when these versions were loaded.
        one_mb: What a hub took more with one full model.
    """

    way: str
    concurrency: int
    asked: Asked
    answers_per_s: float
    ratio: float
    memory_mb: float
    one_mb: float


def push(server: Server, folder: Path) -> None:
    """Push the trunk, its heads, and the full models."""
    with Client(server.url, server.environment["HUB_TOKEN"]) as client:
        trunk = f"{OWNER}/trunk"
        client.push(folder / "trunk", trunk)
        for number in range(HEADS):
            client.push(folder / f"head-{number}", f"{OWNER}/head-{number}", head_of=trunk)
            client.push(folder / f"full-{number}", f"{OWNER}/full-{number}")


def memory_of_one(server: Server, folder: Path) -> float:
    """Load one full model on a hub that has loaded nothing, and say how many MB more it takes."""
    with Client(server.url, server.environment["HUB_TOKEN"]) as client:
        client.push(folder / "full-0", f"{OWNER}/full-0")
    calm_down([server.pid])
    before = tree_memory_bytes([server.pid])
    Asking(server, KINDS["bin"], _each("full", folder / "requests")[:1]).check()
    calm_down([server.pid], _CALM_WAIT_S)
    return (tree_memory_bytes([server.pid]) - before) / 1e6


def compare(
    server: Server, folder: Path, load: Load, concurrencies: Sequence[int], rounds: int, one_mb: float
) -> list[Crowd]:
    """Load and check all, heads first, then ask in turns.

    Raises:
        CannotRun: An answer is wrong.
    """
    ways = _ways(server, folder / "requests")
    calm_down([server.pid])
    memory, before = {}, tree_memory_bytes([server.pid])
    for names in ((TOGETHER, BY_ONE), (FULL,)):
        for name in names:
            ways[name].check()
        calm_down([server.pid], _CALM_WAIT_S)  # it measures how each version is called best
        now = tree_memory_bytes([server.pid])
        memory |= dict.fromkeys(names, (now - before) / 1e6)
        before = now
    found = []
    for concurrency in concurrencies:
        turns = [{name: load.ask(way, concurrency) for name, way in ways.items()} for _ in range(rounds)]
        for name in ways:
            ratios = [_answers(name, turn[name]) / turn[FULL].rate for turn in turns if turn[FULL].rate]
            asked = median([turn[name] for turn in turns])
            ratio = statistics.median(ratios) if ratios else 0.0
            found.append(Crowd(name, concurrency, asked, _answers(name, asked), ratio, memory[name], one_mb))
    return found


def _ways(server: Server, requests: Path) -> dict[str, Asking]:
    together = [Request(paths.heads_predict(f"{OWNER}/trunk"), requests / "all", 0)]
    asked = {TOGETHER: together, BY_ONE: _each("head", requests), FULL: _each("full", requests)}
    return {name: Asking(server, KINDS["bin"], found) for name, found in asked.items()}


def _each(name: str, requests: Path) -> list[Request]:
    places = [f"/v2/models/{OWNER}/{name}-{number}/infer" for number in range(HEADS)]
    return [Request(place, requests / str(number), 0) for number, place in enumerate(places)]


def _answers(way: str, asked: Asked) -> float:
    return asked.rate * (HEADS if way == TOGETHER else 1)


def line(found: Crowd) -> str:
    """One of them as a line."""
    return (
        f"  {HEADS} {found.way:<24}{found.concurrency:>3}  {found.answers_per_s:8,.0f} answers/s  x {found.ratio:5.2f} "
        f" p50 {found.asked.p50_ms:.1f} ms  CPU {found.asked.cpu_ms:.2f} ms a request  {found.memory_mb:,.0f} MB more "
        f"({found.memory_mb / found.one_mb:.2f} of one full model)  "
        f"failed {found.asked.failed}"
    )
