"""Shelves: which versions a worker may read. The sandbox opens one folder to it; what it was told to load is there.

Laws: a version is on the shelf of a worker that has it, or is told to load it; once a worker is told to load something,
nothing else is there; the files are those of the snapshot itself.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from hub.storage.snapshots import Snapshots


class Shelf:
    """The versions that one worker may read."""

    def __init__(self, snapshots: Snapshots, name: str) -> None:
        """Put there what is in ``snapshots``; ``name`` is the worker's own."""
        self._snapshots = snapshots
        self._name = name
        self._wanted: Counter[str] = Counter()
        self._turn = asyncio.Lock()

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self._snapshots.shelf(self._name)

    @asynccontextmanager
    async def showing(self, digests: Sequence[str], loaded: Collection[str]) -> AsyncIterator[dict[str, Path]]:
        """The folders of versions that the worker is being told to load, by digest.

        Args:
            digests: The versions; their snapshots are held.
            loaded: What the worker has, which stays.
        """
        self._wanted.update(digests)
        try:
            async with self._turn:
                shown = await asyncio.to_thread(self._arrange, digests, {*self._wanted, *loaded})
            yield shown
        finally:
            self._wanted.subtract(digests)
            self._wanted = +self._wanted

    def _arrange(self, digests: Sequence[str], kept: Collection[str]) -> dict[str, Path]:
        self._snapshots.take_back(self._name, kept)
        return {digest: self._snapshots.lend(digest, self._name) for digest in digests}
