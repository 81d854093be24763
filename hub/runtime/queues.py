"""Queues: which waiting requests are computed next, and which of them together. Pure: the time is an argument.

A lane holds what may be one batch: the same signature of the same version, on tensors that differ in their first
dimension only. Shapes that differ otherwise are lanes of their own.

Laws: nothing waits while somebody asks for work, unless a delay was asked for; what is urgent goes first; between
versions the one that has had the least compute time goes next, so that a busy one cannot starve the others; within a
lane first come is first served; a batch has at most ``max_rows`` rows, or is one request that alone has more.

Source: start-time fair queueing (Goyal, Vin, Cheng 1996) over versions.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

_MAX_REMEMBERED = 4_096


class Request(Protocol):
    """What a queue needs to know of a request."""

    @property
    def id(self) -> int:
        """Its number."""
        ...

    @property
    def rows(self) -> int:
        """Its size along axis 0."""
        ...

    @property
    def priority(self) -> int:
        """Smaller is more urgent."""
        ...


Item = TypeVar("Item", bound=Request)


@dataclass(frozen=True, slots=True)
class Lane:
    """Requests that may be one batch.

    Attributes:
        version: Whose compute time it counts as: the version, or for heads their trunk.
        key: What else makes requests alike.
        max_rows: Rows of one batch; 0 where requests must stay alone.
    """

    version: str
    key: tuple[Any, ...]
    max_rows: int
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Put together once what every request is put into its queue by."""
        object.__setattr__(self, "_hash", hash((self.version, self.key, self.max_rows)))

    def __hash__(self) -> int:
        """See `hash`."""
        return self._hash


@dataclass(slots=True)
class _Queue(Generic[Item]):
    """The requests of a lane by priority, each with the time it came."""

    by_priority: dict[int, deque[tuple[Item, float]]] = field(default_factory=dict)
    rows: int = 0

    @property
    def priority(self) -> int:
        return min(self.by_priority)

    @property
    def oldest(self) -> float:
        return min(waiting[0][1] for waiting in self.by_priority.values())

    def add(self, item: Item, now: float) -> None:
        self.by_priority.setdefault(item.priority, deque()).append((item, now))
        self.rows += item.rows

    def first(self) -> Item:
        return self.by_priority[self.priority][0][0]

    def pop(self) -> Item:
        priority = self.priority
        item, _ = self.by_priority[priority].popleft()
        if not self.by_priority[priority]:
            del self.by_priority[priority]
        self.rows -= item.rows
        return item

    def remove(self, request_id: int) -> Item | None:
        for priority, waiting in self.by_priority.items():
            for position, (item, _) in enumerate(waiting):
                if item.id == request_id:
                    del waiting[position]
                    if not waiting:
                        del self.by_priority[priority]
                    self.rows -= item.rows
                    return item
        return None


class Queues(Generic[Item]):
    """Everything that waits for one device."""

    def __init__(self, delay_s: float = 0.0) -> None:
        """With a delay, what is no full batch waits so long for others, even though the device is free."""
        self._delay_s = delay_s
        self._queues: dict[Lane, _Queue[Item]] = {}
        self._lane_of: dict[int, Lane] = {}
        self._spent_s: dict[str, float] = {}
        self._clock_s = 0.0

    def __len__(self) -> int:
        return len(self._lane_of)

    def add(self, lane: Lane, item: Item, now: float) -> None:
        """Have a request wait."""
        queue = self._queues.get(lane)
        if queue is None:
            # Who comes back after a rest has saved up nothing.
            self._spent_s[lane.version] = max(self._spent_s.get(lane.version, 0.0), self._clock_s)
            queue = self._queues[lane] = _Queue()
        queue.add(item, now)
        self._lane_of[item.id] = lane

    def take(self, now: float, idle: int = 1) -> tuple[Lane, list[Item]] | None:
        """What to compute next; None where nothing is due.

        Args:
            now: The time.
            idle: How many could compute now, this one among them; they share what waits.
        """
        due = [lane for lane, queue in self._queues.items() if self._is_due(lane, queue, now)]
        if not due:
            return None
        lane = min(due, key=lambda one: (self._queues[one].priority, self._spent_s[one.version]))
        queue = self._queues[lane]
        self._clock_s = max(self._clock_s, self._spent_s[lane.version])
        # Who waits for full batches does not want them shared out.
        limit = lane.max_rows if self._delay_s else min(lane.max_rows, -(-queue.rows // idle))
        batch = [self._pop(queue)]
        rows = batch[0].rows
        while lane.max_rows and queue.by_priority and rows + queue.first().rows <= limit:
            batch.append(self._pop(queue))
            rows += batch[-1].rows
        if not queue.by_priority:
            del self._queues[lane]
        return lane, batch

    def next_due(self, now: float) -> float | None:
        """Seconds until something is due that is not yet; None where nothing waits for time to pass."""
        waits = [queue.oldest + self._delay_s - now for queue in self._queues.values()]
        return max(0.0, min(waits)) if waits and self._delay_s else None

    def charge(self, lane: Lane, seconds: float) -> None:
        """Count compute time."""
        if len(self._spent_s) >= _MAX_REMEMBERED:
            waiting = {waiting.version for waiting in self._queues}
            self._spent_s = {version: spent for version, spent in self._spent_s.items() if version in waiting}
        self._spent_s[lane.version] = self._spent_s.get(lane.version, self._clock_s) + seconds

    def remove(self, request_id: int) -> Item | None:
        """Take a request out that is not wanted any more; None where it does not wait."""
        lane = self._lane_of.pop(request_id, None)
        if lane is None:
            return None
        queue = self._queues[lane]
        item = queue.remove(request_id)
        if not queue.by_priority:
            del self._queues[lane]
        return item

    def _is_due(self, lane: Lane, queue: _Queue[Item], now: float) -> bool:
        return not self._delay_s or queue.rows >= lane.max_rows or now - queue.oldest >= self._delay_s

    def _pop(self, queue: _Queue[Item]) -> Item:
        item = queue.pop()
        del self._lane_of[item.id]
        return item
