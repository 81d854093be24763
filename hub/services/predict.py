"""Predict: find out what a reference means, and run it.

Steps: the principal may read → reference → version (remembered for :data:`FRESH_S`, so a hot model costs one
query a second however many requests come) → its signatures (by digest, for ever) → the engine.

Laws: a private model is absent for those who may not see it; a version that is not ready is never run; a yanked one
runs only for those who name its number or digest; a head answers on its trunk's input. A name that comes to mean
another version means the one before, where that is in use, until the new one is loaded and measured, so that nobody
waits for that.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import structlog

from hub.domain.access import Principal, Scope, View
from hub.domain.errors import HubError, InvalidRequest, NotFound, VersionNotReady
from hub.domain.manifest import Kind, Manifest
from hub.domain.names import ModelName, Reference, parse_reference
from hub.domain.signatures import Signature, choose_signature, compose
from hub.domain.versions import State, Version
from hub.engine.engine import Engine, Inferred, Target
from hub.protocol.frames import Tensor
from hub.services.rates import Shares
from hub.services.servables import Found, Heads, Servable
from hub.storage.catalog import Catalog
from hub.storage.snapshots import Snapshots
from hub.telemetry import tracing

_log = structlog.get_logger(__name__)
FRESH_S = 1.0
IN_USE_S = 60.0
MAX_REMEMBERED = 4_096
MAX_LISTED = 1_000
MAX_HEADS = 64
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class _Callable:
    target: Target
    signatures: dict[str, Signature]
    fed_by: str | None = None


@dataclass(frozen=True, slots=True)
class _Question:
    """What is remembered by: two people who see different models ask different questions."""

    reference: Reference
    sees_private: bool


@dataclass(frozen=True, slots=True)
class _HeadsKey:
    """What heads are remembered by."""

    trunk: str
    references: tuple[Reference, ...] | None
    view: View


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predict use case."""

    catalog: Catalog
    snapshots: Snapshots
    engine: Engine
    shares: Shares
    _found: dict[_Question, Found] = field(default_factory=dict, repr=False)
    _searches: dict[_Question, "asyncio.Task[Found]"] = field(default_factory=dict, repr=False)
    _callables: dict[str, _Callable] = field(default_factory=dict, repr=False)
    _heads: dict[_HeadsKey, tuple[Heads, float]] = field(default_factory=dict, repr=False)
    _preparing: dict[Target, "asyncio.Task[None]"] = field(default_factory=dict, repr=False)

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
        known = self.known(principal, reference)
        if known is None:
            question = _Question(reference, principal.sees(str(reference.model)))
            known = await self._search_once(question, principal)
        return known.servable

    def known(self, principal: Principal, reference: Reference) -> Found | None:
        """What ``resolve`` would find, where that was asked for a moment ago.

        Raises:
            Unauthorized: See ``resolve``.
            Forbidden: See ``resolve``.
        """
        principal.require(Scope.READ)
        found = self._found.get(_Question(reference, principal.sees(str(reference.model))))
        return found if found is not None and found.is_fresh else None

    async def predict(
        self,
        principal: Principal,
        servable: Servable,
        signature: str,
        tensors: Sequence[Tensor],
        deadline_s: float,
        priority: int = 0,
    ) -> list[Tensor]:
        """Run one signature on inputs that fit it.

        Raises:
            ModelFailed: The model raised on these inputs.
            Overloaded: Too many predictions wait already, in all or of this principal.
            WorkerLost: The worker died meanwhile; the request may be sent again.
            DeadlineExceeded: It took longer than ``deadline_s``.
        """
        tracing.note({"hub.model": servable.version.reference})
        with self.shares.inside(principal):
            return await self.engine.infer(servable.target, signature, tensors, deadline_s, priority)

    def start(
        self,
        principal: Principal,
        servable: Servable,
        signature: str,
        tensors: Sequence[Tensor],
        deadline_s: float,
        priority: int,
        tell: Callable[[Inferred], None],
    ) -> Callable[[], None] | None:
        """Run one signature at once, where a worker can be asked; see ``Engine.start_infer``.

        Raises:
            Overloaded: Too many predictions of this principal wait already.
        """
        self.shares.enter(principal)

        def done(told: Inferred) -> None:
            self.shares.leave(principal)
            tell(told)

        withdraw = None
        try:
            withdraw = self.engine.start_infer(servable.target, signature, tensors, deadline_s, priority, done)
        finally:
            if withdraw is None:
                self.shares.leave(principal)
        if withdraw is None:
            return None

        def withdrawn() -> None:
            self.shares.leave(principal)
            withdraw()

        return withdrawn

    async def heads(self, principal: Principal, trunk: Servable, references: Sequence[Reference] | None) -> Heads:
        """Find heads of a trunk.

        Args:
            principal: Who asks.
            trunk: The version they stand on.
            references: Which; the newest ready version of every head there is, where None.

        Raises:
            InvalidRequest: There is none, there are too many, or one is no head of this trunk version or is fed by
                another signature of it than the others.
            ModelNotFound: No such head that the principal may see.
            VersionNotReady: One is being validated, or was rejected.
        """
        named = None if references is None else tuple(references)
        key = _HeadsKey(trunk.version.reference, named, principal.view)
        known = self._heads.get(key)
        if known is None or known[1] < time.monotonic():
            if known is not None:  # one caller looks again, the others go on with what is known
                self._heads[key] = (known[0], time.monotonic() + FRESH_S)
            known = await self._find_heads(principal, trunk, references), time.monotonic() + FRESH_S
            _remember(self._heads, key, known)
        return known[0]

    async def _find_heads(self, principal: Principal, trunk: Servable, references: Sequence[Reference] | None) -> Heads:
        if references is None:
            references = await asyncio.to_thread(self._hanging, principal, trunk.version)
            if not references:
                raise InvalidRequest(
                    f"No ready head stands on {trunk.version.reference}.",
                    remedy="Push one with --head-of, or name a trunk.",
                )
        if not 0 < len(references) <= MAX_HEADS:
            raise InvalidRequest(
                f"{len(references)} heads of {trunk.version.reference} are asked.",
                remedy=f"Ask from one to {MAX_HEADS}; `hub lineage {trunk.version.reference}` lists them.",
            )
        found = [await self.resolve(principal, reference) for reference in dict.fromkeys(references)]
        for head in found:
            if head.target.trunk_digest != trunk.version.digest:
                raise InvalidRequest(
                    f"{head.version.reference} is no head of {trunk.version.reference}.",
                    remedy=f"`hub lineage {trunk.version.reference}` lists its heads.",
                )
        distinct = {head.target: head for head in found}
        chosen = tuple((head, choose_signature(head.signatures)) for head in distinct.values())
        inputs = chosen[0][1].inputs
        for head, _ in chosen:
            if head.fed_by != found[0].fed_by:
                raise InvalidRequest(
                    f"{head.version.reference} is fed by another signature of the trunk than "
                    f"{found[0].version.reference}.",
                    remedy="Ask them in two requests.",
                )
        outputs = {
            name: spec.model_copy(update={"name": name})
            for head, signature in chosen
            for key, spec in signature.outputs.items()
            for name in [f"{head.version.reference}/{key}"]
        }
        return Heads(trunk, chosen, Signature(name="heads", inputs=inputs, outputs=outputs))

    async def predict_heads(
        self, principal: Principal, heads: Heads, tensors: Sequence[Tensor], deadline_s: float, priority: int = 0
    ) -> list[Tensor]:
        """Run heads on one input of their trunk, which is computed once.

        Returns:
            What ``heads.signature`` gives.

        Raises:
            HubError: See :meth:`predict`; one head that fails fails all.
        """
        digests = [head.target.digest for head, _ in heads.heads]
        target = Target(digests[0], heads.trunk.version.digest, tuple(digests[1:]))
        names = [signature.name for _, signature in heads.heads]
        with self.shares.inside(principal):
            answers = await self.engine.infer_heads(target, names, tensors, deadline_s, priority)
        return [
            replace(tensor, name=f"{head.version.reference}/{tensor.name}")
            for (head, _), answer in zip(heads.heads, answers, strict=True)
            for tensor in answer
        ]

    def _hanging(self, principal: Principal, trunk: Version) -> list[Reference]:
        """The newest ready version of each head of a trunk that the principal may see, by model."""
        newest: dict[str, Version] = {}
        with self.catalog.read() as tx:
            for version in tx.children(trunk):
                model = tx.model(ModelName.parse(version.model))
                is_seen = not model.is_private or principal.sees(version.model)
                if version.state is State.READY and model.kind is Kind.HEAD and is_seen:
                    newest.setdefault(version.model, version)
        return [parse_reference(version.reference) for version in newest.values()]

    def listed(self, principal: Principal, name: ModelName) -> list[Version]:
        """A model's versions, newest first, at most :data:`MAX_LISTED`.

        Raises:
            ModelNotFound: No such model that the principal may see.
        """
        principal.require(Scope.READ)
        with self.catalog.read() as tx:
            tx.require_model(name, principal.view)
            return tx.versions(name, before=None, limit=MAX_LISTED)

    async def _search_once(self, question: _Question, principal: Principal) -> Found:
        """Many callers who miss at once share one search; a caller who leaves does not end it for the others."""
        task = self._searches.get(question)
        if task is None:
            task = self._searches[question] = asyncio.create_task(self._renew(question, principal))
            task.add_done_callback(partial(self._end_search, question))
        return await asyncio.shield(task)

    async def _renew(self, question: _Question, principal: Principal) -> Found:
        before = self._found.get(question)
        found = await asyncio.to_thread(self._search, question, principal)
        was_in_use = before is not None and before.until > time.monotonic() - IN_USE_S
        if before is not None and was_in_use and before.servable.target != found.servable.target:
            may_stay = await asyncio.to_thread(self._is_ready, before.servable.version)
            if may_stay and not self._is_prepared(found.servable.target):
                found = Found(before.servable, found.until)
        if before is not None:
            before.until = -math.inf
        _remember(self._found, question, found)
        return found

    def _is_ready(self, version: Version) -> bool:
        try:
            with self.catalog.read() as tx:
                return tx.version(ModelName.parse(version.model), version.number).state is State.READY
        except NotFound:
            return False

    def _is_prepared(self, target: Target) -> bool:
        """Whether a target can be called without a wait; has it loaded where it is not. One that cannot be is too."""
        task = self._preparing.get(target)
        if task is None:
            task = self._preparing[target] = asyncio.create_task(self._prepare(target))
        if task.done():
            del self._preparing[target]  # it may be evicted by the time that it is wanted again
        return task.done()

    async def _prepare(self, target: Target) -> None:
        try:
            await self.engine.load(target)
        except HubError as error:
            _log.warning("version.not_prepared", digest=target.digest, reason=error.detail)

    def _end_search(self, question: _Question, task: "asyncio.Task[Found]") -> None:
        self._searches.pop(question, None)
        if not task.cancelled():
            task.exception()  # taken here, or asyncio would warn where every caller has left

    def _search(self, question: _Question, principal: Principal) -> Found:
        reference = question.reference
        with self.catalog.read() as tx:
            tx.require_model(reference.model, principal.view)
            version = tx.resolve(reference)
        _check_callable(version)
        known = self._callables.get(version.digest) or self._read(version.digest)
        return Found(Servable(version, known.target, known.signatures, known.fed_by), time.monotonic() + FRESH_S)

    def _read(self, digest: str) -> _Callable:
        manifest = self.snapshots.manifest(digest)
        edge = manifest.trunk
        if edge is None:
            known = _Callable(Target(digest, None), manifest.signatures)
        else:
            trunk: Manifest = self.snapshots.manifest(edge.digest)
            signatures = compose(trunk.signatures[edge.signature], manifest.signatures)
            known = _Callable(Target(digest, edge.digest), signatures, edge.signature)
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
