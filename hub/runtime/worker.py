"""A worker: one process that owns one device, and answers frames over streams (``python -m hub.runtime.worker``).

The event loop reads, writes and decides; device threads, one for each stream of the device, call TensorFlow; what is
loaded is loaded beside them. Messages by their ``op``: ``load`` (``orders``, ``is_tuned``), ``infer`` (``digest``,
``trunk``, ``signature``, ``priority``, tensors; or ``trunk`` and ``heads``, pairs of digest and signature, for many
heads at once) and ``cancel`` (the ``id`` of a request, which is dropped if it waits still). Every ``load`` and
``infer`` gets exactly one reply with its ``id``: tensors, or a ``problem``, or ``not_loaded``, or ``cancelled``; one
that ``is_traced`` is told of its batch as well. The first frame tells the worker's ``budget_bytes`` and what is
``resident``; others with the id 0 tell what is resident now, how a version was ``tuned``, and of ``leaked_bytes``.

The stream of the engine that started the worker is there from the beginning. Those of other processes that ask come
through the ``door``, a socket over which the engine passes them; ``settle`` is answered once they have all ended.

Laws: a model's error is an answer, never the end of the worker; no reply names a path of this machine; no request waits
while a stream is free; when the engine's stream ends the process ends, whatever the device threads do; what another
process asked, and what it may read, is nobody else's.
"""

import argparse
import asyncio
import os
import socket
import time
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import uvloop

from hub.domain.errors import HubError
from hub.protocol.frames import Buffer, Frame, Tensor, encode_frame
from hub.protocol.problems import to_problem
from hub.protocol.streams import FrameStream
from hub.runtime.batches import has_rows
from hub.runtime.computing import Answers, Call, Job, compute
from hub.runtime.devices import Device
from hub.runtime.failures import model_failed
from hub.runtime.limits import die_with_parent
from hub.runtime.marks import Marks
from hub.runtime.memory import default_budget, freeze
from hub.runtime.orders import Choice, Order
from hub.runtime.placement import claim, streams
from hub.runtime.queues import Lane, Queues
from hub.runtime.reporting import report_to_engine
from hub.runtime.residents import Resident, Residents
from hub.runtime.servable import check_specs, signature_of

