"""A worker: one process that owns one device, and answers frames over one stream (``python -m hub.runtime.worker``).

The event loop reads and writes; one device thread calls TensorFlow, one request after the other, in the order they
came. Messages by their ``op``: ``load`` (``orders``), ``infer`` (``digest``, ``trunk``, ``signature``, tensors) and
``cancel`` (the ``id`` of a request, which is dropped if it waits still). Every ``load`` and ``infer`` gets exactly one
reply with its ``id``: tensors, or a ``problem``, or ``not_loaded``, or ``cancelled``. The first frame is the worker's
``ready``.

Laws: a model's error is an answer, never the end of the worker; no reply names a path of this machine; when the stream
ends the process ends, whatever the device thread does.
"""

import argparse
import asyncio
import os
import socket
from asyncio import StreamReader, StreamWriter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import structlog

from hub.domain.errors import HubError
from hub.protocol.frames import Frame, Tensor, encode_frame, from_numpy, read_frame, to_numpy
from hub.protocol.problems import to_problem
from hub.runtime.devices import Device
from hub.runtime.failures import model_failed
from hub.runtime.limits import die_with_parent
from hub.runtime.memory import default_budget, freeze
from hub.runtime.orders import Order
from hub.runtime.placement import claim
from hub.runtime.reporting import report_to_engine
from hub.runtime.residents import Residents
from hub.runtime.servable import as_array, check_inputs, signature_of

STREAM_LIMIT_BYTES = 4 << 20
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back for one request, besides its id."""

    facts: dict[str, Any] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)


class Worker:
    """Serves one stream until it ends."""

    def __init__(self, residents: Residents, reader: StreamReader, writer: StreamWriter) -> None:
        """Answer on the stream with what is resident."""
        self._residents = residents
        self._reader = reader
        self._writer = writer
        self._device_thread = ThreadPoolExecutor(1, thread_name_prefix="device")
        self._waiting: dict[int, Frame] = {}
        self._arrived = asyncio.Event()

    async def serve(self) -> None:
        """Read until the stream ends."""
        computing = asyncio.create_task(self._compute())
        try:
            while True:
                self._take(await read_frame(self._reader))
        except (asyncio.IncompleteReadError, ConnectionError):
            _log.info("stream.ended")
        finally:
            computing.cancel()

    def _take(self, frame: Frame) -> None:
        request_id = int(frame.header["id"])
        if frame.header["op"] != "cancel":
            self._waiting[request_id] = frame
            self._arrived.set()
        elif self._waiting.pop(request_id, None) is not None:
            self._send(request_id, Reply({"cancelled": True}))

    async def _compute(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            while self._waiting:
                request_id = next(iter(self._waiting))
                frame = self._waiting.pop(request_id)
                reply = await loop.run_in_executor(self._device_thread, self._answer, frame)
                self._send(request_id, reply)
                await self._writer.drain()
            self._arrived.clear()

    def _send(self, request_id: int, reply: Reply) -> None:
        try:
            buffers = encode_frame({"id": request_id, **reply.facts}, reply.tensors)
        except HubError as error:
            buffers = encode_frame({"id": request_id, "problem": to_problem(error)})
        self._writer.writelines(buffers)

    def _answer(self, frame: Frame) -> Reply:
        """Do what a request asks, on the device thread."""
        signature = frame.header.get("signature", "")
        try:
            if frame.header["op"] == "load":
                return self._load(frame)
            return self._infer(frame, signature)
        except Exception as error:  # noqa: BLE001 - models are other people's programs: TensorFlow may raise anything
            problem = to_problem(model_failed(error, signature))
            _log.info("request.failed", op=frame.header["op"], signature=signature, error=repr(error)[:2000])
            return Reply({"problem": problem})

    def _load(self, frame: Frame) -> Reply:
        self._residents.load([Order.parse(order) for order in frame.header["orders"]])
        return Reply({"resident": self._residents.sizes})

    def _infer(self, frame: Frame, signature: str) -> Reply:
        digest, trunk_digest = frame.header["digest"], frame.header["trunk"]
        needed = [digest] if trunk_digest is None else [trunk_digest, digest]
        if not self._residents.has(*needed):
            return Reply({"not_loaded": True, "resident": self._residents.sizes})
        inputs = {tensor.name: to_numpy(tensor) for tensor in frame.tensors}
        self._check(digest, trunk_digest, signature, inputs)
        outputs = self._residents.run(digest, trunk_digest, signature, inputs)
        return Reply(tensors=[from_numpy(name, as_array(value)) for name, value in outputs.items()])

    def _check(self, digest: str, trunk_digest: str | None, signature: str, inputs: dict[str, Any]) -> None:
        version = self._residents.servable(digest).order
        taken = signature_of(version, signature)
        if trunk_digest is not None and version.trunk_signature is not None:
            taken = signature_of(self._residents.servable(trunk_digest).order, version.trunk_signature)
        check_inputs(taken, inputs)


async def run(descriptor: int, device: Device, budget_bytes: int | None) -> None:
    """Claim the device, say so, and serve the connected socket ``descriptor``.

    Raises:
        NotAvailable: TensorFlow does not see the device.
    """
    claim(device)
    budget = budget_bytes if budget_bytes is not None else default_budget(device)
    connected = socket.socket(fileno=descriptor)
    reader, writer = await asyncio.open_connection(sock=connected, limit=STREAM_LIMIT_BYTES)
    freeze()
    writer.writelines(encode_frame({"ready": True, "budget_bytes": budget}))
    await writer.drain()
    await Worker(Residents(device, budget), reader, writer).serve()


def main() -> None:
    """Run a worker for the engine that started this process."""
    parser = argparse.ArgumentParser(prog="hub.runtime.worker", description="Serve one device.")
    parser.add_argument("--fd", type=int, required=True, help="connected socket, inherited")
    parser.add_argument("--parent", type=int, required=True, help="process to die with")
    parser.add_argument("--device", type=Device.parse, required=True)
    parser.add_argument("--budget-bytes", type=int, default=None)
    options = parser.parse_args()
    die_with_parent(options.parent)
    report_to_engine()
    try:
        asyncio.run(run(options.fd, options.device, options.budget_bytes))
    except HubError as error:
        _log.error("worker.unable", detail=str(error))
        os._exit(1)
    # A model may still compute on the device thread; nothing it could give is wanted any more.
    os._exit(0)


if __name__ == "__main__":
    main()
