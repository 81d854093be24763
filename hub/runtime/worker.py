"""A worker: one process that owns one device, and answers frames over streams (``python -m hub.runtime.worker``).

The event loop reads, writes and decides; device threads, one for each stream of the device, call TensorFlow; what is
loaded is loaded beside them. Messages by their ``op``: ``load`` (``orders``, ``is_tuned``), ``infer`` (``digest``,
``trunk``, ``signature``, ``priority``, tensors; or ``trunk`` and ``heads``, pairs of digest and signature, for many
heads at once) and ``cancel`` (with the number of a request, which is dropped if it waits still). Every ``load`` and
``infer`` gets exactly one reply with its number: tensors, or a ``problem``, or ``not_loaded``, or ``cancelled``; one
that ``is_traced`` is told of its batch as well. The first frame tells the worker's ``budget_bytes``, what is
``resident``, and the number of the ``stream``; others with the number 0 tell what is resident now, how a version was
``tuned``, and of ``leaked_bytes``.

The stream of the engine that started the worker is there from the beginning. Those of other processes that ask come
through the ``door``, a socket over which the engine passes them; ``settle`` is answered once they have all ended.

Laws: a model's error is an answer, never the end of the worker; no reply names a path of this machine, and none is
larger than it may be; on a CPU the process never has more memory than its versions and the work on them may take; no
request waits while a stream is free; when the engine's stream ends the process ends, whatever the device threads do;
what another process asked is nobody else's.
"""

import argparse
import asyncio
import os
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import uvloop

from hub.domain.errors import HubError
from hub.protocol.frames import Buffer, Frame
from hub.runtime.answers import encoded
from hub.runtime.askers import ENGINE, Askers, number_of, stream_of
from hub.runtime.computing import Answers, Job, compute
from hub.runtime.devices import Device
from hub.runtime.limits import AnswerLimits, bound_memory, die_with_parent
from hub.runtime.marks import Marks
from hub.runtime.memory import default_budget, freeze
from hub.runtime.orders import Choice, Order
from hub.runtime.placement import claim, streams
from hub.runtime.places import Places, wanted
from hub.runtime.queues import Lane, Queues
from hub.runtime.reporting import report_to_engine
from hub.runtime.residents import Resident, Residents
from hub.runtime.slots import Slots
from hub.runtime.solo import MODEST_S, SHORT_S, Kind, Solo

_GPU_SIZES = (1, 2, 4, 8, 16, 32, 64)
_NICENESS = 5  # where cores are few, who takes requests goes before who computes them: batches grow, and all are served
_log = structlog.get_logger()


