"""Quarantine: versions whose workers keep dying are not run for a while, so that the others are.

Law: a version is refused from its third death on, until ten minutes after the first of three.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import structlog

from hub.domain.errors import Quarantined

DEATHS = 3
WITHIN_S = 600.0
_MAX_REMEMBERED = 4_096
_log = structlog.get_logger()


class Quarantine:
    """Counts the deaths of workers by the version that ran."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Suspect none."""
        self._clock = clock
        self._deaths: dict[str, deque[float]] = {}

    def note_death(self, digest: str) -> None:
        """A worker died while it ran this version."""
        if len(self._deaths) >= _MAX_REMEMBERED:
            now = self._clock()
            self._deaths = {key: times for key, times in self._deaths.items() if now - times[-1] < WITHIN_S}
        times = self._deaths.setdefault(digest, deque(maxlen=DEATHS))
        times.append(self._clock())
        if self._left_s(digest) > 0:
            _log.warning("version.quarantined", digest=digest, deaths=DEATHS, within_s=WITHIN_S)

    def hold(self, held: Mapping[str, float]) -> None:
        """Refuse what another process refuses, for as many seconds more."""
        begun = {digest: self._clock() + left_s - WITHIN_S for digest, left_s in held.items()}
        self._deaths = {digest: deque([at] * DEATHS, maxlen=DEATHS) for digest, at in begun.items()}

    def check(self, digests: Sequence[str]) -> None:
        """Refuse what must not be run.

        Raises:
            Quarantined: Workers keep dying of one of these versions.
        """
        if not self._deaths:
            return
        for digest in digests:
            left_s = self._left_s(digest)
            if left_s > 0:
                raise Quarantined(
                    f"Workers died {DEATHS} times within {WITHIN_S / 60:g} minutes while they ran this version.",
                    remedy=f"Repair the model and push it again, or try again in {left_s:.0f} s.",
                    digest=digest,
                )

    @property
    def held(self) -> dict[str, float]:
        """The versions that are refused now, and for how many seconds more."""
        return {digest: left_s for digest in self._deaths if (left_s := self._left_s(digest)) > 0}

    def _left_s(self, digest: str) -> float:
        times = self._deaths.get(digest, ())
        return 0.0 if len(times) < DEATHS else times[0] + WITHIN_S - self._clock()