MAX_BATCH_BYTES = 64 << 20
_GPU_SIZES = (1, 2, 4, 8, 16, 32, 64)
_MAX_REMEMBERED = 1_024
_SHORT_S = 0.001
_NICENESS = 5  # where cores are few, who takes requests goes before who computes them: batches grow, and all are served
_NO_CHOICE = Choice()
_ID_BITS = 48  # of a number that is a stream's and a request's
_ENGINE = 0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where requests of one form go: the lane they wait in, what is wanted of what is fed, and what that needs."""

    lane: Lane
    heads: tuple[Call, ...]
    residents: tuple[Resident, ...]
    counts_rows: bool


class Worker:
    """Serves the engine's stream until it ends, and others beside it."""

    def __init__(self, device: Device, budget_bytes: int, marks: Marks, *, max_rows: int, delay_s: float) -> None:
        """Answer once connected.

        Args:
            device: What to compute on.
            budget_bytes: What versions may take together.
            marks: Told which version runs.
            max_rows: Rows of the largest batch.
            delay_s: How long what is no full batch waits for others.
        """
        self._max_rows = max_rows
        self._senders: dict[int, FrameStream] = {}
        self._streams_so_far = 0
        self._settling: list[int] = []
        self._ended = asyncio.Event()
        self._sizes = tuple(size for size in _GPU_SIZES if size <= max_rows) if device.kind == "gpu" else ()
        self._marks = marks
        self._residents = Residents(device, budget_bytes, self._tuned, self._sizes, self._leaked, marks)
        self._idle = streams(device)
        self._streams = ThreadPoolExecutor(self._idle, thread_name_prefix="device")
        self._queues: Queues[Job] = Queues(delay_s)
        self._timer: asyncio.TimerHandle | None = None
        self._places: dict[Hashable, _Place] = {}
        self._held: dict[int, tuple[Resident, ...]] = {}
        self._loads: set[asyncio.Task[None]] = set()
        self._seconds: dict[str, float] = {}
        self._batches = 0
        self._loop = asyncio.get_running_loop()

    async def serve(self, connected: socket.socket, door: socket.socket, hello: dict[str, Any]) -> None:
        """Say hello, and answer until the engine's stream ends.

        Args:
            connected: The engine's stream.
            door: Where others' streams come from; not blocking.
            hello: What each is told first.
        """
        await self._admit(connected, hello)
        self._loop.add_reader(door, self._open, door, hello)
        await self._ended.wait()

    async def _admit(self, connected: socket.socket, hello: dict[str, Any]) -> None:
        number = self._streams_so_far
        self._streams_so_far += 1
        stream = FrameStream(partial(self._take, number), partial(self._end, number))
        self._senders[number] = stream
        await self._loop.create_connection(lambda: stream, sock=connected)
        self._send(number << _ID_BITS, {**hello, "resident": self._residents.sizes})

    def _open(self, door: socket.socket, hello: dict[str, Any]) -> None:
        """Take the streams that have come."""
        try:
            _, passed, _, _ = socket.recv_fds(door, 1, 16)
        except OSError:
            passed = []
        if not passed:
            self._loop.remove_reader(door)  # the engine has gone, and its stream with it
        for file in passed:
            task = asyncio.create_task(self._admit(socket.socket(fileno=file), hello))
            self._loads.add(task)
            task.add_done_callback(self._loads.discard)

    def _end(self, number: int, trouble: Exception | None) -> None:
        _log.info("stream.ended", number=number, trouble=repr(trouble) if trouble else None)
        del self._senders[number]
        if number == _ENGINE:
            self._ended.set()
        for request_id in [held for held in self._held if held >> _ID_BITS == number]:
            self._withdraw(request_id)
        self._settle()

    def _settle(self) -> None:
        """Tell who wants to know that nobody but the engine is connected."""
        if len(self._senders) == 1:
            while self._settling:
                self._send(self._settling.pop(), {"settled": True})

    def _take(self, number: int, frames: list[Frame]) -> None:
        for frame in frames:
            request_id, op = number << _ID_BITS | int(frame.header["id"]), frame.header["op"]
            if op == "cancel":
                self._cancel(request_id)
            elif op == "settle":
                self._settling.append(request_id)
                self._settle()
            elif op == "load":
                task = asyncio.create_task(self._load(request_id, frame.header))
                self._loads.add(task)
                task.add_done_callback(self._loads.discard)
            else:
                self._infer(request_id, frame)
        self._dispatch()

    def _cancel(self, request_id: int) -> None:
        if self._withdraw(request_id):
            self._send(request_id, {"cancelled": True})

    def _withdraw(self, request_id: int) -> bool:
        """Drop a request that waits still; whether it did."""
        if self._queues.remove(request_id) is None:
            return False
        self._residents.let_go(self._held.pop(request_id))
        return True

    async def _load(self, request_id: int, header: dict[str, Any]) -> None:
        try:
            orders = [Order.parse(order) for order in header["orders"]]
            await self._residents.load(orders, is_tuned=header.get("is_tuned", False))
        except Exception as error:  # noqa: BLE001 - models are other people's programs: TensorFlow may raise anything
            self._fail(request_id, error, "")
        else:
            self._send(request_id, {"resident": self._residents.sizes})
        for number in self._senders:
            self._send(number << _ID_BITS, {"resident": self._residents.sizes})
        self._forget_places()

    def _tuned(self, digest: str, choices: dict[str, Choice]) -> None:
        self._forget_places()
        dumped = {name: choice.dump() for name, choice in choices.items()}
        self._send(_ENGINE, {"tuned": digest, "choices": dumped})

    def _leaked(self, leaked_bytes: int) -> None:
        self._send(_ENGINE, {"leaked_bytes": leaked_bytes})

    def _infer(self, request_id: int, frame: Frame) -> None:
        header = frame.header
        wanted = header.get("heads") or ((header["digest"], header["signature"]),)
        try:
            place = self._place(header["trunk"], tuple(map(tuple, wanted)), frame.tensors)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one request must not end the others
            self._fail(request_id, error, wanted[0][1])
            return
        if place is None:
            self._send(request_id, {"not_loaded": True, "resident": self._residents.sizes})
            return
        now = time.perf_counter()
        rows = frame.tensors[0].shape[0] if place.counts_rows else 1
        is_traced = header.get("is_traced", False)
        job = Job(request_id, rows, header.get("priority", 0), frame.tensors, place.heads, now, is_traced)
        self._held[request_id] = self._residents.hold(place.residents)
        self._queues.add(place.lane, job, now)

    def _place(
        self, trunk: str | None, wanted: tuple[tuple[str, str], ...], tensors: Sequence[Tensor]
    ) -> _Place | None:
        """Where requests of this form go; None where something is not loaded."""
        form = tuple((tensor.name, tensor.dtype, tensor.shape) for tensor in tensors)
        key = (trunk, wanted, form)
        place = self._places.get(key)
        if place is None or any(resident.is_evicted for resident in place.residents):
            needed = [*([trunk] if trunk else ()), *(digest for digest, _ in wanted)]
            if not self._residents.has(*needed):
                return None
            if len(self._places) >= _MAX_REMEMBERED:
                self._forget_places()
            place = self._places[key] = self._find_place(trunk, wanted, tensors)
        return place

    def _find_place(self, trunk: str | None, wanted: tuple[tuple[str, str], ...], tensors: Sequence[Tensor]) -> _Place:
        residents = [self._residents.of(digest) for digest, _ in wanted]
        calls = [_call(resident, name) for resident, (_, name) in zip(residents, wanted, strict=True)]
        if trunk is None or residents[0].servable.order.trunk_signature is None:
            feeding, heads = calls[0], ()
        else:
            residents.insert(0, self._residents.of(trunk))
            feeding, heads = _call(residents[0], residents[1].servable.order.trunk_signature or ""), tuple(calls)
            for head in heads:
                head.features(feeding)
        signature = signature_of(feeding.servable.order, feeding.signature)
        check_specs(signature, {tensor.name: (tensor.dtype, tensor.shape) for tensor in tensors})
        counts_rows = bool(tensors) and has_rows(signature)
        max_rows = 0
        if _may_join(feeding, heads) and len({tensor.shape[0] for tensor in tensors}) == 1:
            rows, size = max(1, tensors[0].shape[0]), sum(len(tensor.data) for tensor in tensors)
            max_rows = max(1, min(self._max_rows, MAX_BATCH_BYTES * rows // max(1, size)))
        form = tuple((tensor.name, tensor.shape[1:] if max_rows else tensor.shape) for tensor in tensors)
        lane = Lane(feeding.servable.order.digest, (feeding, form), max_rows)
        return _Place(lane, heads, tuple(residents), counts_rows)

    def _forget_places(self) -> None:
        self._places.clear()

    def _dispatch(self) -> None:
        """Give the streams that are free what waits; what is done in no time is done here, without changing threads."""
        now = time.perf_counter()
        while self._idle and (taken := self._queues.take(now, self._idle)) is not None:
            lane, jobs = taken
            work = partial(self._compute, lane, jobs)
            if self._seconds.get(lane.version, _SHORT_S) < _SHORT_S:
                self._answer(lane, jobs, now, work())
                self._loop.call_soon(self._dispatch)
                return
            self._idle -= 1
            done = self._loop.run_in_executor(self._streams, work)
            done.add_done_callback(partial(self._computed, lane, jobs, now))
        self._look_again(self._queues.next_due(now))

    def _compute(self, lane: Lane, jobs: list[Job]) -> list[Answers | Exception]:
        with self._marks.doing(lane.version) as mark:
            return compute(lane.key[0], jobs, self._sizes, mark)

    def _look_again(self, after_s: float | None) -> None:
        """Dispatch once more when something is due, where requests are held back at all."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if after_s is not None and self._idle:
            self._timer = self._loop.call_later(after_s, self._dispatch)

    def _computed(self, lane: Lane, jobs: list[Job], began: float, done: asyncio.Future[Any]) -> None:
        self._idle += 1
        self._answer(lane, jobs, began, done.result())
        self._dispatch()

    def _answer(self, lane: Lane, jobs: list[Job], began: float, answers: list[Answers | Exception]) -> None:
        took_s = time.perf_counter() - began
        self._queues.charge(lane, took_s)
        self._remember(lane.version, took_s)
        rows = sum(job.rows for job in jobs)
        waited_s = [began - job.arrived for job in jobs]
        # What was seen of a batch travels once, with its first answer.
        facts = {"batch": {"computed_s": took_s, "rows": rows, "waited_s": waited_s}}
        replies: dict[int, list[Buffer]] = {}
        self._batches += 1
        for job, answer in zip(jobs, answers, strict=True):
            self._residents.let_go(self._held.pop(job.id))
            if job.is_traced:
                times = {"waited_s": began - job.arrived, "computed_s": took_s}
                facts = facts | {"traced": {"batch": self._batches, "rows": rows, **times}}
            encoded = _encoded(job.id, answer, facts, lane.key[0].signature)
            replies.setdefault(job.id >> _ID_BITS, []).extend(encoded)
            facts = {}
        for number, buffers in replies.items():
            if number in self._senders:
                self._senders[number].send(buffers)

    def _remember(self, version: str, took_s: float) -> None:
        """How long a version's batches take: one that took long counts at once, short ones only by and by."""
        if len(self._seconds) >= _MAX_REMEMBERED:
            self._seconds.clear()
        before = self._seconds.get(version, took_s)
        self._seconds[version] = max(took_s, before + (took_s - before) / 8)

    def _send(self, request_id: int, facts: dict[str, Any]) -> None:
        stream = self._senders.get(request_id >> _ID_BITS)
        if stream is not None:
            stream.send(encode_frame({"id": _own_id(request_id), **facts}))

    def _fail(self, request_id: int, error: Exception, signature: str) -> None:
        stream = self._senders.get(request_id >> _ID_BITS)
        if stream is not None:
            stream.send(_encoded(request_id, error, {}, signature))


def _own_id(request_id: int) -> int:
    """A request's number on its own stream."""
    return request_id & ((1 << _ID_BITS) - 1)


def _call(resident: Resident, name: str) -> Call:
    signature_of(resident.servable.order, name)
    return Call(resident.servable, name, resident.choices.get(name, _NO_CHOICE).has_independent_rows)


def _may_join(feeding: Call, heads: Sequence[Call]) -> bool:
    """Whether requests may be one batch: the rows are independent, and nothing changes any state."""
    return feeding.has_independent_rows and not any(
        call.servable.order.signatures[call.signature].is_stateful for call in (feeding, *heads)
    )


def _encoded(request_id: int, answer: Answers | Exception, facts: dict[str, Any], signature: str) -> list[Buffer]:
    try:
        if not isinstance(answer, Exception):
            return encode_frame({"id": _own_id(request_id), **facts}, answer)
    except HubError as error:
        answer = error
    _log.info("request.failed", signature=signature, error=repr(answer)[:2000])
    return encode_frame({"id": _own_id(request_id), "problem": to_problem(model_failed(answer, signature))})


async def run(options: argparse.Namespace) -> None:
    """Claim the device, say so, and serve the connected socket.

    Raises:
        NotAvailable: TensorFlow does not see the device.
    """
    device: Device = options.device
    claim(device)
    budget = options.budget_bytes if options.budget_bytes is not None else default_budget(device)
    freeze()
    worker = Worker(device, budget, Marks(options.marks), max_rows=options.max_rows, delay_s=options.delay_s)
    door = socket.socket(fileno=options.door)
    door.setblocking(False)
    await worker.serve(socket.socket(fileno=options.fd), door, {"budget_bytes": budget})


def main() -> None:
    """Run a worker for the engine that started this process."""
    parser = argparse.ArgumentParser(prog="hub.runtime.worker", description="Serve one device.")
    parser.add_argument("--fd", type=int, required=True, help="connected socket, inherited")
    parser.add_argument("--door", type=int, required=True, help="socket that others' streams come from, inherited")
    parser.add_argument("--parent", type=int, required=True, help="process to die with")
    parser.add_argument("--device", type=Device.parse, required=True)
    parser.add_argument("--marks", type=Path, required=True, help="file that says which versions run")
    parser.add_argument("--budget-bytes", type=int, default=None)
    parser.add_argument("--max-rows", type=int, required=True, help="of a batch")
    parser.add_argument("--delay-s", type=float, required=True, help="that requests wait for others")
    options = parser.parse_args()
    die_with_parent(options.parent)
    report_to_engine()
    os.nice(_NICENESS)
    try:
        uvloop.run(run(options))
    except HubError as error:
        _log.error("worker.unable", detail=str(error))
        os._exit(1)
    # A model may still compute on the device thread; nothing it could give is wanted any more.
    os._exit(0)


if __name__ == "__main__":
    main()
