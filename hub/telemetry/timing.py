"""Timing: where one prediction's time went, for who asks for it.

Law: who does not ask pays one look at a context variable.

Source: W3C Server Timing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Timing:
    """What a prediction spent, as far as it is known yet.

    Attributes:
        load_s: Until the version was loaded, where it was not.
        queue_s: Waiting for the device.
        compute_s: In the batch that it was computed in.
        device: Where.
    """

    load_s: float | None = None
    queue_s: float | None = None
    compute_s: float | None = None
    device: str | None = None

    def header(self) -> str:
        """The value of ``Server-Timing``, in milliseconds."""
        spent = {"load": self.load_s, "queue": self.queue_s, "compute": self.compute_s}
        parts = [f"{name};dur={seconds * 1000:.3f}" for name, seconds in spent.items() if seconds is not None]
        return ", ".join([*parts, f'device;desc="{self.device}"'] if self.device else parts)


_asked: ContextVar[Timing | None] = ContextVar("hub_timing", default=None)


def wanted() -> Timing | None:
    """Where to write the time of the prediction under way; None where nobody asks."""
    return _asked.get()


@contextmanager
def asked() -> Iterator[Timing]:
    """Ask for the time of the prediction that is made inside."""
    timing = Timing()
    token = _asked.set(timing)
    try:
        yield timing
    finally:
        _asked.reset(token)
