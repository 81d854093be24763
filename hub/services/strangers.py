"""Strangers: addresses that come with secrets which are none of this hub's.

Laws: past the rate an address is refused before anything is looked up for it; a secret that was the hub's when it was
looked up last is looked up again whatever else comes from the same address, so nobody behind a proxy is kept out by a
neighbour; what was the hub's does not count, nor does what could not be looked up; memory is bounded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hub.domain.audit import origin
from hub.domain.errors import Overloaded, Unauthorized
from hub.services.rates import Rates

PER_S, BURST = 10.0, 100
_MOST_FOUND = 10_000


@dataclass(frozen=True, slots=True)
class Strangers:
    """How often each address may come with what is no secret of the hub."""

    rates: Rates = field(default_factory=lambda: Rates(PER_S, BURST))
    _found: dict[str, None] = field(default_factory=dict, repr=False)

    @contextmanager
    def looking_up(self, key: str) -> Iterator[None]:
        """Look up a secret (by its hash); what is raised inside says whether it was the hub's.

        Raises:
            Overloaded: Too many that were not have come from the same address.
        """
        address = f"address:{origin().address}"
        is_counted = key not in self._found
        wait_s = self.rates.take(address) if is_counted else 0
        if wait_s > 0:
            raise Overloaded(
                "Too many tokens that are none of this hub's came from your address.",
                remedy=f"Check the token with `hub whoami`, wait {wait_s} s, then try again.",
                retry_after_s=wait_s,
            )
        try:
            yield
        except Unauthorized:
            self._found.pop(key, None)
            is_counted = False
            raise
        else:
            if len(self._found) >= _MOST_FOUND:
                self._found.clear()
            self._found[key] = None
        finally:
            if is_counted:
                self.rates.give_back(address)
