"""The engine: who runs predictions and probes.

Laws, held by every implementation:

* ``infer`` answers with the signature's outputs in its order, or raises one of the errors it names; the same inputs
  give the same outputs whatever was asked before.
* A target is loaded when it is first needed; however many ask at once, it is loaded once.
* At most a fixed number of requests is inside; one more is ``Overloaded`` at once.
* When ``infer`` raises ``DeadlineExceeded`` the deadline has passed; a model that never ends stops nobody else for
  ever.
* After ``stop`` everything is ``NotAvailable``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from hub.domain.errors import HubError
from hub.domain.reports import ProbeResult
from hub.protocol.frames import Tensor
from hub.runtime.orders import Choice

WorkerState = Literal["starting", "ready", "restarting", "stopped"]


@dataclass(frozen=True, slots=True)
class Target:
    """What to run: a version, and for a head the trunk it stands on, and other heads of that trunk beside it.

    Attributes:
        digest: The version.
        trunk_digest: Its trunk's.
        beside: The other heads'.
        heads: The versions that are asked.
        digests: Every version that must be loaded, the trunk first.
    """

    digest: str
    trunk_digest: str | None = None
    beside: tuple[str, ...] = ()
    heads: tuple[str, ...] = field(init=False, repr=False, compare=False)
    digests: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Put together once what every request needs."""
        heads = (self.digest, *self.beside)
        object.__setattr__(self, "heads", heads)
        object.__setattr__(self, "digests", heads if self.trunk_digest is None else (self.trunk_digest, *heads))


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker as it is now; ``choices`` says how signatures of loaded versions are called, by digest and name."""

    device: str
    pid: int | None
    state: WorkerState
    loaded: Mapping[str, int] = field(default_factory=dict)
    in_flight: int = 0
    restarts: int = 0
    budget_bytes: int | None = None
    choices: Mapping[str, Mapping[str, Choice]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """All workers, and the versions they do not run because they died of them: by digest, for how many seconds more."""

    workers: tuple[WorkerStatus, ...]
    quarantined: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_ready(self) -> bool:
        """Whether at least one worker can take requests."""
        return any(worker.state == "ready" for worker in self.workers)


Inferred = list[Tensor] | HubError | None


class Engine(Protocol):
    """Runs predictions and probes."""

    async def start(self) -> None:
        """Begin; returns before the workers are ready.

        Raises:
            NotAvailable: The engine was stopped.
        """
        ...

    async def stop(self) -> None:
        """Take no more requests, finish those inside for a while, end."""
        ...

    async def infer(
        self, target: Target, signature: str, inputs: Sequence[Tensor], deadline_s: float, priority: int = 0
    ) -> list[Tensor]:
        """Call a signature.

        Args:
            target: What to run; a head with its trunk takes the trunk's inputs.
            signature: Its name.
            inputs: All inputs, in any order.
            deadline_s: Seconds the caller will wait, for loading as well.
            priority: What is smaller is computed before others, whoever waits.

        Raises:
            SignatureNotFound: The version has no such signature.
            InvalidTensor: An input does not fit the signature.
            ModelFailed: The model raised, cannot be loaded, or ended its worker on this request.
            Quarantined: Workers kept dying of the model.
            TooLarge: The version or the answer is beyond a limit.
            Overloaded: Too many requests are inside already.
            WorkerLost: The worker died; the request may be sent again.
            DeadlineExceeded: It took longer than ``deadline_s``.
            NotAvailable: No worker was ready in time, or the engine was stopped.
        """
        ...

    def start_infer(
        self,
        target: Target,
        signature: str,
        inputs: Sequence[Tensor],
        deadline_s: float,
        priority: int,
        tell: Callable[[Inferred], None],
    ) -> Callable[[], None] | None:
        """Call a signature where a worker can be asked at once; ``tell`` is given, once, what ``infer`` would be.

        Args:
            target: See ``infer``.
            signature: See ``infer``.
            inputs: See ``infer``.
            deadline_s: See ``infer``.
            priority: See ``infer``.
            tell: Given the outputs, the error, or None where the target has been unloaded meanwhile: then ``infer``.

        Returns:
            What withdraws the call; ``tell`` is not called after it. None where there is something to wait for, or
            where the call is refused: ``infer`` will tell.
        """
        ...

    async def infer_heads(
        self, target: Target, signatures: Sequence[str], inputs: Sequence[Tensor], deadline_s: float, priority: int = 0
    ) -> list[list[Tensor]]:
        """Call a signature of each of several heads of one trunk on one input; the trunk is computed once.

        Args:
            target: The heads, and their trunk.
            signatures: One for each of ``target.heads``.
            inputs: The trunk's, in any order.
            deadline_s: See ``infer``.
            priority: See ``infer``.

        Returns:
            The outputs of each head.

        Raises:
            HubError: See ``infer``; one head that fails fails all.
        """
        ...

    async def load(self, target: Target) -> None:
        """Have the target loaded on one worker.

        Raises:
            ModelFailed: It cannot be loaded.
            TooLarge: It does not fit into a worker's memory budget.
            WorkerLost: The worker died.
            NotAvailable: The engine was stopped.
        """
        ...

    async def probe(self, digest: str, trunk_digest: str | None) -> tuple[ProbeResult, bytes | None]:
        """Load and call an unknown version in a throw-away process.

        Whatever the version does is told by the result, never raised.

        Returns:
            What was measured, and the golden samples as ``hub.protocol.golden`` writes them (None: nothing answered).

        Raises:
            NotAvailable: No process can be started, the engine was stopped, or it leaves probes to another.
        """
        ...

    def status(self) -> EngineStatus:
        """How the workers are now."""
        ...