class Worker:
    """Serves the engine's stream until it ends, and others beside it."""

    def __init__(
        self, device: Device, budget_bytes: int, marks: Marks, *, max_rows: int, delay_s: float, answers: AnswerLimits
    ) -> None:
        """Answer once connected.

        Args:
            device: What to compute on.
            budget_bytes: What versions may take together.
            marks: Told which version runs.
            max_rows: Rows of the largest batch.
            delay_s: How long what is no full batch waits for others.
            answers: What one answer may have.
        """
        self._askers = Askers(self._take, self._end)
        self._answers = answers
        self._ended = asyncio.Event()
        self._sizes = tuple(size for size in _GPU_SIZES if size <= max_rows) if device.kind == "gpu" else ()
        self._marks = marks
        self._slots = Slots(streams(device), self._dispatch)
        self._residents = Residents(
            device, budget_bytes, self._tuned, self._sizes, self._leaked, marks, measured=self._slots.borrowed
        )
        self._streams = ThreadPoolExecutor(streams(device), thread_name_prefix="device")
        self._queues: Queues[Job] = Queues(delay_s)
        self._timer: asyncio.TimerHandle | None = None
        self._places = Places(self._residents, max_rows)
        self._held: dict[int, tuple[Resident, ...]] = {}
        self._loads: set[asyncio.Task[None]] = set()
        self._solo = Solo(MODEST_S if device.kind == "cpu" else SHORT_S)
        self._batches = 0
        self._loop = asyncio.get_running_loop()

    async def serve(self, connected: socket.socket, door: socket.socket, hello: dict[str, Any]) -> None:
        """Say hello, and answer until the engine's stream ends.

        Args:
            connected: The engine's stream.
            door: Where others' streams come from.
            hello: What each is told first.
        """
        tell = partial(self._hello, hello)
        await self._askers.admit(connected, tell)
        self._askers.open(door, tell)
        await self._ended.wait()

    def _hello(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        return {**facts, "resident": self._residents.sizes}

    def _end(self, stream: int) -> None:
        if stream == ENGINE:
            self._ended.set()
        for request_id in [held for held in self._held if stream_of(held) == stream]:
            self._withdraw(request_id)

    def _take(self, stream: int, frames: list[Frame]) -> None:
        for frame in frames:
            request_id, op = number_of(stream, frame), frame.header["op"]
            if op == "cancel":
                self._cancel(request_id)
            elif op == "settle":
                self._askers.settle(request_id)
            elif op == "load":
                task = asyncio.create_task(self._load(request_id, frame.header))
                self._loads.add(task)
                task.add_done_callback(self._loads.discard)
            else:
                self._infer(request_id, frame)
        self._dispatch()

    def _cancel(self, request_id: int) -> None:
        if self._withdraw(request_id):
            self._askers.tell(request_id, {"cancelled": True})

    def _withdraw(self, request_id: int) -> bool:
        """Drop a request that waits still; whether it did."""
        if self._queues.remove(request_id) is None:
            return False
        self._residents.let_go(self._held.pop(request_id))
        return True

    async def _load(self, request_id: int, header: Mapping[str, Any]) -> None:
        try:
            orders = [Order.parse(order) for order in header["orders"]]
            await self._residents.load(orders, is_tuned=header.get("is_tuned", False), request=request_id)
        except Exception as error:  # noqa: BLE001 - models are other people's programs: TensorFlow may raise anything
            self._fail(request_id, error, "")
        else:
            self._askers.tell(request_id, {"resident": self._residents.sizes})
        self._askers.tell_all({"resident": self._residents.sizes})
        self._places.forget()

    def _tuned(self, digest: str, choices: dict[str, Choice]) -> None:
        self._places.forget()
        dumped = {name: choice.dump() for name, choice in choices.items()}
        self._askers.tell(ENGINE, {"tuned": digest, "choices": dumped})

    def _leaked(self, leaked_bytes: int) -> None:
        self._askers.tell(ENGINE, {"leaked_bytes": leaked_bytes})

    def _infer(self, request_id: int, frame: Frame) -> None:
        header = frame.header
        try:
            place = self._places.of(frame)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one request must not end the others
            self._fail(request_id, error, wanted(header)[0][1])
            return
        if place is None:
            self._askers.tell(request_id, {"not_loaded": True, "resident": self._residents.sizes})
            return
        self._solo.came(is_idle=self._is_idle)
        now = time.perf_counter()
        rows = frame.tensors[0].shape[0] if place.counts_rows else 1
        is_traced = header.get("is_traced", False)
        job = Job(request_id, rows, header.get("priority", 0), frame.tensors, place.heads, now, is_traced)
        self._held[request_id] = self._residents.hold(place.residents)
        self._queues.add(place.lane, job, now)

    def _dispatch(self) -> None:
        """Give the streams that are free what waits, or do it here where that is better."""
        now = time.perf_counter()
        while self._slots.free and (taken := self._queues.take(now, self._slots.free)) is not None:
            lane, jobs = taken
            work = partial(self._compute, lane, jobs)
            if self._solo.is_for(_kind(lane, jobs), sum([job.rows for job in jobs]), is_idle=self._is_idle):
                self._answer(lane, jobs, now, work(), is_solo=True)
                self._loop.call_soon(self._dispatch)
                return
            self._slots.take()
            done = self._loop.run_in_executor(self._streams, work)
            done.add_done_callback(partial(self._computed, lane, jobs, now))
        self._look_again(self._queues.next_due(now))

    @property
    def _is_idle(self) -> bool:
        return self._slots.are_all_free and not self._queues

    def _compute(self, lane: Lane, jobs: list[Job]) -> list[Answers | Exception]:
        with self._marks.doing(lane.version) as mark:
            return compute(lane.key[0], jobs, self._sizes, mark, self._answers)

    def _look_again(self, after_s: float | None) -> None:
        """Dispatch once more when something is due, where requests are held back at all."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if after_s is not None and self._slots.free:
            self._timer = self._loop.call_later(after_s, self._dispatch)

    def _computed(self, lane: Lane, jobs: list[Job], began: float, done: asyncio.Future[Any]) -> None:
        self._slots.give()
        self._answer(lane, jobs, began, done.result())
        self._dispatch()

    def _answer(
        self, lane: Lane, jobs: list[Job], began: float, answers: list[Answers | Exception], *, is_solo: bool = False
    ) -> None:
        took_s = time.perf_counter() - began
        self._queues.charge(lane, took_s)
        rows = sum([job.rows for job in jobs])
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
            frame = encoded(job.id, answer, facts, lane.key[0].signature)
            replies.setdefault(stream_of(job.id), []).extend(frame)
            facts = {}
        for stream, buffers in replies.items():
            self._askers.send(stream, buffers)
        has_company = is_solo and took_s >= SHORT_S and self._askers.are_waiting()
        has_failed = any(isinstance(answer, Exception) for answer in answers)
        kind = None if has_failed else _kind(lane, jobs)
        self._solo.took(kind, rows, took_s, has_company=has_company)

    def _fail(self, request_id: int, error: Exception, signature: str) -> None:
        self._askers.send(stream_of(request_id), encoded(request_id, error, {}, signature))


def _kind(lane: Lane, jobs: Sequence[Job]) -> Kind | None:
    """What takes as long as what, None where jobs want different heads; it keeps nothing that is loaded from going."""
    heads = jobs[0].heads
    if any(job.heads != heads for job in jobs):
        return None
    feeding, form = lane.key
    return lane.version, feeding.signature, form, *[(head.servable.order.digest, head.signature) for head in heads]


async def run(options: argparse.Namespace) -> None:
    """Claim the device, say so, and serve the connected socket.

    Raises:
        NotAvailable: TensorFlow does not see the device.
    """
    device: Device = options.device
    claim(device)
    budget = options.budget_bytes if options.budget_bytes is not None else default_budget(device)
    freeze()
    if device.kind == "cpu":  # a GPU's driver maps far more than it uses
        _log.info("memory.bounded", bytes=bound_memory(budget))
    marks, answers = Marks(options.marks), AnswerLimits(options.max_elements, options.max_bytes)
    worker = Worker(device, budget, marks, max_rows=options.max_rows, delay_s=options.delay_s, answers=answers)
    engine, door = socket.socket(fileno=options.fd), socket.socket(fileno=options.door)
    await worker.serve(engine, door, {"budget_bytes": budget})


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
    parser.add_argument("--max-elements", type=int, required=True, help="of an answer")
    parser.add_argument("--max-bytes", type=int, required=True, help="of an answer")
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
