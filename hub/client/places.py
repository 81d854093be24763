"""Places: where the blobs of one transfer are sent or had, asked for in batches, a little before they are needed.

Laws: a URL that is given out still lives for a while; once the object store could not be reached, everything goes
through the hub.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from itertools import islice

from hub.protocol.schemas import BlobPlaces

BATCH = 64
_FIRST_BATCH = 8
_log = logging.getLogger("hub")
Ask = Callable[[list[str], bool], BlobPlaces]


class Places:
    """Where each of some blobs is; used from several threads at once."""

    def __init__(self, ask: Ask, digests: Iterable[str]) -> None:
        """Ask with ``ask`` (digests, whether through the hub), about ``digests`` in this order."""
        self._ask = ask
        self._waiting = dict.fromkeys(digests)
        self._known: dict[str, tuple[str, float]] = {}
        self._at_hub: dict[str, str] = {}
        self._is_relayed = False
        self._batch = _FIRST_BATCH  # signing takes time: bytes shall flow before all places are known
        self._turn = threading.Lock()

    def of(self, digest: str) -> str:
        """Where a blob is.

        Raises:
            HubError: The hub does not say.
        """
        with self._turn:
            url, good_until = self._known.get(digest, ("", 0.0))
            if good_until > time.monotonic():
                return url
            self._learn(digest)
            return self._known[digest][0]

    def at_hub(self, digest: str) -> str:
        """Where a blob goes through the hub, whatever the others do.

        Raises:
            HubError: The hub does not say.
        """
        place = self._at_hub.get(digest) or self.of(digest)
        if "://" in place:
            place = self._at_hub[digest] = self._ask([digest], True).items[0].url
        return place

    def forget(self, digest: str) -> None:
        """Ask anew about a blob the next time."""
        with self._turn:
            self._known.pop(digest, None)

    def relay(self, reason: str) -> bool:
        """Send everything through the hub from now on; False where that is done already."""
        with self._turn:
            if self._is_relayed:
                return False
            self._is_relayed = True
            self._known.clear()
        _log.warning("%s The bytes go through the hub.", reason)
        return True

    def _learn(self, digest: str) -> None:
        self._waiting.pop(digest, None)
        batch = [digest, *islice(self._waiting, self._batch - 1)]
        self._batch = min(2 * self._batch, BATCH)
        for one in batch:
            self._waiting.pop(one, None)
        answer = self._ask(batch, self._is_relayed)
        # A little earlier than told, so that a transfer that begins last still begins in time.
        life_s = answer.expires_in_s * 0.8 if answer.expires_in_s is not None else float("inf")
        good_until = time.monotonic() + life_s
        self._known |= {place.digest: (place.url, good_until) for place in answer.items}
