"""Asking a server: the answers checked, then as many requests as it takes, by wrk over HTTP and by Python over gRPC.

Laws: what is sent was made before; all requests of a model take turns; every side is asked by the same program.
"""

import json
import re
import statistics
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np

from bench.measure import tree_cpu_s, tree_memory_bytes
from bench.processes import ROOT, CannotRun, environment, needed
from bench.servers import Server
from bench.serving_bodies import BINARY, GRPC, KINDS, METHODS, REQUESTS, Kind, called, differs
from bench.serving_rpc import RPC_OPTIONS, TIMEOUT_S

_LENGTH = "Inference-Header-Content-Length"
_CHECKED_AT_ONCE, _CHECKS = 8, 3
_SHOWN = 600
_WRK = """
local requests, at = {}, 0
function init()
  for line in io.lines(os.getenv("BENCH_REQUESTS")) do
    local path, length, name = line:match("^(%S+) (%S+) (.+)$")
    local file = assert(io.open(name, "rb"))
    local headers = {["Host"] = wrk.headers["Host"], ["Content-Type"] = "application/json"}
    if name:match("%.bin$") or name:match("%.raw$") then headers["Content-Type"] = "application/octet-stream" end
    if length ~= "0" then headers["Inference-Header-Content-Length"] = length end
    requests[#requests + 1] = wrk.format("POST", path, headers, file:read("*a"))
    file:close()
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  local wrong = summary.errors
  local failed = wrong.status + wrong.connect + wrong.read + wrong.write + wrong.timeout
  local answered = summary.requests - wrong.status
  io.write(string.format('RESULT {"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "failed": %d}',
    answered, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, failed))
end
"""
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Asked:
    """What one run saw: answers a second, latencies, and the server's CPU for one answer and memory afterwards."""

    rate: float
    p50_ms: float
    p99_ms: float
    failed: int
    cpu_ms: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the path, over gRPC the model's name; files are named ``NUMBER.KIND``."""

    place: str
    folder: Path
    number: int

    def body(self, kind: Kind) -> bytes:
        """What is sent."""
        sent = (self.folder / f"{self.number}.{kind.name}").read_bytes()
        return called(kind.name, self.place) + sent if kind.form == GRPC else sent

    def length(self, kind: Kind) -> int:
        """Of the header of a binary body; 0 where there is none."""
        return int((self.folder / f"{self.number}.length").read_text()) if kind.name == "bin" else 0

    @property
    def expected(self) -> np.ndarray:
        """The right answer."""
        return np.load(self.folder / f"{self.number}.features.npy")


@dataclass(frozen=True, slots=True)
class Asking:
    """A server and what it is asked."""

    server: Server
    kind: Kind
    requests: Sequence[Request]

    @classmethod
    def model(cls, server: Server, kind: str, place: str, folder: Path) -> "Asking":
        """All requests of a model whose requests lie in a folder."""
        return cls(server, KINDS[kind], [Request(place, folder, number) for number in range(REQUESTS)])

    def check(self, who: str = "the hub") -> None:
        """See that every answer of ``who`` is right, one by one and when many are asked at once.

        Raises:
            CannotRun: One is not.
        """
        with self._sender() as send, ThreadPoolExecutor(_CHECKED_AT_ONCE) as many:
            for answers in (map(send, self.requests), many.map(send, list(self.requests) * _CHECKS)):
                wrong = [said for said in answers if said]
                if wrong:
                    raise CannotRun(f"{len(wrong)} of the checked answers of {who} are wrong: {wrong[0][:_SHOWN]}")

    @contextmanager
    def _sender(self) -> Iterator[Callable[[Request], str]]:
        """Gives what sends a request, and says what is wrong with the answer."""
        if self.kind.form != GRPC:
            yield self._wrong_over_http
            return
        with grpc.insecure_channel(self.server.rpc, RPC_OPTIONS) as channel:
            call = channel.unary_unary(METHODS[self.kind.name])

            def wrong(request: Request) -> str:
                try:
                    answer = call(request.body(self.kind), timeout=TIMEOUT_S)
                except grpc.RpcError as error:
                    return str(error)
                return differs(self.kind, answer, 0, request.expected)

            yield wrong

    def _wrong_over_http(self, request: Request) -> str:
        is_binary = self.kind.form == BINARY
        headers = {"Content-Type": "application/octet-stream" if is_binary else "application/json"}
        if length := request.length(self.kind):
            headers[_LENGTH] = str(length)
        asked = urllib.request.Request(f"{self.server.url}{request.place}", request.body(self.kind), headers)
        try:
            with _direct.open(asked, timeout=TIMEOUT_S) as answer:
                return differs(self.kind, answer.read(), int(answer.headers.get(_LENGTH) or 0), request.expected)
        except urllib.error.HTTPError as error:
            return f"{error}: {error.read()[:_SHOWN].decode(errors='replace')}"
        except OSError as error:
            return str(error)


class Load:
    """What asks servers as fast as they answer."""

    def __init__(self, folder: Path, seconds: float) -> None:
        """Keep scripts in ``folder``; ask ``seconds`` at a time.

        Raises:
            CannotRun: wrk is missing.
        """
        self._wrk = needed("wrk", "a package of the system: apt-get install wrk")
        self._script = folder / "post.lua"
        self._script.write_text(_WRK)
        self._list = folder / "requests"
        self._seconds = seconds

    def ask(self, asking: Asking, concurrency: int) -> Asked:
        """Ask over so many connections."""
        kind, pid = asking.kind, asking.server.pid
        lines = [
            f"{each.place} {each.length(kind)} {each.folder / f'{each.number}.{kind.name}'}\n"
            for each in asking.requests
        ]
        self._list.write_text("".join(lines))
        command = self._rpc(asking, concurrency) if kind.form == GRPC else self._http(asking, concurrency)
        variables = environment({"BENCH_REQUESTS": str(self._list)})
        before = tree_cpu_s([pid])
        said = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
        cpu_s = tree_cpu_s([pid]) - before
        match = re.search(r"RESULT (\{.*\})", said.stdout)
        if match is None:
            raise CannotRun(f"{Path(command[0]).name} failed: {(said.stdout + said.stderr)[-_SHOWN:]}")
        seen = json.loads(match[1])
        return Asked(
            rate=seen["requests"] / seen["seconds"],
            p50_ms=seen["p50_ms"],
            p99_ms=seen["p99_ms"],
            failed=seen["failed"],
            cpu_ms=cpu_s * 1e3 / max(1, seen["requests"]),
            memory_mb=tree_memory_bytes([pid]) / 1e6,
        )

    def _http(self, asking: Asking, concurrency: int) -> list[str]:
        timing = ["-t1", f"-c{concurrency}", f"-d{self._seconds}s", "--timeout", f"{TIMEOUT_S}s"]
        return [self._wrk, *timing, "-s", str(self._script), asking.server.url]

    def _rpc(self, asking: Asking, concurrency: int) -> list[str]:
        timing = [str(concurrency), str(self._seconds)]
        return [sys.executable, "-m", "bench.serving_rpc", asking.server.rpc, asking.kind.name, *timing]


def median(asked: Sequence[Asked]) -> Asked:
    """The middle of several runs; failures are added up."""
    names = ("rate", "p50_ms", "p99_ms", "cpu_ms", "memory_mb")
    middle = {name: statistics.median(getattr(each, name) for each in asked) for name in names}
    return Asked(**middle, failed=sum(each.failed for each in asked))
