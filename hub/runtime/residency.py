"""Residency: which loaded versions make room for one more. Pure.

Laws: nothing pinned is evicted; the least recently used goes first; nothing goes that need not; no plan exceeds the
budget, and where there is none the answer is None.
"""

from collections.abc import Collection, Mapping


def make_room(sizes: Mapping[str, int], needed: int, budget: int, pinned: Collection[str] = ()) -> list[str] | None:
    """What to evict so that ``needed`` more bytes fit.

    Args:
        sizes: Bytes of every resident version by digest, least recently used first.
        needed: Bytes to be added.
        budget: Bytes that all may take together.
        pinned: Digests that must stay.

    Returns:
        Digests in the order to evict them; None when even that is not enough.
    """
    excess = sum(sizes.values()) + needed - budget
    evicted: list[str] = []
    for digest, size in sizes.items():
        if excess <= 0:
            break
        if digest not in pinned:
            evicted.append(digest)
            excess -= size
    return evicted if excess <= 0 else None
