"""Slots are shared between requests, on the event loop, and who measures, on another thread."""

import asyncio

from hub.runtime.slots import Slots


async def entered(slots: Slots, done: asyncio.Event) -> str:
    """Borrow in a thread until told; gives what happened."""
    loop = asyncio.get_running_loop()

    def borrow() -> str:
        with slots.borrowed():
            loop.call_soon_threadsafe(done.set)
            return f"{slots.free} left"

    return await asyncio.to_thread(borrow)


def test_what_is_free_is_lent_at_once_and_comes_back() -> None:
    async def run() -> None:
        freed = asyncio.Event()
        slots = Slots(2, freed.set)
        assert await entered(slots, asyncio.Event()) == "1 left"
        await freed.wait()
        assert slots.free == 2

    asyncio.run(run())


def test_who_waits_gets_what_is_given_back_before_any_request() -> None:
    async def run() -> None:
        freed, begun = asyncio.Semaphore(0), asyncio.Event()
        slots = Slots(1, freed.release)
        slots.take()
        waiting = [asyncio.create_task(entered(slots, begun)) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert not begun.is_set()
        slots.give()
        assert slots.free == 0
        assert await asyncio.gather(*waiting) == ["0 left", "0 left"]
        for _ in waiting:
            await freed.acquire()
        assert slots.free == 1

    asyncio.run(run())


def test_a_slot_comes_back_from_a_measurement_that_fails() -> None:
    async def run() -> None:
        slots = Slots(1, lambda: None)

        def fail() -> None:
            with slots.borrowed():
                raise ValueError

        (failed,) = await asyncio.gather(asyncio.to_thread(fail), return_exceptions=True)
        assert isinstance(failed, ValueError)
        await asyncio.sleep(0)
        assert slots.free == 1

    asyncio.run(run())
