"""An engine without processes or TensorFlow: signatures are Python functions. For tests of what stands above it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hub.domain.errors import (
    DeadlineExceeded,
    HubError,
    InvalidTensor,
    ModelFailed,
    NotAvailable,
    Overloaded,
    SignatureNotFound,
)
from hub.domain.reports import ProbeResult
from hub.domain.signatures import Signature
from hub.domain.tensors import check_tensor
from hub.engine.engine import EngineStatus, Inferred, Target, WorkerStatus
from hub.protocol.frames import Tensor, to_numpy

Function = Callable[[Mapping[str, Tensor]], Sequence[Tensor]]
ProbeOutcome = tuple[ProbeResult, bytes | None]


@dataclass(frozen=True, slots=True)
class MemoryVersion:
    """A version that is run by functions.

    ``signatures`` are those of the target as it is called: for a head with its trunk, the composed ones.
    """

    signatures: Mapping[str, Signature]
    functions: Mapping[str, Function]


class MemoryEngine:
    """Runs functions, each in a thread."""

    def __init__(
        self,
        versions: Mapping[Target, MemoryVersion],
        probes: Mapping[str, ProbeOutcome] | None = None,
        *,
        max_in_flight: int = 256,
    ) -> None:
        """Serve ``versions``; a version without an entry in ``probes`` is probed as one that cannot be loaded."""
        self._versions = versions
        self._probes = probes or {}
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._loaded: dict[str, int] = {}
        self._is_running = False
        self._is_stopped = False

    async def start(self) -> None:
        """Begin.

        Raises:
            NotAvailable: The engine was stopped.
        """
        if self._is_stopped:
            raise NotAvailable("The engine was stopped.", remedy="Make another.")
        self._is_running = True

    async def stop(self) -> None:
        """End."""
        self._is_running, self._is_stopped = False, True

    async def infer(
        self, target: Target, signature: str, inputs: Sequence[Tensor], deadline_s: float, priority: int = 0
    ) -> list[Tensor]:
        """Call a signature's function; see ``Engine.infer``. Nothing waits here, so nothing is more urgent."""
        del priority
        if self._is_running and self._in_flight >= self._max_in_flight:
            raise Overloaded(f"{self._in_flight} requests are being computed already.", remedy="Wait, then try again.")
        await self.load(target)
        self._in_flight += 1
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._call, target, signature, inputs), deadline_s)
        except TimeoutError as error:
            raise DeadlineExceeded(f"The model did not answer within {deadline_s:g} s.") from error
        finally:
            self._in_flight -= 1

    def start_infer(
        self,
        target: Target,
        signature: str,
        inputs: Sequence[Tensor],
        deadline_s: float,
        priority: int,
        tell: Callable[[Inferred], None],
    ) -> Callable[[], None] | None:
        """Call a signature's function at once; see ``Engine.start_infer``."""
        if target.digest not in self._loaded or not self._is_running or self._in_flight >= self._max_in_flight:
            return None

        def done(task: asyncio.Task[list[Tensor]]) -> None:
            if task.cancelled():
                return
            error = task.exception()
            assert error is None or isinstance(error, HubError)
            tell(error or task.result())

        task = asyncio.create_task(self.infer(target, signature, inputs, deadline_s, priority))
        task.add_done_callback(done)

        def withdraw() -> None:
            task.cancel()

        return withdraw

    async def infer_heads(
        self, target: Target, signatures: Sequence[str], inputs: Sequence[Tensor], deadline_s: float, priority: int = 0
    ) -> list[list[Tensor]]:
        """Call the functions of several heads; see ``Engine.infer_heads``."""
        heads = [Target(digest, target.trunk_digest) for digest in target.heads]
        return [
            await self.infer(head, signature, inputs, deadline_s, priority)
            for head, signature in zip(heads, signatures, strict=True)
        ]

    async def load(self, target: Target) -> None:
        """Note that the target is loaded."""
        if not self._is_running:
            raise NotAvailable("The engine is not running.")
        if target not in self._versions:
            raise NotAvailable(f"The files of {target.digest} cannot be had.")
        self._loaded |= dict.fromkeys(target.digests, 0)

    async def probe(self, digest: str, trunk_digest: str | None) -> ProbeOutcome:  # noqa: ARG002 - the Protocol's
        """Give the outcome that was set for the version."""
        if not self._is_running:
            raise NotAvailable("The engine is not running.")
        return self._probes.get(digest, (ProbeResult(), None))

    def status(self) -> EngineStatus:
        """One worker, ready while the engine runs."""
        state = "ready" if self._is_running else "stopped"
        return EngineStatus((WorkerStatus("memory:0", None, state, dict(self._loaded), self._in_flight),))

    def _call(self, target: Target, name: str, inputs: Sequence[Tensor]) -> list[Tensor]:
        version = self._versions[target]
        signature = version.signatures.get(name)
        if signature is None:
            raise SignatureNotFound(f"The version has no signature {name!r}.")
        sent = {tensor.name: tensor for tensor in inputs}
        if sent.keys() != signature.inputs.keys():
            raise InvalidTensor(f"The inputs are {sorted(sent)}.", remedy=f"Send {sorted(signature.inputs)}.")
        for tensor in inputs:
            to_numpy(tensor)
            check_tensor(tensor.name, tensor.dtype, tensor.shape, signature.inputs[tensor.name])
        try:
            return list(version.functions[name](sent))
        except HubError:
            raise
        except Exception as error:
            raise ModelFailed(f"Signature {name!r} failed: {error}.", signature=name) from error
