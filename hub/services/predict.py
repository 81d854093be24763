"""Predict: find out what a reference means, and run it.

Steps: the principal may read → reference → version (remembered for :data:`FRESH_S`, so a hot model costs one
query a second however many requests come) → its signatures (by digest, for ever) → the engine.

Laws: a private model is absent for those who may not see it; a version that is not ready is never run; a yanked one
runs only for those who name its number or digest; a head answers on its trunk's input.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from hub.domain.access import Principal, Scope
from hub.domain.errors import VersionNotReady
from hub.domain.manifest import Manifest
from hub.domain.names import ModelName, Reference
from hub.domain.signatures import Signature, compose
from hub.domain.versions import State, Version
from hub.engine.engine import Engine, Target
from hub.protocol.frames import Tensor
from hub.storage.catalog import Catalog
from hub.storage.snapshots import Snapshots

FRESH_S = 1.0
MAX_REMEMBERED = 4_096
MAX_LISTED = 1_000
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Servable:
    """A version that can be called.

    Attributes:
        version: The version a reference meant.
        target: What the engine is told.
        signatures: What it answers to; for a head, on its trunk's input.
    """

    version: Version
    target: Target
    signatures: Mapping[str, Signature]


@dataclass(frozen=True, slots=True)
class _Callable:
    target: Target
    signatures: dict[str, Signature]


@dataclass(frozen=True, slots=True)
class _Question:
    """What is remembered by: two people who see different models ask different questions."""

    reference: Reference
    is_anonymous: bool


@dataclass(frozen=True, slots=True)
class _Found:
    servable: Servable
    until: float


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predict use case."""

    catalog: Catalog
    snapshots: Snapshots
    engine: Engine
    _found: dict[_Question, _Found] = field(default_factory=dict, repr=False)
    _searches: dict[_Question, "asyncio.Task[_Found]"] = field(default_factory=dict, repr=False)
    _callables: dict[str, _Callable] = field(default_factory=dict, repr=False)

    async def resolve(self, principal: Principal, reference: Reference) -> Servable:
        """Find the version a reference means now, and what it answers to.

        Raises:
            Unauthorized: The principal is anonymous and may not predict.
            Forbidden: The principal's token does not allow predicting.
            ModelNotFound: No such model that the principal may see.
            VersionNotFound: The model has no such version.
            VersionNotReady: The version is being validated, or was rejected.
            VersionYanked: The reference is an alias of a version that was withdrawn.
        """
        principal.require(Scope.READ)
        question = _Question(reference, principal.is_anonymous)
        found = self._found.get(question)
        if found is None or found.until < time.monotonic():
            found = await self._search_once(question, principal)
        return found.servable

    async def predict(
        self, servable: Servable, signature: str, tensors: Sequence[Tensor], deadline_s: float
    ) -> list[Tensor]:
        """Run one signature on inputs that fit it.

        Raises:
            ModelFailed: The model raised on these inputs.
            Overloaded: Too many predictions wait already.
            WorkerLost: The worker died meanwhile; the request may be sent again.
            DeadlineExceeded: It took longer than ``deadline_s``.
        """
        return await self.engine.infer(servable.target, signature, tensors, deadline_s)

    def listed(self, principal: Principal, name: ModelName) -> list[Version]:
        """A model's versions, newest first, at most :data:`MAX_LISTED`.

        Raises:
            ModelNotFound: No such model that the principal may see.
        """
        principal.require(Scope.READ)
        with self.catalog.read() as tx:
            principal.see(tx.model(name))
            return tx.versions(name, before=None, limit=MAX_LISTED)

    async def _search_once(self, question: _Question, principal: Principal) -> _Found:
        """Many callers who miss at once share one search; a caller who leaves does not end it for the others."""
        task = self._searches.get(question)
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(self._search, question, principal))
            self._searches[question] = task
            task.add_done_callback(partial(self._end_search, question))
        return await asyncio.shield(task)

    def _end_search(self, question: _Question, task: "asyncio.Task[_Found]") -> None:
        self._searches.pop(question, None)
        if not task.cancelled():
            task.exception()  # taken here, or asyncio would warn where every caller has left

    def _search(self, question: _Question, principal: Principal) -> _Found:
        reference = question.reference
        with self.catalog.read() as tx:
            principal.see(tx.model(reference.model))
            version = tx.resolve(reference)
        _check_callable(version)
        known = self._callables.get(version.digest) or self._read(version.digest)
        found = _Found(Servable(version, known.target, known.signatures), time.monotonic() + FRESH_S)
        _remember(self._found, question, found)
        return found

    def _read(self, digest: str) -> _Callable:
        manifest = self.snapshots.manifest(digest)
        edge = manifest.trunk
        if edge is None:
            known = _Callable(Target(digest, None), manifest.signatures)
        else:
            trunk: Manifest = self.snapshots.manifest(edge.digest)
            signatures = compose(trunk.signatures[edge.signature], manifest.signatures)
            known = _Callable(Target(digest, edge.digest), signatures)
        _remember(self._callables, digest, known)
        return known


def _check_callable(version: Version) -> None:
    """A yanked version gets here by its number or digest only: no name finds it."""
    if version.state in (State.READY, State.YANKED):
        return
    doing = "is still being validated" if version.state is State.VALIDATING else "was rejected"
    raise VersionNotReady(
        f"{version.reference} {doing}.", remedy=f"See its report with `hub show {version.reference}`."
    )


def _remember(memory: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    if len(memory) >= MAX_REMEMBERED:
        memory.clear()
    memory[key] = value
