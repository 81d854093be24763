"""What a second version costs: bytes that a client sends when most of them are in the hub already.

They are counted where they pass, by proxies in front of the hub and of its object store: requests, headers, manifests
and what is asked for are all in it. Nothing is timed here.
"""

from dataclasses import dataclass
from pathlib import Path

from bench.arena import CountedHub, push_untimed
from bench.contents import Contents

HEAD_SWAP, TENTH = "head-swap", "tenth"
SCENARIOS = {
    HEAD_SWAP: "MobileNetV2 again, its head of 1,000 classes swapped for one of 10",
    TENTH: "the large model again, a tenth of its tensors changed",
}
_CLASSES = (1_000, 10)


@dataclass(frozen=True, slots=True)
class Resent:
    """What a push of a second version moved; ``trouble`` where it could not be measured."""

    store: str
    scenario: str
    size: int = 0
    first_sent: int = 0
    sent: int = 0
    received: int = 0
    trouble: str = ""

    @property
    def share(self) -> float:
        """Bytes sent, as a part of the model's."""
        return self.sent / self.size


def push_again(scenario: str, store: str, hub: CountedHub, contents: Contents) -> Resent:
    """Push the two versions of a scenario, and count what the second one took."""
    first, second = _versions(scenario, contents)
    hub.reset()
    push_untimed(hub.hub, first, f"bench/{scenario}")
    first_sent = hub.sent
    hub.reset()
    pushed = push_untimed(hub.hub, second, f"bench/{scenario}")
    return Resent(store, scenario, pushed.size, first_sent, hub.sent, hub.received)


def _versions(scenario: str, contents: Contents) -> tuple[Path, Path]:
    if scenario == HEAD_SWAP:
        first, second = (contents.keras(classes) for classes in _CLASSES)
        return first, second
    return contents.large(0), contents.changed
