"""A proxy on loopback that stands before a real S3 server and does harm to chosen requests.

Each connection carries one request, whose head is read and passed on unchanged but for ``Expect``, which is answered
here, and ``Connection: close``; neither is signed. What is chosen is harmed as often as a test says.
"""

import asyncio
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


@dataclass(slots=True)
class Fault:
    """What is done to requests.

    Attributes:
        kind: ``wait`` for ``number`` seconds, ``blackhole`` them, ``reset`` the connection, ``cut`` the answer after
            ``number`` bytes, answer with the ``status`` in ``number``, ``drop`` the answer after the server gave it,
            or ``flip`` a bit in the answer's last byte.
        method: Which method's.
        path: What their paths contain.
        number: See ``kind``.
        times: How many of them.
    """

    kind: str
    method: str = ""
    path: str = ""
    number: float = 0
    times: int = 1_000_000


@dataclass(slots=True)
class Proxy:
    """The running proxy."""

    upstream: int
    port: int = 0
    faults: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def harm(self, kind: str, **how: object) -> None:
        """Do harm from now on."""
        self.faults.append(Fault(kind, **how))

    def heal(self) -> None:
        """Do no more harm."""
        self.faults.clear()

    def _fault(self, line: str) -> Fault:
        for fault in list(self.faults):
            if fault.times and line.startswith(fault.method) and fault.path in line:
                fault.times -= 1
                self.seen.append(f"{fault.kind} {line}")
                return fault
        return Fault("")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one request on, or harm it."""
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            fault = self._fault(head.split("\r\n", 1)[0])
            if re.search(r"^expect:", head, re.MULTILINE | re.IGNORECASE):
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            size = re.search(r"^content-length: *(\d+)", head, re.MULTILINE | re.IGNORECASE)
            body = await reader.readexactly(int(size[1])) if size else b""
            if fault.kind == "blackhole":
                await reader.read()
            elif fault.kind == "reset":
                _reset(writer)
            elif fault.kind == "status":
                length = f"Content-Length: {len(_SLOW_DOWN)}\r\nConnection: close\r\n\r\n"
                writer.write(f"HTTP/1.1 {int(fault.number)} No\r\n{length}".encode() + _SLOW_DOWN)
            else:
                await self._pass(head, body, writer, fault)
            await writer.drain()
        writer.close()

    async def _pass(self, head: str, body: bytes, writer: asyncio.StreamWriter, fault: Fault) -> None:
        if fault.kind == "wait":
            await asyncio.sleep(fault.number)
        kept = re.sub(r"^(expect|connection):.*\r\n", "", head, flags=re.MULTILINE | re.IGNORECASE)
        server, out = await asyncio.open_connection("127.0.0.1", self.upstream)
        out.write(f"{kept[:-2]}Connection: close\r\n\r\n".encode("latin-1") + body)
        answer = await server.read()
        out.close()
        if fault.kind == "drop":
            _reset(writer)
            return
        if fault.kind == "cut":
            answer = answer[: answer.index(b"\r\n\r\n") + 4 + int(fault.number)]
        if fault.kind == "flip":
            answer = answer[:-1] + bytes([answer[-1] ^ 1])
        writer.write(answer)


def _reset(writer: asyncio.StreamWriter) -> None:
    line = writer.get_extra_info("socket")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextmanager
def proxying(upstream: int) -> Iterator[Proxy]:
    """A proxy before a port of this machine."""
    proxy = Proxy(upstream)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=1 << 20)

    async def stop(server: asyncio.Server) -> None:
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    proxy.port = server.sockets[0].getsockname()[1]
    yield proxy
    asyncio.run_coroutine_threadsafe(stop(server), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()
