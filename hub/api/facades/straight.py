"""The straight way of a prediction: what its usual way does, where nothing has to be waited for but a worker.

Laws: a caller, a version and a body that take a look into the database, or so long that others would notice, are left
to the usual way, and so is every error before the worker is asked; an answer that takes long to write is written in a
thread; who leaves is not computed for.
"""

import asyncio
import math
import time
from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from hub.api.facades.exchange import DEADLINE, LARGE_BYTES, Call, count, deadline_s
from hub.api.facades.hot import Answer, Start, foreseen
from hub.domain.access import Principal
from hub.domain.errors import HubError
from hub.domain.names import Reference
from hub.engine.engine import Inferred
from hub.protocol.frames import Tensor
from hub.services.house import House
from hub.services.servables import Found, Servable


class Asked(Call, Protocol):
    """A call that says how urgent it is."""

    @property
    def priority(self) -> int:
        """What is smaller goes before others."""
        ...

    @property
    def timeout_s(self) -> float | None:
        """How long the caller will wait, where that was said."""
        ...


AnyCall = TypeVar("AnyCall", bound=Asked)
Tell = Callable[[Answer | HubError | None], None]


@dataclass(frozen=True, slots=True)
class Starter(Generic[AnyCall]):
    """Starts the predictions of one route.

    Attributes:
        protocol: As which they are counted.
        reference: What a path's parts mean.
        decode: Reads a body, by the request's headers and the version; None where that is for the usual way.
        encode: Writes the answer.
        text_bytes: Of the outputs that ``encode`` writes as text.
    """

    protocol: str
    reference: Callable[[Mapping[str, str]], Reference]
    decode: Callable[[Mapping[bytes, bytes], bytes, Servable], AnyCall | None]
    encode: Callable[[list[Tensor], AnyCall, Servable], Answer]
    text_bytes: Callable[[Sequence[Tensor], AnyCall], int]

    def __call__(self, house: House, headers: Mapping[bytes, bytes], parts: Mapping[str, str]) -> Start | None:
        """Read what a head says; None where requests with it go the usual way.

        Raises:
            HubError: It says what is wrong.
        """
        if b"content-encoding" in headers:
            return None
        authorization, asked = headers.get(b"authorization"), headers.get(DEADLINE)
        credentials = authorization.decode("latin-1") if authorization else None
        limit_s = deadline_s(house, asked.decode("latin-1") if asked else None)
        reference = self.reference(parts)
        lately: tuple[Principal, Found] | None = None

        def start(body: bytes, tell: Tell) -> Callable[[], None] | None:
            nonlocal lately
            principal = house.access.at_hand(credentials)
            if principal is None:
                return None
            if lately is None or lately[0] is not principal or not lately[1].is_fresh:
                found = house.predictions.known(principal, reference)
                lately = None if found is None else (principal, found)
            if lately is None:
                return None
            servable = lately[1].servable
            call = self.decode(headers, body, servable)
            return None if call is None else self._start(house, principal, servable, call, limit_s, tell)

        return start

    def _start(
        self, house: House, principal: Principal, servable: Servable, call: AnyCall, limit_s: float, tell: Tell
    ) -> Callable[[], None] | None:
        """Ask a worker; None where the usual way must. What is given withdraws the question."""
        limit_s = min(limit_s, call.timeout_s or math.inf)
        started = time.perf_counter()
        writing: Future[Answer | HubError] | None = None
        has_left = False

        def done(told: Inferred) -> None:
            nonlocal writing
            if not isinstance(told, list):
                if told is not None:
                    count(self.protocol, told.code, started)
                tell(told)
                return
            count(self.protocol, "answered", started)
            if self.text_bytes(told, call) < LARGE_BYTES:
                tell(self._written(told, call, servable))
                return
            writing = asyncio.get_running_loop().run_in_executor(None, self._written, told, call, servable)
            writing.add_done_callback(lambda written: None if has_left else tell(written.result()))

        name, inputs = call.signature.name, call.tensors
        given = house.predictions.start(principal, servable, name, inputs, limit_s, call.priority, done)
        if given is None:
            return None

        def withdrawn() -> None:
            nonlocal has_left
            has_left = True
            if writing is None:
                given()
                count(self.protocol, "cancelled", started)

        return withdrawn

    def _written(self, outputs: list[Tensor], call: AnyCall, servable: Servable) -> Answer | HubError:
        try:
            return self.encode(outputs, call, servable)
        except Exception as error:  # noqa: BLE001 - whatever was not foreseen is answered, and told to the log
            return foreseen(error, "")
