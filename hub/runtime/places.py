"""Places: where requests go. All whose frames have the same head go to the same one, so it is looked for once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.protocol.frames import Frame, Tensor, check_bytes
from hub.runtime.batches import MAX_BATCH_BYTES, has_rows
from hub.runtime.computing import Call
from hub.runtime.orders import Choice
from hub.runtime.queues import Lane
from hub.runtime.residents import Resident, Residents
from hub.runtime.servable import check_specs, signature_of

_MAX_REMEMBERED = 1_024
_NO_CHOICE = Choice()


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests of one form go.

    Attributes:
        lane: What they wait in.
        heads: What is wanted of what is fed; where there is none, that itself.
        residents: The versions that takes.
        counts_rows: Whether a request's size is that of axis 0.
    """

    lane: Lane
    heads: tuple[Call, ...]
    residents: tuple[Resident, ...]
    counts_rows: bool


class Places:
    """Every place that was asked for lately, by the head of the frames that asked."""

    def __init__(self, residents: Residents, max_rows: int) -> None:
        """Look among what is loaded; batches have at most ``max_rows``."""
        self._residents = residents
        self._max_rows = max_rows
        self._known: dict[bytes, Place] = {}

    def forget(self) -> None:
        """Look anew from now on: something was loaded, or is called in another way."""
        self._known.clear()

    def of(self, frame: Frame) -> Place | None:
        """Where a request goes; None where something that it takes is not loaded.

        Raises:
            HubError: There is no such signature, or it does not take these tensors.
        """
        place = self._known.get(frame.head)
        if place is None or any(resident.is_evicted for resident in place.residents):
            trunk, asked = frame.header["trunk"], wanted(frame.header)
            needed = [*([trunk] if trunk else ()), *(digest for digest, _ in asked)]
            if not self._residents.has(*needed):
                return None
            if len(self._known) >= _MAX_REMEMBERED:
                self.forget()
            place = self._known[frame.head] = self._find(trunk, asked, frame.tensors)
        return place

    def _find(self, trunk: str | None, asked: Sequence[tuple[str, str]], tensors: Sequence[Tensor]) -> Place:
        residents = [self._residents.of(digest) for digest, _ in asked]
        calls = [_call(resident, name) for resident, (_, name) in zip(residents, asked, strict=True)]
        if trunk is None or residents[0].servable.order.trunk_signature is None:
            feeding, heads = calls[0], ()
        else:
            residents.insert(0, self._residents.of(trunk))
            feeding, heads = _call(residents[0], residents[1].servable.order.trunk_signature or ""), tuple(calls)
            for head in heads:
                head.features(feeding)
        signature = signature_of(feeding.servable.order, feeding.signature)
        check_specs(signature, {tensor.name: (tensor.dtype, tensor.shape) for tensor in tensors})
        for tensor in tensors:
            check_bytes(tensor)
        counts_rows = bool(tensors) and has_rows(signature)
        is_stateful = any(call.servable.order.signatures[call.signature].is_stateful for call in (feeding, *heads))
        may_join = feeding.has_independent_rows and not is_stateful
        max_rows = 0
        if may_join and len({tensor.shape[0] for tensor in tensors}) == 1:
            rows, size = max(1, tensors[0].shape[0]), sum(len(tensor.data) for tensor in tensors)
            most = min(self._max_rows, feeding.best_rows or self._max_rows)
            max_rows = max(1, min(most, MAX_BATCH_BYTES * rows // max(1, size)))
        form = tuple((tensor.name, tensor.shape[1:] if max_rows else tensor.shape) for tensor in tensors)
        lane = Lane(feeding.servable.order.digest, (feeding, form), max_rows)
        return Place(lane, heads, tuple(residents), counts_rows)


def wanted(header: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The versions that a request asks, each with its signature."""
    pairs = header.get("heads") or ((header["digest"], header["signature"]),)
    return [(digest, signature) for digest, signature in pairs]


def _call(resident: Resident, name: str) -> Call:
    signature_of(resident.servable.order, name)
    choice = resident.choices.get(name, _NO_CHOICE)
    return Call(resident.servable, name, choice.has_independent_rows, choice.best_rows)
