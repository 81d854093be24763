"""Asks a gRPC server: ``python -m bench.serving_rpc ADDRESS KIND CONCURRENCY SECONDS``; ``BENCH_REQUESTS`` lists what.

Every lane has a connection of its own and sends its next request when it has the answer to the last; messages were made
before, and answers are not unpacked.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

import grpc

from bench.serving_bodies import METHODS, called

TIMEOUT_S = 60
RPC_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
]


class Lane(threading.Thread):
    """One caller."""

    def __init__(self, address: str, kind: str, messages: list[bytes], at: int) -> None:
        super().__init__()
        self.times: list[float] = []
        self.failed = 0
        self.until = 0.0
        self._messages, self._at = messages, at
        self._channel = grpc.insecure_channel(address, RPC_OPTIONS)
        self._call = self._channel.unary_unary(METHODS[kind])
        self._ask()

    def run(self) -> None:
        """Ask until the end."""
        while (began := time.perf_counter()) < self.until:
            self.failed += not self._ask()
            self.times.append(time.perf_counter() - began)

    def _ask(self) -> bool:
        self._at = (self._at + 1) % len(self._messages)
        try:
            self._call(self._messages[self._at], timeout=TIMEOUT_S)
        except grpc.RpcError:
            return False
        return True


def main() -> None:
    """Ask, and tell."""
    address, kind, concurrency, seconds = sys.argv[1:]
    listed = [line.split(" ", 2) for line in Path(os.environ["BENCH_REQUESTS"]).read_text().splitlines()]
    messages = [called(kind, model) + Path(file).read_bytes() for model, _, file in listed]
    lanes = [Lane(address, kind, messages, number) for number in range(int(concurrency))]
    began = time.perf_counter()
    for lane in lanes:
        lane.until = began + float(seconds)
        lane.start()
    for lane in lanes:
        lane.join()
    took = time.perf_counter() - began
    times = sorted(each * 1e3 for lane in lanes for each in lane.times)
    failed = sum(lane.failed for lane in lanes)
    found = {
        "requests": len(times) - failed,
        "seconds": took,
        "p50_ms": times[len(times) // 2],
        "p99_ms": times[len(times) * 99 // 100],
        "failed": failed,
    }
    print(f"RESULT {json.dumps(found)}")


if __name__ == "__main__":
    main()
