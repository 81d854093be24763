"""Asking: requests to workers, wherever those are kept. What engines have in common.

A request waits for a worker that is ready, has its target loaded there if it is not yet, and is sent as the bytes it
came in. Laws: at most a fixed number of requests is inside; each of them leaves, whatever becomes of it; one that finds
its target unloaded meanwhile has it loaded again.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar

import structlog

from hub.domain.errors import DeadlineExceeded, HubError, NotAvailable, Overloaded, Quarantined
from hub.engine.engine import Inferred, Target, WorkerStatus
from hub.engine.link import Link, Told
from hub.engine.placement import choose
from hub.engine.seen import is_traced, note_reply
from hub.protocol.frames import Frame, Tensor

_log = structlog.get_logger()


class Post(Protocol):
    """Where one worker can be asked."""

    @property
    def link(self) -> Link | None:
        """The way there; None while no process is ready."""
        ...

    @property
    def loaded(self) -> Mapping[str, int]:
        """Bytes of each version that is loaded there."""
        ...

    def status(self) -> WorkerStatus:
        """How it is now."""
        ...


AnyPost = TypeVar("AnyPost", bound=Post)


class Asking(ABC, Generic[AnyPost]):
    """The part of an engine that asks workers."""

    def __init__(self, max_in_flight: int) -> None:
        """Refuse more requests than ``max_in_flight`` at once."""
        self._posts: list[AnyPost] = []
        self._max_in_flight = max_in_flight
        self._ready = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._in_flight = 0
        self._is_stopping = False

    @abstractmethod
    async def _ensure(self, post: AnyPost, target: Target) -> None:
        """Have a target loaded by a worker where it is not."""

    @abstractmethod
    def _spread(self, post: AnyPost, target: Target) -> None:
        """Begin to have a target loaded by a worker for requests to come."""

    @abstractmethod
    def _check(self, digests: Sequence[str]) -> None:
        """Refuse versions that are in quarantine.

        Raises:
            Quarantined: One is.
        """

    async def _finish(self, drain_s: float) -> None:
        """Refuse new requests, and wait a while for those inside."""
        self._is_stopping = True
        self._ready.set()  # who waits for a worker that is not ready is told now
        try:
            await asyncio.wait_for(self._idle.wait(), drain_s)
        except TimeoutError:
            _log.warning("engine.drain_incomplete", in_flight=self._in_flight)

    async def infer(
        self, target: Target, signature: str, inputs: Sequence[Tensor], deadline_s: float, priority: int = 0
    ) -> list[Tensor]:
        """Call a signature; see ``Engine.infer``."""
        return await self._ask_in_time(target, _infer(target, signature, priority), inputs, deadline_s)

    def start_infer(
        self,
        target: Target,
        signature: str,
        inputs: Sequence[Tensor],
        deadline_s: float,
        priority: int,
        tell: Callable[[Inferred], None],
    ) -> Callable[[], None] | None:
        """Call a signature at once; see ``Engine.start_infer``."""
        link = self._at_hand(target)
        if link is None or self._is_stopping or self._in_flight >= self._max_in_flight:
            return None
        try:
            self._check(target.digests)
        except Quarantined:
            return None
        self._enter()

        def done(told: Told) -> None:
            self._leave()
            if isinstance(told, TimeoutError):
                told = self._too_late(deadline_s)
            tell(told if isinstance(told, HubError) else self._read(link, target, told))

        def withdraw() -> None:
            self._leave()
            link.withdraw(number)

        try:
            number = link.start(_infer(target, signature, priority), inputs, link.now + deadline_s, done)
        except HubError:
            self._leave()
            return None
        return withdraw

    async def infer_heads(
        self, target: Target, signatures: Sequence[str], inputs: Sequence[Tensor], deadline_s: float, priority: int = 0
    ) -> list[list[Tensor]]:
        """Call several heads on one input; see ``Engine.infer_heads``."""
        if len(signatures) == 1:
            return [await self.infer(target, signatures[0], inputs, deadline_s, priority)]
        heads = list(zip(target.heads, signatures, strict=True))
        header = {"op": "infer", "trunk": target.trunk_digest, "heads": heads, "priority": priority}
        header["is_traced"] = is_traced()
        answered: list[list[Tensor]] = [[] for _ in heads]
        for tensor in await self._ask_in_time(target, header, inputs, deadline_s):
            number, _, name = tensor.name.partition("/")
            answered[int(number)].append(replace(tensor, name=name))
        return answered

    async def _ask_in_time(
        self, target: Target, header: Mapping[str, Any], inputs: Sequence[Tensor], deadline_s: float
    ) -> list[Tensor]:
        self._check(target.digests)
        self._enter()
        deadline_at = asyncio.get_running_loop().time() + deadline_s
        try:
            link = self._at_hand(target)
            if link is not None:
                answered = self._read(link, target, await link.call(header, inputs, deadline_at))
                if answered is not None:
                    return answered
            async with asyncio.timeout_at(deadline_at):
                return await self._ask(target, header, inputs, deadline_at)
        except TimeoutError as error:
            raise self._too_late(deadline_s) from error
        finally:
            self._leave()

    def _at_hand(self, target: Target) -> Link | None:
        """The only worker, where it is ready and has the target; most requests need no more."""
        only = self._posts[0]
        return only.link if len(self._posts) == 1 and target.digest in only.loaded else None

    async def _ask(
        self, target: Target, header: Mapping[str, Any], inputs: Sequence[Tensor], deadline_at: float
    ) -> list[Tensor]:
        while True:
            post = await self._post_for(target)
            await self._ensure(post, target)
            link = post.link
            if link is None:
                await asyncio.sleep(0)
                continue
            answered = self._read(link, target, await link.call(header, inputs, deadline_at))
            if answered is not None:
                return answered

    def _read(self, link: Link, target: Target, reply: Frame) -> list[Tensor] | None:
        """What a worker answered; None where it has not what was asked, having evicted it for another target."""
        if reply.header.get("not_loaded"):
            link.loaded = reply.header["resident"]
            return None
        note_reply(target.digest, target.digests[0], link.device, reply.facts)
        return list(reply.tensors)

    async def _post_for(self, target: Target) -> AnyPost:
        while True:
            choice = choose([post.status() for post in self._posts], target.digests)
            if choice is not None:
                break
            self._refuse_when_stopping()
            await self._ready.wait()
        if choice.also_load is not None:
            self._spread(self._posts[choice.also_load], target)
        return self._posts[choice.worker]

    def _enter(self) -> None:
        self._refuse_when_stopping()
        if self._in_flight >= self._max_in_flight:
            raise Overloaded(f"{self._in_flight} requests are being computed already.", remedy="Wait, then try again.")
        self._in_flight += 1
        self._idle.clear()

    def _leave(self) -> None:
        self._in_flight -= 1
        if self._in_flight == 0:
            self._idle.set()

    def _refuse_when_stopping(self) -> None:
        if self._is_stopping:
            raise NotAvailable("The engine is stopping.", remedy="Try again after the restart.")

    def _too_late(self, deadline_s: float) -> HubError:
        if not self._is_any_ready():
            return NotAvailable("No worker is ready yet.", remedy="Try again in a few seconds.")
        return DeadlineExceeded(
            f"The model did not answer within {deadline_s:g} s.", remedy="Send less at once, or wait longer."
        )

    def _is_any_ready(self) -> bool:
        return any(post.link is not None for post in self._posts)

    def _note_change(self) -> None:
        if self._is_any_ready():
            self._ready.set()
        else:
            self._ready.clear()


def _infer(target: Target, signature: str, priority: int) -> dict[str, Any]:
    return {
        "op": "infer",
        "digest": target.digest,
        "trunk": target.trunk_digest,
        "signature": signature,
        "priority": priority,
        "is_traced": is_traced(),
    }
