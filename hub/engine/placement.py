"""Placement: which worker takes a request. Pure.

Laws: only ready workers are chosen; one that has the target is preferred; when every one that has it is busy and
another is idle, the target is loaded there as well, while the request goes where it can be answered now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.engine.engine import WorkerStatus

BUSY_REQUESTS = 2


@dataclass(frozen=True, slots=True)
class Choice:
    """Positions of workers: where to send the request, and where to load the target for those to come."""

    worker: int
    also_load: int | None = None


def choose(workers: Sequence[WorkerStatus], digests: Sequence[str]) -> Choice | None:
    """Choose a worker for a target's digests; None while none is ready."""
    ready = [index for index, worker in enumerate(workers) if worker.state == "ready"]
    if not ready:
        return None
    idlest = min(ready, key=lambda index: (workers[index].in_flight, sum(workers[index].loaded.values())))
    having = [index for index in ready if _has(workers[index].loaded, digests)]
    if not having:
        return Choice(idlest)
    best = min(having, key=lambda index: workers[index].in_flight)
    spreads = workers[best].in_flight >= BUSY_REQUESTS and workers[idlest].in_flight == 0
    return Choice(best, idlest if spreads and idlest not in having else None)


def _has(loaded: Mapping[str, int], digests: Sequence[str]) -> bool:
    return all(digest in loaded for digest in digests)
