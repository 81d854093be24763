"""Rates: how much one caller may ask of the hub, so that something is left for the others.

A caller is a user with all of their tokens, one of the hub's own tokens, or an address that people without a token come
from. Laws: who asks for less than the rate never waits; memory is bounded, and those who have long been quiet are
forgotten first.

Source: the generic cell rate algorithm, a leaky bucket that needs one number for each caller.
"""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hub.domain.access import Principal
from hub.domain.audit import origin
from hub.domain.errors import Overloaded

_MOST_CALLERS = 10_000


@dataclass(frozen=True, slots=True)
class Rates:
    """How often each caller may change something.

    Attributes:
        per_s: Requests a second, in the long run; 0 for any number.
        burst: Requests at once, of who was quiet before.
    """

    per_s: float = 0
    burst: int = 1
    _full_at: dict[str, float] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def admit(self, principal: Principal | None = None) -> None:
        """Count a request that comes from a principal, or where none is asked for, from an address.

        Raises:
            Overloaded: It is one too many; it does not count.
        """
        wait_s = self.take(_caller(principal)) if self.per_s else 0
        if wait_s > 0:
            raise Overloaded(
                f"More than {self.per_s:g} requests a second came from the same caller.",
                remedy=f"Wait {wait_s} s, then try again.",
                retry_after_s=wait_s,
            )

    def take(self, caller: str) -> int:
        """Count a request unless it is one too many; gives how long to wait then, in whole seconds, else 0."""
        now = time.monotonic()
        with self._lock:
            full_at = max(self._full_at.pop(caller, now), now)
            over_s = full_at - now - (self.burst - 1) / self.per_s
            while len(self._full_at) >= _MOST_CALLERS:
                self._full_at.pop(next(iter(self._full_at)))
            # At the end: those that are not used go first.
            self._full_at[caller] = full_at if over_s > 0 else full_at + 1 / self.per_s
        return max(0, math.ceil(over_s))

    def give_back(self, caller: str) -> None:
        """Have a request not count after all."""
        with self._lock:
            if caller in self._full_at:
                self._full_at[caller] -= 1 / self.per_s


def _caller(principal: Principal | None) -> str:
    if principal is None or principal.is_anonymous:
        return f"address:{origin().address}"
    return principal.identity


@dataclass(frozen=True, slots=True)
class Shares:
    """How many predictions each caller may have under way; nobody's own token can keep everybody else out.

    Attributes:
        most: Of one caller, at once. People without a token are one caller here.
    """

    most: int
    _under_way: dict[str, int] = field(default_factory=dict, repr=False)

    def enter(self, principal: Principal) -> None:
        """Count one that begins.

        Raises:
            Overloaded: The caller has as many as it may.
        """
        count = self._under_way.get(principal.identity, 0)
        if count >= self.most:
            raise Overloaded(
                f"{principal.name} has {count} predictions under way already, which is as many as one caller may have.",
                remedy="Wait for one of them, then try again.",
            )
        self._under_way[principal.identity] = count + 1

    def leave(self, principal: Principal) -> None:
        """Count one that ended."""
        count = self._under_way[principal.identity] - 1
        if count:
            self._under_way[principal.identity] = count
        else:
            del self._under_way[principal.identity]

    @contextmanager
    def inside(self, principal: Principal) -> Iterator[None]:
        """Have one under way.

        Raises:
            Overloaded: See :meth:`enter`.
        """
        self.enter(principal)
        try:
            yield
        finally:
            self.leave(principal)
