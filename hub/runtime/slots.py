"""Slots: how many computations a device has at once, for requests and for who measures beside them.

What is measured while more computes than the device has room for says nothing: it borrows one of the slots. Laws: no
more slots are held than there are; one that is given back goes to who has waited to borrow it, so that requests and
measurements take turns where there is only one.
"""

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Slots:
    """Belongs to the event loop, but for ``borrowed``."""

    def __init__(self, count: int, on_free: Callable[[], None]) -> None:
        """Have ``count``, all free; ``on_free`` hears when one that was borrowed is free again."""
        self.free = self._count = count
        self._on_free = on_free
        self._waiting: deque[Future[None]] = deque()
        self._loop = asyncio.get_running_loop()

    @property
    def are_all_free(self) -> bool:
        """Whether nothing computes."""
        return self.free == self._count

    def take(self) -> None:
        """Hold one that is free."""
        self.free -= 1

    def give(self) -> None:
        """Let one go."""
        self.free += 1
        if self._waiting:
            self.take()
            self._waiting.popleft().set_result(None)

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Hold one in another thread, which waits for it."""
        asyncio.run_coroutine_threadsafe(self._borrow(), self._loop).result()
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._return)

    async def _borrow(self) -> None:
        if self.free:
            self.take()
            return
        waiting = self._loop.create_future()
        self._waiting.append(waiting)
        await waiting

    def _return(self) -> None:
        self.give()
        self._on_free()
